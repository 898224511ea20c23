//! The feeder: loads microbatches and sends them to the first stage, as fast as the stage takes them.

use super::failures::FailureCollector;
use super::precedence::Precedence;
use super::{Minibatch, Sets};
use crate::data::{Microbatch, microbatches};
use crate::run_error::RunError;
use proto::lane::Phase;
use proto::link::Outgoing;
use proto::microbatch::{Identity, Message};
use proto::tensor::{Kind, TensorData};
use tokio::sync::mpsc;

/// The labels of a microbatch that is on its way.
pub struct Expected {
    /// Which microbatch.
    pub identity: Identity,
    /// One class per sample.
    pub labels: Vec<u32>,
}

/// Feeds minibatches until their queue is closed. Runs on a thread of its own: loading blocks.
pub struct Feeder {
    /// The data.
    pub sets: Sets,
    /// The run's name on the wire, and its start.
    pub run: (String, u32),
    /// The number format of the first link.
    pub wire: Kind,
    /// The first stage's link.
    pub to_first: Outgoing,
    /// To the loss task.
    pub to_loss: mpsc::Sender<Expected>,
    /// Where failures are reported.
    pub failures: FailureCollector,
}

impl Feeder {
    /// Feeds until `queue` is closed or the run has ended.
    pub fn run(self, mut queue: mpsc::Receiver<Minibatch>) {
        while let Some(minibatch) = queue.blocking_recv() {
            match self.feed(&minibatch) {
                Ok(true) => {}
                Ok(false) => return,
                Err(failure) => return self.failures.fail(Precedence::Cause, failure),
            }
        }
    }

    /// Feeds one minibatch; `false` where the run has ended meanwhile.
    fn feed(&self, minibatch: &Minibatch) -> Result<bool, RunError> {
        let loader = match minibatch.phase {
            Phase::Train => &self.sets.train,
            Phase::Evaluate => &self.sets.test,
        };
        let cuts = microbatches(minibatch.indices.len(), minibatch.microbatches as usize);
        for (index, range) in cuts.iter().enumerate() {
            let Microbatch { shape, images, labels } =
                loader.load(minibatch.epoch, &minibatch.indices[range.clone()])?;
            let identity = Identity {
                run: self.run.0.clone(),
                incarnation: self.run.1,
                step: minibatch.step,
                phase: minibatch.phase,
                minibatch: minibatch.indices.len() as u32,
                microbatches: cuts.len() as u32,
                index: index as u32,
                offset: range.start as u32,
                size: range.len() as u32,
            };
            let shape = shape.iter().map(|&size| size as u64).collect();
            let images = TensorData::new(Kind::F32, shape, vec![images]).map_err(RunError::internal)?;
            let images = images.to_kind(self.wire).map_err(RunError::internal)?;
            let message = Message {
                identity: identity.clone(),
                tensors: vec![(proto::spec::graph::INPUT.into(), images)],
            };
            let expected = Expected { identity, labels };
            if self.to_loss.blocking_send(expected).is_err() || !self.to_first.blocking_put(message) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
