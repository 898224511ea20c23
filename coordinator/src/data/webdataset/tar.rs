//! The members of a tar archive, in order: a pass over the headers that skips the data.
//!
//! The reader knows V7, ustar, pax and GNU's long names. It takes no more memory than one name and one window,
//! whatever the archive declares.

use super::header::{BLOCK, Header, Kind, text};
use super::window::Window;

/// The most bytes of pax's records or of a long name that are read.
const LONGEST: u64 = 1 << 20;
/// The most bytes of a member's name: Linux allows no longer path.
const LONGEST_NAME: usize = 4096;

/// A regular file in an archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// The name with its folders.
    pub name: String,
    /// The place of the first byte of its data.
    pub offset: u64,
    /// The number of its bytes.
    pub size: u64,
}

/// The records before a member that describe it.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

/// A pass over the members of an archive.
pub(super) struct Members<'a> {
    window: Window<'a>,
    at: u64,
}

impl<'a> Members<'a> {
    /// The members of the archive behind `window`.
    pub(super) fn new(window: Window<'a>) -> Self {
        Self { window, at: 0 }
    }

    /// The data of a member of at most `most` bytes; `None` if it has more.
    ///
    /// # Errors
    /// As those of [`Members::next`].
    pub(super) fn data(&mut self, member: &Member, most: usize) -> Result<Option<&[u8]>, String> {
        let Some(size) = usize::try_from(member.size).ok().filter(|&size| size <= most) else {
            return Ok(None);
        };
        self.window.read(member.offset, size)
    }

    /// The next regular file; `None` at the end.
    ///
    /// # Errors
    /// A phrase that follows the archive's name: it is cut off, is no tar archive, or has a member that is not read.
    pub(super) fn next(&mut self) -> Result<Option<Member>, String> {
        let mut ahead = Ahead::default();
        loop {
            let start = self.at;
            let Some(Header { kind, name, size }) = self.header()? else { return Ok(None) };
            // pax gives the size of a file that is too large for the header's field.
            let size = match kind {
                Kind::File | Kind::Other => ahead.size.unwrap_or(size),
                _ => size,
            };
            let offset = self.at;
            if kind != Kind::Empty {
                self.skip(start, size)?;
            }
            match kind {
                Kind::Pax => self.records(start, offset, size, &mut ahead)?,
                Kind::LongName => ahead.name = Some(text(self.short(start, offset, size)?).to_vec()),
                Kind::Sparse => return Err(sparse(start)),
                Kind::Empty | Kind::Other => ahead = Ahead::default(),
                Kind::File => {
                    let name = legible(start, &ahead.name.unwrap_or(name))?;
                    return Ok(Some(Member { name, offset, size }));
                }
            }
        }
    }

    /// The header at the current place, which moves behind it; `None` at the archive's end.
    fn header(&mut self) -> Result<Option<Header>, String> {
        let at = self.at;
        // Some programs leave out the closing blocks.
        if at == self.window.length() && at > 0 {
            return Ok(None);
        }
        let Some(block) = self.window.read(at, BLOCK)? else {
            return Err(format!("is cut off at byte {at}"));
        };
        self.at += BLOCK as u64;
        let block = block.try_into().map_err(|_| format!("is cut off at byte {at}"))?;
        Header::read(block).map_err(|what| format!("has at byte {at} {what}"))
    }

    /// Moves behind `size` bytes of data, which fill whole blocks.
    fn skip(&mut self, start: u64, size: u64) -> Result<(), String> {
        let end = size.checked_next_multiple_of(BLOCK as u64).and_then(|padded| self.at.checked_add(padded));
        let length = self.window.length();
        match end {
            Some(end) if end <= length => self.at = end,
            _ => {
                let wrong =
                    format!("has at byte {start} a member of {size} bytes, but ends at byte {length}");
                return Err(wrong);
            }
        }
        Ok(())
    }

    /// The data of a member that describes another one.
    fn short(&mut self, start: u64, offset: u64, size: u64) -> Result<&[u8], String> {
        if size > LONGEST {
            return Err(format!("has at byte {start} a header of {size} bytes, more than {LONGEST}"));
        }
        let data = self.window.read(offset, size as usize)?;
        data.ok_or_else(|| format!("is cut off at byte {offset}"))
    }

    /// Reads pax's records, `LENGTH KEY=VALUE` and a line break each, which are about the next member.
    fn records(&mut self, start: u64, offset: u64, size: u64, ahead: &mut Ahead) -> Result<(), String> {
        let wrong = || format!("has at byte {start} a pax header that is malformed");
        let mut rest = self.short(start, offset, size)?;
        while !rest.is_empty() {
            let (record, after) = record(rest).ok_or_else(wrong)?;
            rest = after;
            let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(wrong)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => ahead.name = Some(value.to_vec()),
                b"size" => {
                    let size = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    ahead.size = Some(size.ok_or_else(wrong)?);
                }
                key if key.starts_with(b"GNU.sparse.") => return Err(sparse(start)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The first record without its length and line break, and the bytes behind it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|&byte| byte == b' ')?;
    let length: usize = str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let whole = bytes.get(..length)?;
    Some((whole.get(space + 1..)?.strip_suffix(b"\n")?, &bytes[length..]))
}

fn sparse(start: u64) -> String {
    format!("has at byte {start} a sparse file, which is not read")
}

/// The name as text. It is never used as a path. But a name that leads out of the archive shows that the archive is no
/// data set.
fn legible(start: u64, name: &[u8]) -> Result<String, String> {
    if name.len() > LONGEST_NAME {
        return Err(format!("has at byte {start} a name of {} bytes, more than {LONGEST_NAME}", name.len()));
    }
    let name = String::from_utf8_lossy(name);
    if name.split('/').any(|part| part == "..") {
        return Err(format!("has at byte {start} the name {:?}, which leads out of the archive", &*name));
    }
    Ok(name.trim_start_matches("./").to_owned())
}
