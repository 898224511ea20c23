//! A run as the worker sees it: its two links, its commands, and its reports.

use proto::cancellation::Cancellation;
use proto::control::{Command, Report, Start};
use proto::failure::Failure;
use proto::link::Port;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the reason of a failed run may wait for room among the reports.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Everything that one run needs of the outside.
pub struct Session {
    /// How the run began.
    pub start: Start,
    /// The neighbour below: activations come in, error signals go out.
    pub below: Port,
    /// The neighbour above: error signals come in, activations go out.
    pub above: Port,
    /// What to do, in order; closed when the coordinator is done.
    pub commands: mpsc::Receiver<Command>,
    /// Answers, and at last the reason if the run failed.
    pub reports: mpsc::Sender<Result<Report, Failure>>,
    /// Ends every wait.
    pub cancellation: Cancellation,
}

impl Session {
    /// Tells the coordinator, waiting while its queue is full.
    ///
    /// # Errors
    /// When the coordinator is gone or takes nothing for the run's message deadline, or the run has ended.
    pub async fn report(&self, report: Report) -> Result<(), Failure> {
        let sent = async { self.reports.send(Ok(report)).await.ok() };
        let room = || "room for a report".to_owned();
        self.cancellation.wait(self.start.message_deadline, "the coordinator", room, sent).await
    }

    /// Tells the coordinator why the run failed, if it takes that soon: a coordinator that reads nothing must not
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
