//! The files that `layer-node import` is given, and their tensors under the nodes' names.

use super::names::plain;
use super::nodes::Owned;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The counter of torch's norms, which Neuropil does not read.
const COUNTER: &str = "num_batches_tracked";
/// The remedy for a file of torch.save.
const CONVERT: &str = "convert it by safetensors.torch.save_file(torch.load(FILE, weights_only=True), OUT), or what that load holds under 'state_dict' or 'model'";

/// The files' bytes.
pub(super) struct Files(Vec<(PathBuf, Vec<u8>)>);

/// The files' tensors.
pub(super) struct Given<'a> {
    /// By the nodes' names, without torch's counters.
    pub(super) tensors: BTreeMap<String, TensorView<'a>>,
    /// What was taken off the files' names.
    pub(super) off: Vec<String>,
}

impl Files {
    /// Reads the files.
    ///
    /// # Errors
    /// The first file that cannot be read; the error is one sentence.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self, String> {
        let read = |path: &PathBuf| match fs::read(path) {
            Ok(bytes) => Ok((path.clone(), bytes)),
            Err(_) if path.is_dir() => {
                Err(format!("{} is a folder: name the safetensors file in it", path.display()))
            }
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        };
        paths.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The paths for sentences.
    pub(super) fn shown(&self) -> String {
        self.0.iter().map(|(path, _)| path.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    /// The names of the files, without their folders.
    pub(super) fn name(&self) -> String {
        let names = self.0.iter().map(|(path, _)| path.file_name().unwrap_or_default().to_string_lossy());
        names.collect::<Vec<_>>().join(", ")
    }

    /// The tensors of all files under the names of the tensors in `owned`.
    ///
    /// # Errors
    /// A file that is no safetensors file, or a tensor that is given twice; the error is one sentence.
    pub(super) fn tensors(&self, owned: &BTreeMap<String, Owned<'_>>) -> Result<Given<'_>, String> {
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
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        let plain = plain(&names, |name| owned.contains_key(name)).map_err(|[one, two]| {
            let [one, two] = [one, two].map(|name| name.escape_debug().to_string());
            format!("{} holds '{one}' and '{two}', which are one tensor: leave one of them out", self.shown())
        })?;
        let views = all.into_values().map(|(view, _)| view);
        Ok(Given { tensors: plain.names.into_iter().zip(views).collect(), off: plain.off })
    }
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
