//! The configuration for the pods: the user's configuration, resolved, without paths of the user's machine and with the
//! settings that a cluster needs.

use super::MARK;
use super::templates::DATA_MOUNT;
use crate::config::{CONNECT_DEADLINE, Config, ConfigError};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Seconds for which the coordinator and the nodes look for each other. Pods come in any order, and each may have to
/// wait for a host and for its image.
const CONNECT_DEADLINE_OF_PODS: f64 = 600.0;
/// Steps between snapshots if the configuration has no snapshots. Without them, every lost pod would set the run back
/// to its beginning, so that it would hardly ever end on a cluster. Snapshots change no bit of the result.
pub const SNAPSHOT_STEPS: u64 = 100;
/// Where the demo's image has its data.
const IMAGE_DATA: &str = "/usr/share/neuropil/data";

/// The most bytes of a configuration: a ConfigMap has room for 1 MiB, names and labels among them.
const MAX_CONFIG: usize = 1_000_000;

/// The place where the pods look for the data, if it differs from the user's `data.path`.
pub fn other_path(config: &Config) -> Option<PathBuf> {
    let default = default_path(config.data.kind.folder());
    let path =
        config.to_table().ok().and_then(|table| Some(table.get("data")?.get("path")?.as_str()?.to_owned()));
    let is_other = path.is_some_and(|path| Path::new(&path) != default && !is_in_pods(Path::new(&path)));
    is_other.then_some(default)
}

/// The text of `config.toml`.
///
/// # Errors
/// A configuration that does not fit into a ConfigMap.
pub(super) fn toml(config: &Config) -> Result<String, ConfigError> {
    let mut config = config.clone();
    if config.network.connect_deadline == CONNECT_DEADLINE {
        config.network.connect_deadline = CONNECT_DEADLINE_OF_PODS;
    }
    if config.snapshot.every_steps == 0 {
        config.snapshot.every_steps = SNAPSHOT_STEPS;
    }
    let mut table = config.to_table()?;
    if let Some(Value::Table(data)) = table.get_mut("data") {
        place(data, config.data.kind.folder());
    }
    let text = toml::to_string(&table).map_err(|why| ConfigError::new(why.to_string()))?;
    match text.len() > MAX_CONFIG {
        true => Err(ConfigError::new(format!(
            "the configuration has {} bytes when every key is written out, and a ConfigMap has room for {MAX_CONFIG}: \
             describe a network of fewer layers, or by its name in model.name",
            text.len()
        ))),
        false => Ok(format!("{MARK}\n{text}")),
    }
}

/// Leaves `path` out, unless it is a place within `NEUROPIL_DATA`, or one that a pod has: the coordinator then looks
/// for the folder of its kind within `NEUROPIL_DATA`, or for the files themselves.
fn place(data: &mut Table, folder: &str) {
    let default = default_path(folder);
    let stays = data.get("path").and_then(Value::as_str).map(Path::new);
    if !stays.is_some_and(|path| path != default && is_in_pods(path)) {
        data.remove("path");
    }
}

fn default_path(folder: &str) -> PathBuf {
    Path::new("data").join(folder)
}

/// Whether a pod may have `path`: within its `NEUROPIL_DATA`, or where it has data.
fn is_in_pods(path: &Path) -> bool {
    path.is_relative() || [DATA_MOUNT, IMAGE_DATA].iter().any(|mount| path.starts_with(mount))
}
