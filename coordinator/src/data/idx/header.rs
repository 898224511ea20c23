//! The header of an idx file: the kind of its values, its dimensions, and their sizes.

use super::super::DataError;
use super::super::source::Source;
use std::fmt;

/// Unsigned bytes, the values of all images and of most labels.
const UNSIGNED: u8 = 0x08;
/// 32-bit integers, big-endian.
const INTEGERS: u8 = 0x0c;

/// The two files of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The labels.
    Labels,
    /// The images.
    Images,
}

impl Part {
    /// The kinds of values with the numbers of dimensions that the file may have. QMNIST has a row of integers for each
    /// sample, of which the first is the label.
    fn forms(self) -> &'static [(u8, u8)] {
        match self {
            Part::Labels => &[(UNSIGNED, 1), (INTEGERS, 2)],
            Part::Images => &[(UNSIGNED, 3), (UNSIGNED, 4)],
        }
    }

    /// The expected file, in words.
    fn due(self) -> &'static str {
        match self {
            Part::Labels => "labels must be unsigned bytes in 1 dimension",
            Part::Images => "images must be unsigned bytes in 3 dimensions (grey) or in 4 (colour)",
        }
    }
}

/// The labels that a file declares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels {
    /// Their number.
    pub count: u64,
    /// The bytes of one sample, which are unsigned bytes or begin with a 32-bit integer.
    row: u64,
}

impl Labels {
    /// The first `wanted` labels of the file, whose header has been read.
    pub(super) fn read(self, source: Source, wanted: u64) -> Result<Vec<u32>, DataError> {
        let bytes = source.body(self.count * self.row, wanted * self.row)?;
        Ok(match self.row {
            1 => bytes.into_iter().map(u32::from).collect(),
            row => {
                let rows = bytes.chunks_exact(row as usize);
                rows.filter_map(|row| row.first_chunk().copied().map(u32::from_be_bytes)).collect()
            }
        })
    }
}

/// Reads the header of a file of labels.
pub(super) fn labels(source: &mut Source) -> Result<Labels, DataError> {
    let (kind, _) = read(source, Part::Labels)?;
    let count = size(source)?;
    let row = if kind == INTEGERS { 4 * u64::from(size(source)?) } else { 1 };
    if count == 0 || row == 0 {
        return Err(source.wrong("declares 0 labels"));
    }
    match u64::from(count).checked_mul(row) {
        Some(_) => Ok(Labels { count: count.into(), row }),
        None => Err(source.wrong(format!("declares {count} rows of {row} bytes, an impossible size"))),
    }
}

/// The number of images that the file declares, and the shape of an image: channels × rows × columns.
pub(super) fn images(source: &mut Source) -> Result<(u64, [usize; 3]), DataError> {
    let (_, dimensions) = read(source, Part::Images)?;
    let count = size(source)?;
    let channels = if dimensions == 4 { size(source)? } else { 1 };
    let (rows, columns) = (size(source)?, size(source)?);
    if rows == 0 || columns == 0 || channels == 0 {
        return Err(
            source.wrong(format!("declares images of {rows}×{columns} pixels in {channels} channel(s)"))
        );
    }
    let sizes = [rows, columns, channels, count];
    if sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(size.into())).is_none() {
        return Err(source.wrong(format!("declares {count} images of {rows}×{columns}, an impossible size")));
    }
    Ok((count.into(), [channels as usize, rows as usize, columns as usize]))
}

/// Reads the kind of the values and the number of dimensions, and refuses unexpected ones.
fn read(source: &mut Source, part: Part) -> Result<(u8, u8), DataError> {
    let start: [u8; 4] = source.header()?;
    let [0, 0, kind, dimensions] = start else { return Err(not_idx(source, start, part)) };
    let Some(values) = values(kind) else { return Err(not_idx(source, start, part)) };
    let form = (kind, dimensions);
    if part.forms().contains(&form) {
        return Ok(form);
    }
    let found = Found { values, dimensions };
    let other = match part {
        Part::Labels => Part::Images,
        Part::Images => Part::Labels,
    };
    let remedy = if other.forms().contains(&form) {
        "check whether the files of images and labels are swapped, or set data.path to another folder"
    } else {
        "convert the file, or set data.path to another folder"
    };
    Err(DataError::malformed(source.path(), format!("holds {found}, but {}", part.due()), remedy))
}

fn not_idx(source: &Source, start: [u8; 4], part: Part) -> DataError {
    let start = u32::from_be_bytes(start);
    source.wrong(format!("is no idx file, since it starts with {start:#010x}, and {}", part.due()))
}

/// The values of an idx file, by the third byte of the file.
fn values(kind: u8) -> Option<&'static str> {
    match kind {
        UNSIGNED => Some("unsigned bytes"),
        0x09 => Some("signed bytes"),
        0x0b => Some("16-bit integers"),
        INTEGERS => Some("32-bit integers"),
        0x0d => Some("32-bit floats"),
        0x0e => Some("64-bit floats"),
        _ => None,
    }
}

/// The kind and the dimensions of a file, in words.
struct Found {
    values: &'static str,
    dimensions: u8,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.dimensions == 1 { "" } else { "s" };
        write!(f, "{} in {} dimension{plural}", self.values, self.dimensions)
    }
}

fn size(source: &mut Source) -> Result<u32, DataError> {
    source.header().map(u32::from_be_bytes)
}
