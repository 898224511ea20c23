//! The loss task: takes the network's output, computes the loss, and sends the error signal back.

use super::failures::FailureCollector;
use super::feed::Expected;
use super::journal::{Journal, Task, at};
use super::precedence::Precedence;
use crate::loss::{Guess, Totals, guesses, softmax_cross_entropy};
use crate::run_error::{Cause, RunError};
use proto::link::{Carried, Incoming};
use proto::microbatch::Phase;
use proto::microbatch::{Message, MicrobatchHeader};
use proto::tensor::{Kind, TensorData};
use tokio::sync::mpsc;

/// The loss of a whole minibatch.
#[derive(Clone, Debug)]
pub struct BatchLoss {
    /// Mean over the minibatch.
    pub loss: f64,
    /// The fractions of samples that were right: at the first guess, and among five.
    pub accuracy: (f64, f64),
    /// Whether every logit was finite.
    pub finite: bool,
    /// The network's answer for each sample of an evaluation, in order; none in training.
    pub guesses: Vec<Guess>,
}

/// The sums over the microbatches of a minibatch so far.
#[derive(Default)]
struct Sums {
    totals: Totals,
    guesses: Vec<Guess>,
}

/// Computes the losses of microbatches in the order in which they were fed.
pub struct LossTask {
    /// Number of classes.
    pub classes: usize,
    /// ε of label smoothing; evaluation uses none.
    pub smoothing: f64,
    /// The factor on the error.
    pub scale: f32,
    /// The number format of the last link.
    pub wire: Kind,
    /// The name of the network's output.
    pub output: String,
    /// The link that brings the network's output.
    pub logits: Incoming,
    /// Error signals on their way to the last stage. The outbox holds a whole minibatch, because under gpipe the
    /// last stage takes no error before it has sent all its outputs.
    pub outbox: mpsc::Sender<Message>,
    /// One result per minibatch.
    pub results: mpsc::Sender<BatchLoss>,
    /// The failure collector.
    pub failures: FailureCollector,
    /// The coordinator's part in timelines.
    pub journal: Journal,
}

impl LossTask {
    /// Works until `expected` is closed or the run has ended.
    pub async fn run(mut self, mut expected: mpsc::Receiver<Expected>) {
        let mut minibatch = Sums::default();
        let failures = self.failures.clone();
        while let Some(due) = expected.recv().await {
            let done = tokio::select! {
                biased;
                done = self.microbatch(due, &mut minibatch) => done,
                () = failures.ended() => return,
            };
            match done {
                Ok(true) => {}
                Ok(false) => return,
                Err((precedence, failure)) => return failures.fail(precedence, failure),
            }
        }
    }

    /// Takes one microbatch; `false` if the run has ended meanwhile.
    async fn microbatch(
        &mut self,
        due: Expected,
        minibatch: &mut Sums,
    ) -> Result<bool, (Precedence, RunError)> {
        let Expected { header, labels } = due;
        let logits = self.next_logits(&header).await?;
        let start_ns = self.journal.now_ns();
        let training = header.phase == Phase::Train;
        let smoothing = if training { self.smoothing } else { 0.0 };
        let values = logits.to_f32();
        let outcome =
            softmax_cross_entropy(&values, self.classes, &labels, smoothing, header.minibatch as usize)
                .map_err(|error| (Precedence::Cause, RunError::new(Cause::Data, error.to_string())))?;
        minibatch.totals.add(&outcome);
        if !training {
            minibatch.guesses.extend(guesses(&values, self.classes, &labels));
        }
        let last = header.id.index + 1 == header.microbatches;
        if training {
            let error: Vec<f32> = outcome.error.iter().map(|error| error * self.scale).collect();
            let error = TensorData::round_from_f32(self.wire, logits.shape().to_vec(), &error)
                .map_err(|error| (Precedence::Cause, RunError::internal(error)))?;
            self.journal.worked(at(&header), Task::Loss, start_ns);
            let message = Message { header, tensors: vec![(self.output.clone(), error)] };
            if self.outbox.send(message).await.is_err() {
                return Ok(false);
            }
        }
        if last {
            let Sums { totals, guesses } = std::mem::take(minibatch);
            let (loss, accuracy, finite) = (totals.loss(), totals.accuracy(), totals.finite);
            let loss = BatchLoss { loss, accuracy, finite, guesses };
            return Ok(self.results.send(loss).await.is_ok());
        }
        Ok(true)
    }

    async fn next_logits(&mut self, due: &MicrobatchHeader) -> Result<TensorData, (Precedence, RunError)> {
        let peer = self.logits.peer().clone();
        let broke = |why: String| {
            (Precedence::Neighbour, RunError::node(format!("the link from {peer} broke: {why}")))
        };
        let start_ns = self.journal.now_ns();
        let message = match self.logits.next().await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(broke(format!("it ended while {due} was due"))),
            Err(failure) => return Err((failure.kind.into(), failure.into())),
        };
        if message.header != *due {
            let why = format!("the link from {peer} broke: it sent {} while {due} was due", message.header);
            let failure = self.logits.refuse(Carried::Activations, why);
            return Err((failure.kind.into(), failure.into()));
        }
        let of = (peer.role, false, Carried::Activations);
        self.journal.transferred(of, at(due), message.payload(), start_ns);
        let logits = message.tensors.into_iter().next().map(|(_, logits)| logits);
        logits.ok_or_else(|| broke("it sent no output".into()))
    }
}
