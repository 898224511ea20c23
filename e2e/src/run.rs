//! The files in a run's folder.

use crate::digest;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// A run's folder.
pub struct Run {
    /// The folder's path.
    pub folder: PathBuf,
}

impl Run {
    /// The lines of `metrics.jsonl`.
    pub fn metrics(&self) -> Vec<Value> {
        self.lines("metrics.jsonl")
    }

    /// The number of steps in `metrics.jsonl` so far.
    pub fn steps(&self) -> usize {
        fs::read_to_string(self.folder.join("metrics.jsonl")).map_or(0, |text| text.lines().count())
    }

    /// The steps of the snapshots that a local stage holds, ascending.
    pub fn snapshots(&self, stage: usize) -> Vec<u64> {
        let folder = self.folder.join(format!("state/stage-{stage}"));
        let names = fs::read_dir(folder).expect("a state folder").flatten().map(|entry| entry.file_name());
        let steps = names.filter_map(|name| name.to_str()?.strip_prefix("step-")?.parse().ok());
        let mut steps: Vec<u64> = steps.collect();
        steps.sort_unstable();
        steps
    }

    /// Removes the snapshots of all local stages after `step`, as if the run had been killed before it wrote them.
    pub fn forget_after(&self, step: u64) {
        for stage in fs::read_dir(self.folder.join("state")).expect("state/").flatten() {
            for snapshot in fs::read_dir(stage.path()).expect("a state folder").flatten() {
                let name = snapshot.file_name();
                let of = name.to_str().and_then(|name| name.strip_prefix("step-")?.parse::<u64>().ok());
                if of.is_some_and(|of| of > step) {
                    fs::remove_dir_all(snapshot.path()).expect("removable");
                }
            }
        }
    }

    /// The number of the run's starts so far; 0 where the run does not exist yet.
    pub fn starts(&self) -> u64 {
        let text = fs::read_to_string(self.folder.join("run.json")).unwrap_or_default();
        let identity: Value = serde_json::from_str(&text).unwrap_or_default();
        identity["incarnation"].as_u64().unwrap_or_default()
    }

    /// The lines of a file of JSON objects.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text =
            fs::read_to_string(self.folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// `summary.json`.
    pub fn summary(&self) -> Value {
        self.json("summary.json")
    }

    /// A JSON file of the run.
    pub fn json(&self, name: &str) -> Value {
        let text =
            fs::read_to_string(self.folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        serde_json::from_str(&text).expect("JSON")
    }

    /// Losses and accuracies of every step and of every evaluation, in the order of the files.
    pub fn history(&self) -> Vec<String> {
        let steps = self
            .metrics()
            .into_iter()
            .map(|line| format!("{} {} {}", line["step"], line["loss"], line["accuracy"]));
        let evaluations = fs::read_to_string(self.folder.join("evaluations.jsonl")).unwrap_or_default();
        steps.chain(evaluations.lines().map(str::to_owned)).collect()
    }

    /// The digests of all stages together: SHA-256 by tensor.
    pub fn digests(&self) -> BTreeMap<String, String> {
        let stages = fs::read_dir(self.folder.join("state")).expect("state/").flatten();
        stages.flat_map(|stage| digest(&stage.path())).collect()
    }
}
