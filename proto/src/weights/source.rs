//! The safetensors files of one network, and their tensors under the names of the nodes. The files may come from any
//! program: nothing is believed before it is checked.

use super::names::plain;
use crate::disk::cannot;
use crate::host::{Bytes, Memory};
use crate::state_file::Snapshot;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use twox_hash::XxHash3_128;

/// The counter of torch's norms, which Neuropil does not read.
const COUNTER: &str = "num_batches_tracked";
/// The remedy for a file of torch.save.
const CONVERT: &str = "convert it by safetensors.torch.save_file(torch.load(FILE, weights_only=True), OUT), or what that load holds under 'state_dict' or 'model'";

/// The files' bytes.
pub struct Source(Vec<(PathBuf, Vec<u8>)>);

/// The files' tensors.
pub struct Given<'a> {
    /// By the nodes' names, without torch's counters.
    pub tensors: BTreeMap<String, TensorView<'a>>,
    /// The words that were taken off the files' names.
    pub off: Vec<String>,
}

impl Source {
    /// Reads the files.
    ///
    /// # Errors
    /// The first file that cannot be read, or that is too large for this host; the error is one sentence.
    pub fn read(paths: &[PathBuf]) -> Result<Self, String> {
        let mut room = Memory::now().map_or(u64::MAX, |memory| memory.available);
        paths
            .iter()
            .map(|path| Ok((path.clone(), read(path, &mut room)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The files of `snapshots`, which have been checked.
    pub fn of_snapshots(snapshots: Vec<Snapshot>) -> Self {
        Self(snapshots.into_iter().map(Snapshot::into_file).collect())
    }

    /// The paths for sentences.
    pub fn shown(&self) -> String {
        self.0.iter().map(|(path, _)| path.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    /// The names of the files, without their folders.
    pub fn name(&self) -> String {
        let names = self.0.iter().map(|(path, _)| path.file_name().unwrap_or_default().to_string_lossy());
        names.collect::<Vec<_>>().join(", ")
    }

    /// A name for the files' bytes, which is the same in whichever order the files are given: 32 hexadecimal digits.
    pub fn id(&self) -> String {
        let mut hashes: Vec<u128> = self.0.iter().map(|(_, bytes)| XxHash3_128::oneshot(bytes)).collect();
        hashes.sort_unstable();
        let hash = match &hashes[..] {
            [only] => *only,
            several => {
                XxHash3_128::oneshot(&several.iter().flat_map(|hash| hash.to_le_bytes()).collect::<Vec<_>>())
            }
        };
        format!("{hash:032x}")
    }

    /// The metadata of each file.
    ///
    /// # Errors
    /// As [`Source::tensors`].
    pub fn metadata(&self) -> Result<Vec<HashMap<String, String>>, String> {
        let of = |(path, bytes): &(PathBuf, Vec<u8>)| {
            parse(path, bytes)?;
            let header = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?.1;
            Ok(header.metadata().clone().unwrap_or_default())
        };
        self.0.iter().map(of).collect()
    }

    /// The tensors of all files under the names that `is_owned` knows, as far as it knows them.
    ///
    /// # Errors
    /// A file that is no safetensors file, or a tensor that is given twice; the error is one sentence.
    pub fn tensors(&self, is_owned: impl Fn(&str) -> bool) -> Result<Given<'_>, String> {
        let all = self.all()?;
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        let plain = plain(&names, is_owned).map_err(|[one, two]| {
            let [one, two] = [one, two].map(|name| name.escape_debug().to_string());
            format!("{} holds '{one}' and '{two}', which are one tensor: leave one of them out", self.shown())
        })?;
        Ok(Given { tensors: plain.names.into_iter().zip(all.into_values()).collect(), off: plain.off })
    }

    /// The tensors of all files under the files' own names.
    ///
    /// # Errors
    /// As [`Source::tensors`].
    pub fn all(&self) -> Result<BTreeMap<String, TensorView<'_>>, String> {
        let mut all: BTreeMap<String, (TensorView, &Path)> = BTreeMap::new();
        for (path, bytes) in &self.0 {
            for (name, view) in parse(path, bytes)?.tensors() {
                if name.rsplit('.').next() == Some(COUNTER) {
                    continue;
                }
                if let Some((_, other)) = all.get(&name) {
                    let (name, other) = (name.escape_debug(), other.display());
                    return Err(format!(
                        "'{name}' is in {other} and in {}: give every file of one network once",
                        path.display()
                    ));
                }
                all.insert(name, (view, path));
            }
        }
        Ok(all.into_iter().map(|(name, (view, _))| (name, view)).collect())
    }
}

/// The bytes of a file, which takes its share of the `room` in memory.
fn read(path: &Path, room: &mut u64) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let failed = |error| format!("cannot read {shown}: {error}");
    if path.is_dir() {
        return Err(format!("{shown} is a folder: name the safetensors file in it"));
    }
    // To open a pipe would wait for its other end.
    let about = fs::metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(format!("{shown} is no regular file: name a safetensors file"));
    }
    let size = about.len();
    *room = room.checked_sub(size).ok_or_else(|| {
        format!(
            "{shown} has {}, for which this host has no free memory: free some, or use another host",
            Bytes(size)
        )
    })?;
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(size)
        .read_to_end(&mut bytes)
        .map_err(|error| cannot("cannot read", path, &error, "name another file"))?;
    Ok(bytes)
}

/// The safetensors file in `bytes`.
fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>, String> {
    SafeTensors::deserialize(bytes).map_err(|error| {
        let path = path.display();
        match bytes {
            [] => format!("{path} is empty: give a safetensors file"),
            // A zip archive, as torch.save writes it, or a bare pickle, as it did before.
            [b'P', b'K', 3, 4, ..] | [0x80, 2..=5, ..] => {
                format!(
                    "{path} is a pickle of torch.save, which could run any program when it is read: {CONVERT}"
                )
            }
            _ => match shards(bytes) {
                Some(files) => {
                    format!("{path} is the index of a network in several files: give these, {files}")
                }
                None => format!(
                    "{path} is no safetensors file, or torn ({error}): a .pth is no such file, {CONVERT}"
                ),
            },
        }
    })
}

/// The files that an index of safetensors files names.
fn shards(bytes: &[u8]) -> Option<String> {
    let index: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let files: BTreeSet<&str> =
        index.get("weight_map")?.as_object()?.values().filter_map(|file| file.as_str()).collect();
    (!files.is_empty()).then(|| files.into_iter().collect::<Vec<_>>().join(" ").escape_debug().to_string())
}
