//! A data file, plain or gzip-compressed, that is read to its last byte and never beyond its declared size.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::DataError;

/// The first bytes of every gzip file (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Deflate's best ratio: 258 bytes in 2 bits is 1032 to 1 (RFC 1951). A file that declares more is a decompression
/// bomb.
const DEFLATE_RATIO: u64 = 1032;

/// The size limit of a file's content. A data set lives in memory, so a file of more than 16 GiB, or of more than
/// the free memory, is refused before it is read.
const LARGEST: u64 = 16 << 30;

/// The remedy for every file with wrong content.
const REPLACE: &str = "replace it with a fresh copy, or set data.path to another folder";

/// An open data file.
pub(super) struct Source {
    path: PathBuf,
    reader: Box<dyn Read>,
    /// The most bytes that can still come out of `reader`.
    ceiling: u64,
    packed: bool,
}

impl Source {
    /// Opens the first of the files `names` that is in `folder`. The file's first bytes decide whether it is
    /// compressed, not its name: browsers unpack a `.gz` and keep the name.
    pub(super) fn find(folder: &Path, names: &[&str], remedy: &'static str) -> Result<Self, DataError> {
        let wanted = names.join(" or ");
        if !folder.is_dir() {
            let what = format!("the folder {}, which should hold {wanted}, does not exist", folder.display());
            return Err(DataError::Missing { what, remedy });
        }
        for name in names {
            let path = folder.join(name);
            match open_regular(&path) {
                Ok((file, length)) => return Source::new(path, file, length),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(cause) => return Err(DataError::Unreadable { path, cause }),
            }
        }
        let what = format!("{wanted} is missing from the folder {}", folder.display());
        Err(DataError::Missing { what, remedy })
    }

    fn new(path: PathBuf, mut file: File, length: u64) -> Result<Self, DataError> {
        let packed = match starts_as_gzip(&mut file) {
            Ok(packed) => packed,
            Err(cause) => return Err(DataError::Unreadable { path, cause }),
        };
        let (reader, ceiling): (Box<dyn Read>, _) = match packed {
            true => {
                (Box::new(MultiGzDecoder::new(BufReader::new(file))), length.saturating_mul(DEFLATE_RATIO))
            }
            false => (Box::new(file), length),
        };
        Ok(Source { path, reader, ceiling, packed })
    }

    /// The file's path, for errors.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// An error with this file as its cause.
    pub(super) fn wrong(&self, wrong: impl Into<String>) -> DataError {
        DataError::malformed(&self.path, wrong, REPLACE)
    }

    /// The length of a plain file. `None` for a compressed file, whose length is known only after reading.
    pub(super) fn plain_length(&self) -> Option<u64> {
        (!self.packed).then_some(self.ceiling)
    }

    /// The next `N` bytes: a header, or a part of one.
    pub(super) fn header<const N: usize>(&mut self) -> Result<[u8; N], DataError> {
        let mut bytes = Vec::with_capacity(N);
        if let Err(error) = self.reader.by_ref().take(N as u64).read_to_end(&mut bytes) {
            return Err(self.failed(error));
        }
        self.ceiling = self.ceiling.saturating_sub(N as u64);
        bytes.try_into().map_err(|_| self.wrong("ends within its header"))
    }

    /// The rest of the file, which must be exactly `declared` bytes.
    pub(super) fn body(mut self, declared: u64) -> Result<Vec<u8>, DataError> {
        let mut bytes = self.reserve(declared)?;
        if let Err(error) = self.reader.by_ref().take(declared).read_to_end(&mut bytes) {
            return Err(self.failed(error));
        }
        if bytes.len() as u64 != declared {
            let wrong =
                format!("should hold {declared} bytes after its header but holds only {}", bytes.len());
            return Err(self.wrong(wrong));
        }
        // The read at the end makes the decoder compare the checksum.
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(bytes),
            Ok(_) => Err(self.wrong(format!("goes on after the {declared} bytes that its header declares"))),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Reserves memory for `declared` bytes, if the file can hold so many at all.
    fn reserve(&self, declared: u64) -> Result<Vec<u8>, DataError> {
        if declared > self.ceiling {
            let at_most = if self.packed { "can unpack to at most" } else { "holds only" };
            let wrong =
                format!("should hold {declared} bytes after its header but {at_most} {}", self.ceiling);
            return Err(self.wrong(wrong));
        }
        let mut bytes = Vec::new();
        let size = usize::try_from(declared).ok().filter(|_| declared <= room());
        if size.is_none_or(|size| bytes.try_reserve_exact(size).is_err()) {
            return Err(self.wrong(format!("should hold {declared} bytes, which don't fit into memory")));
        }
        Ok(bytes)
    }

    /// The error behind a failed read: a torn or broken gzip file, or the system.
    fn failed(&self, error: io::Error) -> DataError {
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput if self.packed => {
                self.wrong(format!("is not a whole gzip file ({error})"))
            }
            _ => DataError::Unreadable { path: self.path.clone(), cause: error },
        }
    }
}

/// The memory that a file may take; the system promises more than it has.
fn room() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = available.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or(LARGEST, |kib| LARGEST.min(kib.saturating_mul(1024)))
}

/// Opens a file and returns its length. A path that isn't a regular file is refused before it is opened: opening a
/// pipe would wait for its writer.
fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok((File::open(path)?, metadata.len()))
}

fn starts_as_gzip(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::with_capacity(GZIP.len());
    file.by_ref().take(GZIP.len() as u64).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start == GZIP)
}
