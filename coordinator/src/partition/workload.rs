//! What an estimate must know of a run besides its network: sizes, schedule, optimizers, rates.

use proto::lane::Lane;
use proto::spec::optimizer::Method;
use proto::tensor::Kind;
use serde::Serialize;

use super::{LinkRate, PartitionError};
use crate::pipeline::{Schedule, Shape, lanes};

/// A run as estimates see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// N, samples of a minibatch.
    pub batch: u32,
    /// M, microbatches of a minibatch.
    pub microbatches: u32,
    /// The order of a stage's actions.
    pub schedule: Schedule,
    /// How many stages' worth of forwards run ahead.
    pub ahead: u32,
    /// The number format between neighbours.
    pub wire: Kind,
    /// What steps W, biases and norms.
    pub optimizer: Method,
    /// What steps B.
    pub optimizer_backward: Method,
    /// Whether a stage keeps only its inputs and computes the rest again before E.
    pub recompute: bool,
    /// How fast everything is taken to be.
    pub rates: Rates,
}

/// Assumed rates: where nothing was measured they decide, so whoever sees a prediction sees them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// Multiply-adds per second of one stage, in convolutions and dense layers.
    pub macs_per_second: f64,
    /// Bytes per second that one stage reads and writes, in all other layers.
    pub bytes_per_second: f64,
    /// Every link's rate, in each direction.
    pub link: LinkRate,
    /// Seconds by which a message arrives after its last byte was sent.
    pub latency: f64,
}

/// A core's worth of f32, and a good local network.
impl Default for Rates {
    fn default() -> Self {
        Self { macs_per_second: 2e10, bytes_per_second: 5e9, link: LinkRate::default(), latency: 3e-4 }
    }
}

/// 128 samples in 4 microbatches, one_f_one_b with the coordinator counted, f32, Nesterov momentum.
impl Default for Workload {
    fn default() -> Self {
        let optimizer = Method::Sgd { momentum: 0.9, nesterov: true };
        Self {
            batch: 128,
            microbatches: 4,
            schedule: Schedule::OneFOneB,
            ahead: 1,
            wire: Kind::F32,
            optimizer,
            optimizer_backward: optimizer,
            recompute: false,
            rates: Rates::default(),
        }
    }
}

impl Workload {
    /// Samples of the largest microbatch.
    pub fn microbatch(&self) -> u64 {
        self.batch.div_ceil(self.microbatches).into()
    }

    /// The lane of every one of `stages` stages.
    ///
    /// # Errors
    /// No stages, or a number of microbatches that no minibatch has.
    pub fn lanes(&self, stages: u32) -> Result<Vec<Lane>, PartitionError> {
        Ok(lanes(self.schedule, Shape::new(stages, self.microbatches, self.ahead)?))
    }

    pub(super) fn check(&self) -> Result<(), PartitionError> {
        let Self { batch, microbatches, .. } = *self;
        Shape::new(1, microbatches, self.ahead)?;
        if batch < microbatches { Err(PartitionError::Batch { batch, microbatches }) } else { Ok(()) }
    }
}
