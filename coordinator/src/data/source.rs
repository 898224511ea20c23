//! A data file, plain or gzip-compressed. It is read up to the last wanted byte, never beyond its declared size.

use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::DataError;
use super::error::missing;

/// The first bytes of every gzip file (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The number of times that a file may be compressed: some downloads compress a `.gz` once more.
const MOST_PACKED: u32 = 2;

/// Deflate's best ratio: 258 bytes in 2 bits is 1032 to 1 (RFC 1951). A file that declares more is a decompression
/// bomb.
const DEFLATE_RATIO: u64 = 1032;

/// The remedy for every file with wrong content.
const REPLACE: &str = "replace it with a fresh copy, or set data.path to another folder";

/// An open data file.
pub(super) struct Source {
    path: PathBuf,
    reader: Box<dyn Read>,
    /// The most bytes that `reader` can still give.
    ceiling: u64,
    /// The number of times that the file is compressed.
    packed: u32,
}

impl Source {
    /// Opens the first of the files `names` that is in `folder`.
    pub(super) fn find(folder: &Path, names: &[&str], remedy: &'static str) -> Result<Self, DataError> {
        let there = names.iter().map(|name| folder.join(name)).find(|path| path.exists());
        Self::open(there.ok_or_else(|| missing(folder, names, remedy))?)
    }

    /// Opens a file. The file's first bytes decide whether it is compressed, not its name: browsers unpack a `.gz` and
    /// keep the name.
    pub(super) fn open(path: PathBuf) -> Result<Self, DataError> {
        let (file, length) = match open_regular(&path) {
            Ok(opened) => opened,
            Err(cause) => return Err(DataError::Unreadable { path, cause }),
        };
        let reader = Box::new(BufReader::new(file));
        let mut source = Source { path, reader, ceiling: length, packed: 0 };
        while source.starts_as_gzip()? {
            if source.packed == MOST_PACKED {
                return Err(source.wrong(format!("is compressed more than {MOST_PACKED} times")));
            }
            source.packed += 1;
            source.ceiling = source.ceiling.saturating_mul(DEFLATE_RATIO);
            source.reader = Box::new(MultiGzDecoder::new(source.reader));
        }
        Ok(source)
    }

    /// Whether the next bytes are those of a gzip file. They stay in the reader.
    fn starts_as_gzip(&mut self) -> Result<bool, DataError> {
        let mut start = Vec::with_capacity(GZIP.len());
        self.append(&mut start, GZIP.len() as u64)?;
        let packed = start == GZIP;
        let rest = std::mem::replace(&mut self.reader, Box::new(io::empty()));
        self.reader = Box::new(Cursor::new(start).chain(rest));
        Ok(packed)
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
        (self.packed == 0).then_some(self.ceiling)
    }

    /// The next `N` bytes: a header, or a part of one.
    pub(super) fn header<const N: usize>(&mut self) -> Result<[u8; N], DataError> {
        let mut bytes = Vec::with_capacity(N);
        self.append(&mut bytes, N as u64)?;
        self.ceiling = self.ceiling.saturating_sub(N as u64);
        bytes.try_into().map_err(|_| self.wrong("ends within its header"))
    }

    /// Refuses a file that cannot hold the first `wanted` of the `declared` bytes after its header.
    pub(super) fn must_hold(&self, declared: u64, wanted: u64) -> Result<(), DataError> {
        if wanted <= self.ceiling {
            return Ok(());
        }
        let at_most = if self.packed > 0 { "can unpack to at most" } else { "holds only" };
        let ceiling = self.ceiling;
        Err(self.wrong(format!("should hold {declared} bytes after its header but {at_most} {ceiling}")))
    }

    /// The first `wanted` of the `declared` bytes that are the rest of the file. If all are wanted, the file must end
    /// there; otherwise the bytes after them are not read.
    pub(super) fn body(mut self, declared: u64, wanted: u64) -> Result<Vec<u8>, DataError> {
        self.must_hold(declared, wanted)?;
        let mut bytes = Vec::new();
        let size = usize::try_from(wanted).ok();
        if size.is_none_or(|size| bytes.try_reserve_exact(size).is_err()) {
            return Err(self.wrong(format!("should hold {wanted} bytes, which don't fit into memory")));
        }
        self.append(&mut bytes, wanted)?;
        if bytes.len() as u64 != wanted {
            let wrong =
                format!("should hold {declared} bytes after its header but holds only {}", bytes.len());
            return Err(self.wrong(wrong));
        }
        if wanted < declared {
            return Ok(bytes);
        }
        // The read at the end makes the decoder compare the checksum.
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(bytes),
            Ok(_) => Err(self.wrong(format!("goes on after the {declared} bytes that its header declares"))),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Appends the next `count` bytes to `bytes`, or all remaining bytes if they are fewer.
    pub(super) fn append(&mut self, bytes: &mut Vec<u8>, count: u64) -> Result<(), DataError> {
        match self.reader.by_ref().take(count).read_to_end(bytes) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// The error behind a failed read: a torn or broken gzip file, or the system.
    fn failed(&self, error: io::Error) -> DataError {
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput
                if self.packed > 0 =>
            {
                self.wrong(format!("is not a whole gzip file ({error})"))
            }
            _ => DataError::Unreadable { path: self.path.clone(), cause: error },
        }
    }
}

/// Opens a file and returns its length. A path that isn't a regular file is refused before it is opened: opening a
/// pipe would wait for its writer.
pub(super) fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok((File::open(path)?, metadata.len()))
}
