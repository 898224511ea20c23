//! The identity of a run: its name on the wire, and the number of its starts.

use super::data_mark::DataMark;
use super::files::{read, write_json};
use super::names::IDENTITY;
use super::past::Past;
use super::start::Start;
use crate::run_error::RunError;
use proto::spec::begin::Begin;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The incarnations of evaluations have this bit. Those of starts are smaller.
const EVALUATION: u32 = 1 << 31;

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
    /// The state of another run, or the files of weights, from which the run began; `None` for a run that began from
    /// its seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin: Option<Begin>,
    /// The breaks in the run's past.
    #[serde(default)]
    pub past: Past,
    /// The starts that have taken over the history, in their order; empty in a run of an earlier release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<Start>,
}

impl RunIdentity {
    /// A new identity.
    ///
    /// # Errors
    /// A system without a source of randomness.
    pub fn draw() -> Result<Self, RunError> {
        let id = random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            id,
            incarnation: 1,
            saved: 0,
            data: None,
            begin: None,
            past: Past::default(),
            starts: Vec::new(),
        })
    }

    /// The identity of the run in `folder`; `elsewhere` says how the user names another folder.
    ///
    /// # Errors
    /// A folder without a run, or with a damaged file.
    pub fn read(folder: &Path, elsewhere: &str) -> Result<Self, RunError> {
        read(folder, IDENTITY, elsewhere)
    }

    /// Writes the identity into `folder`.
    pub fn write(&self, folder: &Path) -> Result<(), RunError> {
        write_json(&folder.join(IDENTITY), self)
    }

    /// Counts another start of the run in `folder`, so that nodes refuse late messages of the start before.
    pub fn next(mut self, folder: &Path) -> Result<Self, RunError> {
        let spent = || {
            let file = folder.join(IDENTITY);
            RunError::configuration(format!(
                "{} is damaged: no start of a run comes after this one",
                file.display()
            ))
        };
        self.incarnation =
            self.incarnation.checked_add(1).filter(|next| *next < EVALUATION).ok_or_else(spent)?;
        self.write(folder)?;
        Ok(self)
    }

    /// The identity for an evaluation, which writes nothing. Its incarnation is drawn from numbers that no start of
    /// the run has, so that nodes refuse late messages of any start, and later starts those of the evaluation.
    ///
    /// # Errors
    /// A system without a source of randomness.
    pub fn for_evaluation(self) -> Result<Self, RunError> {
        Ok(Self { incarnation: u32::from_le_bytes(random()?) | EVALUATION, ..self })
    }
}

fn random<const N: usize>() -> Result<[u8; N], RunError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| RunError::internal(format!("the system has no randomness: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::cut::Cut;
    use super::super::data_mark::SplitMark;
    use super::super::start::How;
    use super::*;
    use proto::spec::optimizer::{Method, OptimizerSpec, Schedule, Shape};

    /// Optimizers with every field that one can have.
    fn optimizers() -> Vec<(u64, OptimizerSpec)> {
        let methods = [
            Method::Sgd { momentum: 0.9, nesterov: true },
            Method::Adam { beta1: 0.9, beta2: 0.9, eps: 1e-8 },
            Method::Sgd { momentum: 0.0, nesterov: false },
        ];
        let shapes =
            [Shape::Constant, Shape::Cosine { total: 9 }, Shape::Step { boundaries: vec![3], factor: 0.1 }];
        let spec = |(method, shape)| OptimizerSpec {
            method,
            lr: 0.1,
            weight_decay: 0.1,
            clip: 1.0,
            delay: 0.0,
            schedule: Schedule { warmup: 1, shape: Shape::clone(&shape) },
            weight_decay_schedule: Schedule { warmup: 2, shape },
        };
        methods.into_iter().zip(shapes).map(|pair| (0, spec(pair))).collect()
    }

    #[test]
    fn every_field_is_documented() {
        let mark = SplitMark { samples: 1, xxh3: String::new() };
        let start = Start { incarnation: 1, how: How::Resumed, after: 1, reached: 2, unix_time: 3 };
        let begin = Begin { run: "run".into(), updates: 1, optimizer: true, backward_is_weight: true };
        let cut = Cut { stages: vec!["fc".into()], split: vec!["fc".into()] };
        let identity = RunIdentity {
            id: "id".into(),
            incarnation: 1,
            saved: 1,
            data: Some(DataMark { train: mark.clone(), test: mark }),
            begin: Some(begin),
            past: Past { imports: vec![1], optimizers: optimizers(), cuts: vec![(1, cut)] },
            starts: vec![start],
        };
        crate::documented::holds("run.json", &[serde_json::json!(identity)]);
    }

    #[test]
    fn a_start_and_an_evaluation_never_have_the_same_number() {
        let folder = tempfile::tempdir().unwrap();
        let begun = RunIdentity::draw().unwrap();
        let evaluation = begun.clone().for_evaluation().unwrap();
        assert!(evaluation.incarnation >= EVALUATION && evaluation.id == begun.id);
        assert!(!folder.path().join(IDENTITY).exists());
        let last = RunIdentity { incarnation: EVALUATION - 1, ..begun };
        assert!(last.next(folder.path()).unwrap_err().sentence.contains("run.json is damaged"));
    }
}
