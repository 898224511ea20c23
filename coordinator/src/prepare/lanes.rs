//! The lanes of a run's minibatches.

use crate::config::Config;
use crate::pipeline::{self, Schedule, Shape};
use crate::run_error::RunError;
use proto::lane::Lane;
use proto::microbatch::Phase;
use std::collections::HashMap;
use std::sync::Arc;

/// The lanes of all stages by phase and number of microbatches, each computed once.
pub struct Lanes {
    schedule: Schedule,
    stages: u32,
    ahead: u32,
    known: HashMap<(Phase, u32), Arc<[Lane]>>,
}

impl Lanes {
    /// The lanes of `stages` stages under `config`.
    pub fn new(config: &Config, stages: usize) -> Self {
        let (schedule, ahead) = (config.pipeline.schedule, config.pipeline.ahead);
        Self { schedule, stages: stages as u32, ahead, known: HashMap::new() }
    }

    /// One lane per stage for a minibatch of `microbatches`.
    ///
    /// # Errors
    /// A shape that no pipeline has.
    pub fn of(&mut self, phase: Phase, microbatches: u32) -> Result<Arc<[Lane]>, RunError> {
        if let Some(lanes) = self.known.get(&(phase, microbatches)) {
            return Ok(lanes.clone());
        }
        let lanes: Arc<[Lane]> = match phase {
            Phase::Evaluate => vec![Lane::evaluate(microbatches); self.stages as usize].into(),
            Phase::Train => {
                let shape =
                    Shape::new(self.stages, microbatches, self.ahead).map_err(RunError::configuration)?;
                pipeline::lanes(self.schedule, shape).into()
            }
        };
        self.known.insert((phase, microbatches), lanes.clone());
        Ok(lanes)
    }
}
