//! The judge: takes the network's output, computes the loss, and sends its error back.

use super::failures::{FailureCollector, Precedence};
use super::feed::Expected;
use crate::failure::{Cause, Failure};
use crate::loss::{Totals, softmax_cross_entropy};
use proto::lane::Phase;
use proto::link::{self, Incoming};
use proto::microbatch::Message;
use proto::tensor::{Kind, TensorData};
use proto::wire;
use tokio::sync::mpsc;

/// The loss of a whole minibatch.
#[derive(Clone, Copy, Debug)]
pub struct BatchLoss {
    /// Mean over the minibatch.
    pub loss: f64,
    /// Fractions of the samples that were right.
    pub accuracy: (f64, f64),
    /// Whether every logit was finite.
    pub finite: bool,
}

/// Judges microbatches in the order in which they were fed.
pub struct LossTask {
    /// Number of classes.
    pub classes: usize,
    /// ε of label smoothing; evaluation uses none.
    pub smoothing: f64,
    /// The number format of the last link.
    pub wire: Kind,
    /// The name of the last stage, for sentences.
    pub peer: String,
    /// The name of the network's output.
    pub output: String,
    /// Placement the network's output arrives.
    pub logits: Incoming<wire::Activation>,
    /// Errors on their way to the last stage. Holds a whole minibatch: under gpipe the last stage takes
    /// none before it has sent all its outputs.
    pub outbox: mpsc::Sender<Message>,
    /// One for each minibatch.
    pub results: mpsc::Sender<BatchLoss>,
    /// Placement failures go.
    pub board: FailureCollector,
}

impl LossTask {
    /// Judges until `expected` is closed or the run has ended.
    pub async fn run(mut self, mut expected: mpsc::Receiver<Expected>) {
        let mut minibatch = (Totals::default(), true);
        let board = self.board.clone();
        while let Some(due) = expected.recv().await {
            let judged = tokio::select! {
                biased;
                judged = self.judge(due, &mut minibatch) => judged,
                () = board.ended() => return,
            };
            match judged {
                Ok(true) => {}
                Ok(false) => return,
                Err((closeness, failure)) => return self.board.fail(closeness, failure),
            }
        }
    }

    async fn judge(
        &mut self,
        due: Expected,
        minibatch: &mut (Totals, bool),
    ) -> Result<bool, (Precedence, Failure)> {
        let Expected { identity, labels } = due;
        let logits = self.next_logits(&identity).await?;
        let training = identity.phase == Phase::Train;
        let smoothing = if training { self.smoothing } else { 0.0 };
        let outcome = softmax_cross_entropy(
            &logits.to_f32(),
            self.classes,
            &labels,
            smoothing,
            identity.minibatch as usize,
        )
        .map_err(|error| (Precedence::Cause, Failure::new(Cause::Data, error.to_string())))?;
        minibatch.0.add(&outcome);
        minibatch.1 &= outcome.finite;
        let last = identity.id.index + 1 == identity.microbatches;
        if training {
            let error = TensorData::round_from_f32(self.wire, logits.shape().to_vec(), &outcome.error)
                .map_err(|error| (Precedence::Cause, Failure::internal(error)))?;
            if self
                .outbox
                .send(Message { identity, tensors: vec![(self.output.clone(), error)] })
                .await
                .is_err()
            {
                return Ok(false);
            }
        }
        if last {
            let (totals, finite) = std::mem::replace(minibatch, (Totals::default(), true));
            let judged = BatchLoss { loss: totals.loss(), accuracy: totals.accuracy(), finite };
            return Ok(self.results.send(judged).await.is_ok());
        }
        Ok(true)
    }

    async fn next_logits(
        &mut self,
        due: &proto::microbatch::MicrobatchHeader,
    ) -> Result<TensorData, (Precedence, Failure)> {
        let broke = |why: String| {
            (Precedence::Hearsay, Failure::node(format!("the link from {} broke: {why}", self.peer)))
        };
        let message = match self.logits.next().await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(broke(format!("it ended while {due} was due"))),
            Err(status) => {
                return Err((Precedence::Hearsay, Failure::node(link::broken(&self.peer, &status))));
            }
        };
        if message.identity != *due {
            return Err(broke(format!("it sent {} while {due} was due", message.identity)));
        }
        message
            .tensors
            .into_iter()
            .next()
            .map(|(_, logits)| logits)
            .ok_or_else(|| broke("it sent no output".into()))
    }
}
