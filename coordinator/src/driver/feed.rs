//! The feeder: sends microbatches to the first stage as fast as that stage takes them, and loads the next ones
//! meanwhile.

use super::failures::FailureCollector;
use super::journal::{Journal, Task, at};
use super::precedence::Precedence;
use super::{Minibatch, Sets};
use crate::data::{Microbatch, Pool, Request, microbatches};
use crate::run_error::RunError;
use proto::link::{Carried, Outgoing};
use proto::microbatch::Phase;
use proto::microbatch::{Message, MicrobatchHeader, MicrobatchId};
use proto::tensor::{Kind, TensorData};
use std::cell::Cell;
use std::ops::Range;
use tokio::sync::mpsc;

/// The labels of a microbatch that is on its way.
pub struct Expected {
    /// The microbatch.
    pub header: MicrobatchHeader,
    /// One class per sample.
    pub labels: Vec<u32>,
}

/// Feeds minibatches until the queue is closed. The feeder runs on a thread of its own, because loading blocks.
pub struct Feeder {
    /// The data.
    pub sets: Sets,
    /// The run's name on the wire, and its start.
    pub run: (String, u32),
    /// The first stage's link.
    pub to_first: Outgoing,
    /// The queue to the loss task.
    pub to_loss: mpsc::Sender<Expected>,
    /// The failure collector.
    pub failures: FailureCollector,
    /// The coordinator's part in timelines.
    pub journal: Journal,
}

impl Feeder {
    /// Feeds until `queue` is closed or the run has ended.
    pub fn run(self, queue: mpsc::Receiver<Minibatch>) {
        if let Err(failure) = self.feed(queue) {
            self.failures.fail(Precedence::Cause, failure);
        }
    }

    fn feed(&self, mut queue: mpsc::Receiver<Minibatch>) -> Result<(), RunError> {
        let mut pool = Pool::new(self.sets.threads(), self.sets.prefetch).map_err(RunError::internal)?;
        let mut parts = Vec::new().into_iter();
        // The wait for a minibatch is no loading.
        let came = Cell::new(0);
        let mut more = |idle| loop {
            if let Some(part) = parts.next() {
                return Some(part);
            }
            let minibatch = if idle { queue.blocking_recv() } else { queue.try_recv().ok() };
            if idle {
                came.set(self.journal.now_ns());
            }
            parts = self.cut(&minibatch?).into_iter();
        };
        loop {
            let start_ns = self.journal.now_ns();
            let Some((header, microbatch)) = pool.next(&mut more) else { return Ok(()) };
            self.journal.worked(at(&header), Task::Load, start_ns.max(came.get()));
            if !self.send(header, microbatch?)? {
                return Ok(());
            }
        }
    }

    /// The microbatches of `minibatch`.
    fn cut(&self, minibatch: &Minibatch) -> Vec<Request<MicrobatchHeader>> {
        let loader = match minibatch.phase {
            Phase::Train => &self.sets.train,
            Phase::Evaluate => &self.sets.test,
        };
        let cuts = microbatches(minibatch.indices.len(), minibatch.microbatches as usize);
        let request = |(index, range): (usize, &Range<usize>)| {
            let tag = MicrobatchHeader {
                run: self.run.0.clone(),
                incarnation: self.run.1,
                phase: minibatch.phase,
                id: MicrobatchId { step: minibatch.step, index: index as u32 },
                minibatch: minibatch.indices.len() as u32,
                microbatches: cuts.len() as u32,
                offset: range.start as u32,
                size: range.len() as u32,
                form: 0,
            };
            let indices = minibatch.indices[range.clone()].to_vec();
            Request { tag, loader: loader.clone(), epoch: minibatch.epoch, indices }
        };
        cuts.iter().enumerate().map(request).collect()
    }

    /// Sends a microbatch to the first stage and its labels to the loss task; `false` if the run has ended.
    fn send(&self, header: MicrobatchHeader, microbatch: Microbatch) -> Result<bool, RunError> {
        let Microbatch { shape, images, labels } = microbatch;
        let shape = shape.iter().map(|&size| size as u64).collect();
        let images = TensorData::new(Kind::U8, shape, images).map_err(RunError::internal)?;
        let message =
            Message { header: header.clone(), tensors: vec![(proto::spec::graph::INPUT.into(), images)] };
        let (at, bytes, start_ns) = (at(&header), message.payload(), self.journal.now_ns());
        let expected = Expected { header, labels };
        let sent = self.to_loss.blocking_send(expected).is_ok() && self.to_first.blocking_put(message);
        let of = (self.to_first.peer().role, true, Carried::Activations);
        self.journal.transferred(of, at, bytes, start_ns);
        Ok(sent)
    }
}
