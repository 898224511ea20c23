//! The workload of a run, as far as estimates need it: sizes, schedule, optimizers, rates.

use proto::lane::Lane;
use proto::spec::optimizer::Method;
use proto::spec::precision::Precision;
use proto::tensor::Kind;
use serde::Serialize;

use super::{LinkRate, PartitionError};
use crate::pipeline::{Schedule, Shape, lanes, strides};

/// The workload of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// N, samples of a minibatch.
    pub batch: u32,
    /// M, microbatches of a minibatch.
    pub microbatches: u32,
    /// The microbatches of a step under the asynchronous schedule.
    pub update_every: u32,
    /// The steps between two drains of an asynchronous pipeline; 0 for so many that the time of a drain does not count.
    pub between_drains: u32,
    /// The order of a stage's actions.
    pub schedule: Schedule,
    /// The number of stages' worth of forwards that run ahead.
    pub ahead: u32,
    /// The number format of the links.
    pub wire: Kind,
    /// Whether stages keep what that format took from error signals.
    pub error_feedback: bool,
    /// The optimizer of W, biases and norms.
    pub optimizer: Method,
    /// The optimizer of B.
    pub optimizer_backward: Method,
    /// Whether a stage keeps only its inputs and computes the other values again before E.
    pub recompute: bool,
    /// Whether steps compare the signals of W with those of B.
    pub signals: bool,
    /// The number format in which the layers compute.
    pub precision: Precision,
    /// The assumed rates.
    pub rates: Rates,
}

/// The assumed rates. They decide a prediction without measurements, so the plan shows them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// Multiply-adds per second of one stage, in convolutions and dense layers.
    pub macs_per_second: f64,
    /// Bytes per second that one stage reads and writes, in all other layers.
    pub bytes_per_second: f64,
    /// The rate of every host's link, in each direction.
    pub link: LinkRate,
    /// Seconds by which a message arrives after its last byte was sent.
    pub latency: f64,
}

/// The rates of one core in f32, and of a good local network.
impl Default for Rates {
    fn default() -> Self {
        Self { macs_per_second: 2e10, bytes_per_second: 5e9, link: LinkRate::default(), latency: 3e-4 }
    }
}

/// A default of 128 samples in 4 microbatches, one_f_one_b with the coordinator counted, f32, Nesterov momentum.
impl Default for Workload {
    fn default() -> Self {
        let optimizer = Method::Sgd { momentum: 0.9, nesterov: true };
        Self {
            batch: 128,
            microbatches: 4,
            update_every: 4,
            between_drains: 0,
            schedule: Schedule::OneFOneB,
            ahead: 1,
            wire: Kind::F32,
            error_feedback: false,
            optimizer,
            optimizer_backward: optimizer,
            recompute: false,
            signals: false,
            precision: Precision::F32,
            rates: Rates::default(),
        }
    }
}

impl Workload {
    /// Samples of the largest microbatch.
    pub fn microbatch(&self) -> u64 {
        self.batch.div_ceil(self.microbatches).into()
    }

    /// The microbatches of a step: M, or those of an asynchronous step.
    pub fn step_microbatches(&self) -> u32 {
        if self.schedule == Schedule::Asynchronous { self.update_every } else { self.microbatches }
    }

    /// The samples of a step: N, or those of an asynchronous step.
    pub fn step_samples(&self) -> u32 {
        match self.step_microbatches() {
            all if all == self.microbatches => self.batch,
            other => other * (self.batch / self.microbatches),
        }
    }

    /// The shape of an asynchronous pipeline of `stages` stages.
    ///
    /// # Errors
    /// No stages, or a number of microbatches that no step has.
    pub fn asynchronous_shape(&self, stages: u32) -> Result<Shape, PartitionError> {
        Ok(Shape::new(stages, self.update_every, self.ahead)?)
    }

    fn shape(&self, stages: u32) -> Result<Shape, PartitionError> {
        Ok(Shape::new(stages, self.step_microbatches(), self.ahead)?)
    }

    /// Bytes of one number of an activation or an error in a node's memory.
    pub fn number(&self) -> u64 {
        self.precision.size() as u64
    }

    /// Bytes of one number of W or B in the format of activations, beside its value in f32; 0 if there is no such copy.
    pub(super) fn copied_weight(&self) -> u64 {
        if self.precision.copies_weights() { self.number() } else { 0 }
    }

    /// The lanes of `stages` stages.
    ///
    /// # Errors
    /// No stages, or a number of microbatches that no minibatch has.
    pub fn lanes(&self, stages: u32) -> Result<Vec<Lane>, PartitionError> {
        Ok(lanes(self.schedule, self.shape(stages)?))
    }

    /// The lanes of `stages` stages for [`pace`](crate::pipeline::timing::pace).
    ///
    /// # Errors
    /// As [`Workload::lanes`].
    pub fn strides(&self, stages: u32) -> Result<Vec<Lane>, PartitionError> {
        Ok(strides(self.schedule, self.shape(stages)?, self.between_drains))
    }

    pub(super) fn check(&self) -> Result<(), PartitionError> {
        let Self { batch, microbatches, .. } = *self;
        Shape::new(1, microbatches, self.ahead)?;
        if batch < microbatches { Err(PartitionError::Batch { batch, microbatches }) } else { Ok(()) }
    }
}
