//! The log of a local node, and the sentence in it about the node's failure.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The most bytes at the end of a log that are read.
const TAIL: u64 = 64 << 10;

/// The log of one start of a node. Earlier starts of the run have written to the same file.
#[derive(Clone, Debug)]
pub(super) struct Log {
    path: PathBuf,
    begin: u64,
}

impl Log {
    /// Opens the log at `path` for another start, and returns the file to which the node writes.
    pub(super) fn open(path: PathBuf) -> io::Result<(Self, File)> {
        let file = File::options().create(true).append(true).open(&path)?;
        let begin = file.metadata()?.len();
        Ok((Self { path, begin }, file))
    }

    /// The path of the log.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The sentence with which the node failed in this start, if it said one.
    pub(super) fn failure(&self) -> Option<String> {
        failure(&self.tail())
    }

    /// The last line of this start that is not empty.
    pub(super) fn last(&self) -> Option<String> {
        last(&self.tail())
    }

    fn tail(&self) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&self.path)?;
            let begin = self.begin.max(file.metadata()?.len().saturating_sub(TAIL));
            file.seek(SeekFrom::Start(begin))?;
            let mut bytes = Vec::new();
            file.take(TAIL).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }
}

fn failure(text: &str) -> Option<String> {
    text.lines().rev().find_map(|line| line.strip_prefix("error: ")).map(str::to_owned)
}

/// A panic's text ends in a note on backtraces, which is no reason.
fn last(text: &str) -> Option<String> {
    let says = |line: &&str| !line.trim().is_empty() && !line.starts_with("note: ");
    text.lines().rev().find(says).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_reason_is_that_of_this_start_and_no_note_on_backtraces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stage-0.log");
        let (_, mut earlier) = Log::open(path.clone()).unwrap();
        writeln!(earlier, "error: a port is taken").unwrap();
        let (log, mut file) = Log::open(path).unwrap();
        assert_eq!((log.failure(), log.last()), (None, None));
        writeln!(file, "error: this node needs 7 threads\nterminated\nnote: run with `RUST_BACKTRACE=1`\n")
            .unwrap();
        assert_eq!(log.failure().as_deref(), Some("this node needs 7 threads"));
        assert_eq!(log.last().as_deref(), Some("terminated"));
    }
}
