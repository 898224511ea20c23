//! The kept index of a set of many files, with which a set can be opened without a look at each file.
//!
//! An index is kept in the folder `.neuropil-index` beside the data, or in the user's cache if that folder cannot be
//! written. Nothing depends on it: if it cannot be kept, or is damaged, the files are listed again.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

/// The folder of kept indices, in the folder of the data.
const FOLDER: &str = ".neuropil-index";
/// The version of the index's form. It changes with every change of the contents.
const FORM: u32 = 1;
/// The most bytes of an index that is read: some ten million files.
const LONGEST: u64 = 1 << 30;
/// A folder that changed this many nanoseconds before its index was written may have changed again unseen, as the
/// times of some file systems are no finer.
const UNSURE: i64 = 2_000_000_000;

/// The place of a kept index.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// The files that may hold the index. It is written to the first writable one, and read from the newest.
    places: Vec<PathBuf>,
}

/// An index that was read.
pub(super) struct Found<T> {
    /// The index.
    pub index: T,
    /// The time up to which the index surely contains all changes ([`modified`]).
    pub sure: i64,
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    form: u32,
    index: T,
}

impl Kept {
    /// The place of the index of `what`, a part of the data of `kind` in `folder`.
    pub fn of(folder: &Path, kind: &str, what: &str) -> Self {
        let name = |key: &str| format!("{kind}-{:016x}.json", XxHash3_64::oneshot(key.as_bytes()));
        let beside = folder.join(FOLDER).join(name(what));
        let whole =
            format!("{}\0{what}", fs::canonicalize(folder).unwrap_or_else(|_| folder.into()).display());
        let cached = cache().map(|cache| cache.join("neuropil").join("index").join(name(&whole)));
        Self { places: [Some(beside), cached].into_iter().flatten().collect() }
    }

    /// The newest index of this form, if one is kept. An index beside data that this user cannot write to may be older
    /// than the one in the user's cache.
    pub fn read<T: DeserializeOwned>(&self) -> Option<Found<T>> {
        self.places.iter().filter_map(|place| read(place).ok()).max_by_key(|found| found.sure)
    }

    /// Keeps the index, if there is a place where it can be written.
    pub fn write<T: Serialize>(&self, index: &T) {
        let envelope = Envelope { form: FORM, index };
        let failed = self.places.iter().map_while(|place| write(place, &envelope).err()).last();
        if let Some(error) = failed {
            tracing::debug!(%error, "the index of the data is kept in no place, or not beside the data");
        }
    }

    /// Removes the index: the files are listed again at the next start.
    pub fn discard(&self) {
        for place in &self.places {
            let _ = fs::remove_file(place);
        }
    }
}

/// The time of the last change, in nanoseconds since 1970, as far as they fit.
pub(super) fn modified(metadata: &Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

/// The folder of this user's caches.
fn cache() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
}

fn read<T: DeserializeOwned>(place: &Path) -> io::Result<Found<T>> {
    let file = File::open(place)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > LONGEST {
        return Err(io::Error::other("is no index"));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(LONGEST).read_to_end(&mut bytes)?;
    let Envelope { form, index } = serde_json::from_slice(&bytes)?;
    match form {
        FORM => Ok(Found { index, sure: modified(&metadata).saturating_sub(UNSURE) }),
        _ => Err(io::Error::other("is an index of another form")),
    }
}

/// Writes a whole file or none.
fn write<T: Serialize>(place: &Path, envelope: &Envelope<&T>) -> io::Result<()> {
    let folder = place.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let permissions = Permissions::from_mode(0o644);
    let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(folder)?;
    let mut writer = BufWriter::new(&mut file);
    serde_json::to_writer(&mut writer, envelope)?;
    writer.flush()?;
    drop(writer);
    file.persist(place)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_kept_beside_the_data_until_it_is_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::of(folder.path(), "photos", "train");
        let beside = Kept { places: kept.places[..1].to_vec() };
        assert!(beside.read::<Vec<u64>>().is_none());
        beside.write(&vec![1u64, 2, 3]);
        let found = beside.read::<Vec<u64>>().unwrap();
        let file = fs::metadata(&beside.places[0]).unwrap();
        assert_eq!((found.index, found.sure), (vec![1, 2, 3], modified(&file) - UNSURE));
        assert!(beside.read::<Vec<String>>().is_none(), "an index of another type is none");
        assert!(Kept::of(folder.path(), "photos", "val").read::<Vec<u64>>().is_none());

        fs::write(&beside.places[0], b"{\"form\":1,\"index\":[1,2").unwrap();
        assert!(beside.read::<Vec<u64>>().is_none(), "a torn index is none");
        fs::write(&beside.places[0], b"{\"form\":0,\"index\":[1]}").unwrap();
        assert!(beside.read::<Vec<u64>>().is_none());
        beside.discard();
        assert!(!beside.places[0].exists());
    }

    #[test]
    fn where_the_folder_cannot_be_written_the_next_place_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let [blocked, cached] =
            ["blocked/x/a.json", "cache/neuropil/a.json"].map(|name| folder.path().join(name));
        fs::write(folder.path().join("blocked"), b"a file").unwrap();
        let kept = Kept { places: vec![blocked, cached.clone()] };
        kept.write(&7);
        assert!(cached.exists());
        assert_eq!(kept.read::<u64>().unwrap().index, 7);

        let beside = folder.path().join("beside.json");
        Kept { places: vec![beside.clone()] }.write(&6);
        let old = fs::File::options().write(true).open(&beside).unwrap();
        old.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let both = Kept { places: vec![beside, cached] };
        assert_eq!(both.read::<u64>().unwrap().index, 7, "the one beside the data is older");
        Kept { places: Vec::new() }.write(&7);
    }
}
