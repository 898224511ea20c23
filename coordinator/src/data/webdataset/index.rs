//! The index of the shards of a split: the contents of each shard, read once and kept until the shard changes.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use serde::{Deserialize, Serialize};

use super::samples::Contents;
use super::tar::Members;
use super::window::Window;
use crate::data::DataError;
use crate::data::error::missing;
use crate::data::index_cache::{Kept, modified};

/// The remedy for a shard with wrong content.
const REPLACE: &str = "replace it with a fresh copy, or leave it out of data.train and data.test";
/// The remedy for a missing shard.
const FIND: &str = "set data.path to the folder of the shards, and data.train and data.test to their names";
/// The first bytes of compressed files: gzip, Zstandard, xz and bzip2.
const COMPRESSED: [&[u8]; 4] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh"];

/// One shard in the state in which it was indexed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Shard {
    /// The name below the folder of the data.
    pub name: String,
    /// The size in bytes.
    pub size: u64,
    /// The time of the last change ([`modified`]).
    pub modified: i64,
    /// The contents.
    pub contents: Contents,
}

/// The index of the shards `names` in `folder`, in this order; `label_key` is the key of labels in `.json` files. The
/// shards that are not in the kept index, or have changed since, are read, several at a time.
///
/// # Errors
/// A shard that is missing, unreadable or no whole tar archive.
pub(super) fn index(folder: &Path, names: &[String], label_key: &str) -> Result<Vec<Shard>, DataError> {
    let kept = Kept::of(folder, "webdataset", &format!("{label_key}\0{}", names.join("\0")));
    // A shard that changed shortly before the index was written may have changed again unnoticed.
    let known = kept.read::<Vec<Shard>>().map_or_else(Vec::new, |found| {
        let holds = |shard: &Shard| shard.modified < found.sure && shard.contents.fits(shard.size);
        found.index.into_iter().filter(holds).collect()
    });
    let mut known: HashMap<String, Shard> =
        known.into_iter().map(|shard| (shard.name.clone(), shard)).collect();
    let mut shards = Vec::with_capacity(names.len());
    for name in names {
        let now = state(folder, name)?;
        shards.push(known.remove(name).filter(|shard| (shard.size, shard.modified) == now));
    }
    let unknown: Vec<usize> = (0..names.len()).filter(|&at| shards[at].is_none()).collect();
    if unknown.is_empty() {
        return Ok(shards.into_iter().flatten().collect());
    }
    tracing::info!(folder = %folder.display(), "indexing {} of {} shards", unknown.len(), names.len());
    let new: Vec<(usize, Shard)> = several(&unknown, |at| Ok((at, read(folder, &names[at], label_key)?)))?;
    new.into_iter().for_each(|(at, shard)| shards[at] = Some(shard));
    let shards: Vec<Shard> = shards.into_iter().flatten().collect();
    kept.write(&shards);
    Ok(shards)
}

/// Size and time of the last change of a shard, which must be a regular file.
///
/// # Errors
/// A shard that is not there or is no file.
pub(super) fn state(folder: &Path, name: &str) -> Result<(u64, i64), DataError> {
    let path = folder.join(name);
    if !path.exists() {
        return Err(missing(folder, &[name], FIND));
    }
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => Ok(of(&metadata)),
        Ok(_) => Err(DataError::malformed(&path, "is no file", REPLACE)),
        Err(cause) => Err(DataError::Unreadable { path, cause }),
    }
}

/// Size and time of the last change.
pub(super) fn of(metadata: &Metadata) -> (u64, i64) {
    (metadata.len(), modified(metadata))
}

/// Reads a shard from its first header to its last.
fn read(folder: &Path, name: &str, label_key: &str) -> Result<Shard, DataError> {
    let path = folder.join(name);
    let unreadable = |cause| DataError::Unreadable { path: path.clone(), cause };
    let malformed = |wrong: String| DataError::malformed(&path, wrong, REPLACE);
    let file = File::open(&path).map_err(unreadable)?;
    let before = of(&file.metadata().map_err(unreadable)?);
    let (size, modified) = before;
    if size == 0 {
        return Err(malformed("is empty".into()));
    }
    let mut window = Window::new(&file, size);
    let start = window.read(0, size.min(8) as usize).map_err(malformed)?.unwrap_or_default();
    if COMPRESSED.iter().any(|magic| start.starts_with(magic)) {
        let wrong = "is compressed, but its samples are read by their places";
        return Err(DataError::malformed(&path, wrong, "unpack it to a plain .tar"));
    }
    let contents = Contents::read(Members::new(window), label_key).map_err(malformed)?;
    match of(&file.metadata().map_err(unreadable)?) == before {
        true => Ok(Shard { name: name.to_owned(), size, modified, contents }),
        false => Err(malformed("changed while it was read".into())),
    }
}

/// The results of `work` for all of `places`, on all cores; the first error in time ends the work.
fn several<T: Send>(
    places: &[usize],
    work: impl Fn(usize) -> Result<T, DataError> + Sync,
) -> Result<Vec<T>, DataError> {
    let next = Mutex::new(places.iter());
    let take = || next.lock().ok().and_then(|mut next| next.next().copied());
    let stop = || next.lock().map(|mut next| *next = [].iter());
    let one = || {
        let mut done = Vec::new();
        while let Some(place) = take() {
            done.push(work(place).inspect_err(|_| drop(stop()))?);
        }
        Ok(done)
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(places.len());
    thread::scope(|scope| {
        // The caller's thread works as well, so the work is done even if the system refuses every other thread.
        let others = (1..threads).map_while(|_| thread::Builder::new().spawn_scoped(scope, one).ok());
        let others: Vec<_> = others.collect();
        let mut all: Vec<T> = one()?;
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(all)
    })
}
