//! The session of the worker in one run: two links, the commands, and the reports.

use proto::cancellation::Cancellation;
use proto::control::{Command, Report, Start};
use proto::failure::Failure;
use proto::link::Port;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the failure of a run may wait for room in the queue of reports.
const LAST_WORD: Duration = Duration::from_secs(1);

/// The connections of one run to the neighbours and to the coordinator.
pub struct Session {
    /// The command that started the run.
    pub start: Start,
    /// The link to the neighbour below: activations come in, error signals go out.
    pub below: Port,
    /// The link to the neighbour above: error signals come in, activations go out.
    pub above: Port,
    /// The commands in order; the queue is closed when the coordinator has no more.
    pub commands: mpsc::Receiver<Command>,
    /// The replies to commands; a failed run's failure is the last.
    pub reports: mpsc::Sender<Result<Report, Failure>>,
    /// The cancellation that ends every wait of the run.
    pub cancellation: Cancellation,
}

impl Session {
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
    use proto::link::{Contract, Link, Peer};

    fn port() -> Port {
        let contract = Contract {
            run: String::new(),
            incarnation: 1,
            values: Vec::new(),
            kind: proto::tensor::Kind::F32,
            max_microbatch: 1,
            max_microbatches: 1,
        };
        Link::new(Peer::coordinator(), contract).queues().0
    }

    #[tokio::test]
    async fn a_coordinator_that_reads_nothing_holds_no_node() {
        let (reports, _unread) = mpsc::channel(1);
        let deadline = Duration::from_millis(50);
        let (run, incarnation, above) = (String::new(), 1, None);
        let start = Start { run, incarnation, above, connect_deadline: deadline, message_deadline: deadline };
        let (commands, cancellation) = (mpsc::channel(1).1, Cancellation::default());
        let mut session = Session { start, below: port(), above: port(), commands, reports, cancellation };
        assert_eq!(session.report(Report::Started).await, Ok(()), "there is room");
        let late = session.report(Report::Started).await.unwrap_err();
        assert!(late.sentence.contains("for the coordinator, while room for a report was due"), "{late:?}");

        session.start.message_deadline = Duration::from_secs(3600);
        let stopped = Failure::own("the node is being stopped");
        let cancellation = session.cancellation.clone();
        let (reported, ()) =
            tokio::join!(session.report(Report::Started), async { cancellation.fail(stopped.clone()) });
        assert_eq!(reported, Err(stopped.clone()));
        tokio::time::timeout(Duration::from_secs(10), session.last_word(stopped)).await.unwrap();
    }
}
