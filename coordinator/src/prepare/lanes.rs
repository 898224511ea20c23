//! The lanes of a run's minibatches.

use crate::config::Config;
use crate::driver::{Minibatch, StepLanes};
use crate::pipeline::{self, Schedule, Shape, asynchronous};
use crate::run_error::RunError;
use proto::lane::Lane;
use proto::microbatch::Phase;
use std::collections::HashMap;
use std::sync::Arc;

/// The lanes of all stages, each computed once.
pub struct Lanes {
    schedule: Schedule,
    stages: u32,
    ahead: u32,
    known: HashMap<Key, StepLanes>,
}

/// Everything that lanes depend on: the phase, the microbatches of the step and of the steps that follow it, and whether
/// the pipeline is empty before it.
type Key = (Phase, Vec<u32>, bool);

impl Lanes {
    /// The lanes of `stages` stages under `config`.
    pub fn new(config: &Config, stages: usize) -> Self {
        let (schedule, ahead) = (config.pipeline.schedule, config.pipeline.ahead);
        Self { schedule, stages: stages as u32, ahead, known: HashMap::new() }
    }

    /// The lanes for `minibatch`, which begin at step 0.
    ///
    /// # Errors
    /// A shape that no pipeline has.
    pub fn of(&mut self, minibatch: &Minibatch) -> Result<StepLanes, RunError> {
        let following = minibatch.place.following.iter().map(|following| following.microbatches);
        let steps: Vec<u32> = std::iter::once(minibatch.microbatches).chain(following).collect();
        let key = (minibatch.phase, steps, minibatch.place.begins);
        if let Some(lanes) = self.known.get(&key) {
            return Ok(lanes.clone());
        }
        let lanes = self.compute(&key)?;
        self.known.insert(key, lanes.clone());
        Ok(lanes)
    }

    fn compute(&self, (phase, steps, begins): &Key) -> Result<StepLanes, RunError> {
        let (stages, microbatches) = (self.stages, steps[0]);
        if *phase == Phase::Evaluate {
            let lanes: Arc<[Lane]> = vec![Lane::evaluate(microbatches); stages as usize].into();
            return Ok(lanes.into());
        }
        let shape = Shape::new(stages, microbatches, self.ahead).map_err(RunError::configuration)?;
        if self.schedule != Schedule::Asynchronous {
            let lanes: Arc<[Lane]> = pipeline::lanes(self.schedule, shape).into();
            return Ok(lanes.into());
        }
        let part = |stage| asynchronous::part(shape.lead(stage), steps, *begins);
        let told = (0..stages).map(part).collect();
        // On the microbatches of one step, the actions are those of this schedule.
        Ok(StepLanes { told, own: pipeline::lanes(Schedule::OneFOneB, shape).into() })
    }
}
