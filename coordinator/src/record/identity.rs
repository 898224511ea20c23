//! The identity of a run: its name on the wire, and the configuration that decides its bits.

use super::data_mark::DataMark;
use super::files::{read, write_json};
use super::past::Past;
use crate::config::{Config, Data};
use crate::run_error::RunError;
use serde::{Deserialize, Serialize};
use std::path::Path;

const FILE: &str = "run.json";

/// The run's name for its nodes, and the newest snapshot that they must hold; kept in `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunIdentity {
    /// The name, drawn at random: a peer that knows it may open links of the run.
    pub id: String,
    /// The number of starts of the run.
    pub incarnation: u32,
    /// Updates of the newest snapshot that all nodes had; 0 if they never had one. If they have lost that snapshot,
    /// the run must not begin again over the rest of its state.
    #[serde(default)]
    pub saved: u64,
    /// The data that the run began with; `None` for a run of an earlier release, which may go on with any data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataMark>,
    /// The breaks in the run's past.
    #[serde(default)]
    pub past: Past,
}

impl RunIdentity {
    /// A new identity.
    ///
    /// # Errors
    /// A system without a source of randomness.
    pub fn draw() -> Result<Self, RunError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| RunError::internal(format!("the system has no randomness: {error}")))?;
        let id = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id, incarnation: 1, saved: 0, data: None, past: Past::default() })
    }

    /// The identity of the run in `folder`.
    ///
    /// # Errors
    /// A folder without a run, or with a damaged file.
    pub fn read(folder: &Path) -> Result<Self, RunError> {
        read(folder, FILE)
    }

    /// Writes the identity into `folder`.
    pub fn write(&self, folder: &Path) -> Result<(), RunError> {
        write_json(&folder.join(FILE), self)
    }

    /// Counts another start of the run in `folder`, so that nodes refuse late messages of the start before.
    pub fn next(mut self, folder: &Path) -> Result<Self, RunError> {
        let spent = || {
            let file = folder.join(FILE);
            RunError::configuration(format!(
                "{} is damaged: no start of a run comes after this one",
                file.display()
            ))
        };
        self.incarnation = self.incarnation.checked_add(1).ok_or_else(spent)?;
        self.write(folder)?;
        Ok(self)
    }
}

/// The first table or key by which a resumed run would be another run. Addresses, measurements and the order of
/// lanes decide no bit.
pub(super) fn differs(began: &Config, now: &Config) -> Option<&'static str> {
    let (was, is) = (&began.pipeline, &now.pipeline);
    let pixels = |data: &Data| (data.mean.clone(), data.std.clone(), data.augment);
    let same = [
        ("seed", began.seed == now.seed),
        ("model", began.model == now.model),
        ("rule", began.rule == now.rule),
        ("pipeline", was.stages == is.stages && was.microbatches == is.microbatches),
        ("train", began.train == now.train),
        ("optimizer", began.optimizer == now.optimizer),
        ("optimizer_b", began.optimizer_b == now.optimizer_b),
        ("data", (began.data.kind, began.data.limit) == (now.data.kind, now.data.limit)),
        ("data", pixels(&began.data) == pixels(&now.data)),
        ("node.threads", began.node.threads == now.node.threads),
        ("network.wire", began.network.wire == now.network.wire),
    ];
    same.iter().find(|(_, same)| !same).map(|(section, _)| *section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};
    use std::path::Path;

    #[test]
    fn what_decides_a_bit_must_stay_and_the_rest_may_change() {
        let example = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/small.toml"));
        let config = |set: &str| {
            let overrides: Vec<String> = set.split_whitespace().map(str::to_owned).collect();
            config::load(example, &overrides, &Environment::empty()).unwrap()
        };
        let began = config("");
        for (set, section) in [
            ("", None),
            ("data.path=elsewhere data.test_limit=10 network.message_deadline=9", None),
            ("pipeline.ahead=2 metrics.layers_every=3 snapshot.every_steps=4 snapshot.best=true", None),
            ("seed=7", Some("seed")),
            ("data.limit=100", Some("data")),
            ("data.augment=true", Some("data")),
            ("data.mean=[0.25]", Some("data")),
            ("data.std=[0.25]", Some("data")),
            ("node.threads=2", Some("node.threads")),
            ("network.wire=bf16", Some("network.wire")),
        ] {
            assert_eq!(differs(&began, &config(set)), section, "{set}");
        }
    }
}
