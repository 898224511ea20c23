//! The session of the worker in one run: the links, the commands, and the reports.

use crate::exec::moments::Moments;
use proto::cancellation::Cancellation;
use proto::control::{Command, Report, Start};
use proto::failure::Failure;
use proto::link::Port;
use proto::spec::split::Crossing;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the failure of a run may wait for room in the queue of reports.
const LAST_WORD: Duration = Duration::from_secs(1);

/// The connections of one run to the neighbours and to the coordinator.
pub struct Session {
    /// The links to other nodes.
    pub links: Links,
    /// The commands in order; the queue is closed when the coordinator has no more.
    pub commands: mpsc::Receiver<Command>,
    /// The coordinator's call.
    pub call: Call,
}

/// The links of a node to other nodes, and to the coordinator's ends of the ring.
pub enum Links {
    /// The links of a stage.
    Stage(Box<StageLinks>),
    /// The link of a backward node to the host of W: values of layers come in, error signals go out.
    Backward(BackwardLink),
}

/// The links of a stage.
pub struct StageLinks {
    /// The link to the neighbour below: activations come in, error signals go out.
    pub below: Port,
    /// The link to the neighbour above: error signals come in, activations go out.
    pub above: Port,
    /// The link to the backward node: error signals come in, values of layers go out. `None` for a stage without split
    /// layers.
    pub backward: Option<BackwardLink>,
}

/// The link of a run between the halves of a stage.
pub struct BackwardLink {
    /// The link.
    pub port: Port,
    /// The values that cross it, in the order of the split layers.
    pub crossings: Vec<Crossing>,
}

/// The coordinator's call that runs the node.
pub struct Call {
    /// The command that started the run.
    pub start: Start,
    /// The replies to commands; a failed run's failure is the last.
    pub reports: mpsc::Sender<Result<Report, Failure>>,
    /// The cancellation that ends every wait of the run.
    pub cancellation: Cancellation,
    /// The moments of steps with a timeline that the worker does not see.
    pub moments: Moments,
}

impl Call {
    /// Sends a report to the coordinator, and waits while its queue is full.
    ///
    /// # Errors
    /// When the coordinator is gone or takes no report within the run's message deadline, or the run has ended.
    pub async fn report(&self, report: Report) -> Result<(), Failure> {
        let sent = async { self.reports.send(Ok(report)).await.ok() };
        let room = || "room for a report".to_owned();
        self.cancellation.wait(self.start.message_deadline, "the coordinator", room, sent).await
    }

    /// Sends the run's failure to the coordinator if it takes reports soon: a coordinator that reads nothing must not
    /// hold the node.
    pub async fn last_word(&self, failure: Failure) {
        let _ = tokio::time::timeout(LAST_WORD, self.reports.send(Err(failure))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::clock::Clock;

    #[tokio::test]
    async fn a_coordinator_that_reads_nothing_holds_no_node() {
        let (reports, _unread) = mpsc::channel(1);
        let deadline = Duration::from_millis(50);
        let (run, incarnation, above, backward) = (String::new(), 1, None, None);
        let start = Start {
            run,
            incarnation,
            above,
            backward,
            connect_deadline: deadline,
            message_deadline: deadline,
        };
        let (cancellation, moments) = (Cancellation::default(), Moments::new(Clock::start()));
        let mut call = Call { start, reports, cancellation, moments };
        assert_eq!(call.report(Report::Started).await, Ok(()), "there is room");
        let late = call.report(Report::Started).await.unwrap_err();
        assert!(late.sentence.contains("for the coordinator, while room for a report was due"), "{late:?}");

        call.start.message_deadline = Duration::from_secs(3600);
        let stopped = Failure::own("the node is being stopped");
        let cancellation = call.cancellation.clone();
        let (reported, ()) =
            tokio::join!(call.report(Report::Started), async { cancellation.fail(stopped.clone()) });
        assert_eq!(reported, Err(stopped.clone()));
        tokio::time::timeout(Duration::from_secs(10), call.last_word(stopped)).await.unwrap();
    }
}
