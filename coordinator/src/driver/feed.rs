//! The feeder: loads microbatches and sends them to the first stage, as fast as that takes them.

use super::failures::{FailureCollector, Precedence};
use super::{Minibatch, Sets};
use crate::data::{Microbatch, microbatches};
use crate::failure::Failure;
use proto::lane::Phase;
use proto::microbatch::{Message, MicrobatchHeader, MicrobatchId};
use proto::tensor::{Kind, TensorData};
use tokio::sync::mpsc;

/// The labels of a microbatch that is on its way.
pub struct Expected {
    /// Which microbatch.
    pub identity: MicrobatchHeader,
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
    pub to_first: mpsc::Sender<Message>,
    /// To whoever computes the loss.
    pub to_judge: mpsc::Sender<Expected>,
    /// Placement failures go.
    pub board: FailureCollector,
}

impl Feeder {
    /// Feeds until `queue` is closed or the run has ended.
    pub fn run(self, mut queue: mpsc::Receiver<Minibatch>) {
        while let Some(minibatch) = queue.blocking_recv() {
            match self.feed(&minibatch) {
                Ok(true) => {}
                Ok(false) => return,
                Err(failure) => return self.board.fail(Precedence::Cause, failure),
            }
        }
    }

    /// Feeds one minibatch; `false` where the run has ended meanwhile.
    fn feed(&self, minibatch: &Minibatch) -> Result<bool, Failure> {
        let loader = match minibatch.phase {
            Phase::Train => &self.sets.train,
            Phase::Evaluate => &self.sets.test,
        };
        let cuts = microbatches(minibatch.indices.len(), minibatch.microbatches as usize);
        for (index, range) in cuts.iter().enumerate() {
            let Microbatch { shape, images, labels } =
                loader.load(minibatch.epoch, &minibatch.indices[range.clone()])?;
            let identity = MicrobatchHeader {
                run: self.run.0.clone(),
                incarnation: self.run.1,
                phase: minibatch.phase,
                id: MicrobatchId { step: minibatch.step, index: index as u32 },
                minibatch: minibatch.indices.len() as u32,
                microbatches: cuts.len() as u32,
                offset: range.start as u32,
                size: range.len() as u32,
            };
            let shape = shape.iter().map(|&size| size as u64).collect();
            let images = TensorData::new(Kind::F32, shape, vec![images]).map_err(Failure::internal)?;
            let images = images.to_kind(self.wire).map_err(Failure::internal)?;
            let message = Message {
                identity: identity.clone(),
                tensors: vec![(proto::spec::graph::INPUT.into(), images)],
            };
            let expected = Expected { identity, labels };
            if self.to_judge.blocking_send(expected).is_err() || self.to_first.blocking_send(message).is_err()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
