//! A run as the worker sees it: its two links, its commands, and waits that always end.

use crate::exec::cancellation::{Cancellation, Trouble};
use proto::control::{Command, Report, Start};
use proto::microbatch::Message;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::Status;

/// How long the reason of a failed run may wait for room among the reports.
const LAST_WORD: Duration = Duration::from_secs(1);

/// One neighbour: messages from it and to it, each direction with a bounded queue of its own.
pub struct Port {
    /// Who it is, for sentences.
    pub peer: String,
    /// Filled by the link's reader.
    pub incoming: mpsc::Receiver<Message>,
    /// Emptied by the link's writer.
    pub outgoing: mpsc::Sender<Message>,
}

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
    pub reports: mpsc::Sender<Result<Report, Status>>,
    /// Ends every wait.
    pub fault: Cancellation,
}

impl Session {
    /// Tells the coordinator, waiting while its queue is full.
    ///
    /// # Errors
    /// When the coordinator is gone or takes nothing for the run's message deadline, or the run has ended.
    pub async fn report(&self, report: Report) -> Result<(), Trouble> {
        let sent = async { self.reports.send(Ok(report)).await.ok() };
        let room = || "room for a report".to_owned();
        bounded(&self.fault, self.start.message_deadline, room, "the coordinator", sent).await
    }

    /// Tells the coordinator why the run failed, if it takes that soon: a node must not hang on who reads nothing.
    pub async fn last_word(&self, trouble: &Trouble) {
        let _ = tokio::time::timeout(LAST_WORD, self.reports.send(Err(trouble.status()))).await;
    }
}

/// Waits for `future` until `fault` or the deadline end it, whichever is first.
///
/// # Errors
/// The run's reason for ending, or a sentence made of `what` and `who`.
async fn bounded<T>(
    fault: &Cancellation,
    deadline: Duration,
    what: impl Fn() -> String,
    who: &str,
    future: impl Future<Output = Option<T>>,
) -> Result<T, Trouble> {
    let gone = || {
        let gone = || {
            let what = what();
            Trouble::neighbour(format!(
                "{who} went away while {what} was due: check that host and the network to it, then start the run again"
            ))
        };
        fault.trouble().cloned().unwrap_or_else(gone)
    };
    tokio::select! {
        biased;
        value = future => value.ok_or_else(gone),
        () = fault.ended() => Err(gone()),
        () = tokio::time::sleep(deadline) => {
            let waited = deadline.as_secs();
            Err(Trouble::neighbour(format!("waited {waited} s for {who}, while {} was due", what())))
        }
    }
}

impl Port {
    /// The next message from this neighbour; `what` says which one is due.
    ///
    /// # Errors
    /// When the neighbour is gone or silent for the run's message deadline.
    pub async fn receive(
        &mut self,
        fault: &Cancellation,
        deadline: Duration,
        what: impl Fn() -> String,
    ) -> Result<Message, Trouble> {
        bounded(fault, deadline, what, &self.peer, self.incoming.recv()).await
    }

    /// Hands `message` to the link, waiting while its queue is full.
    ///
    /// # Errors
    /// When the neighbour is gone or takes nothing for the run's message deadline.
    pub async fn send(
        &self,
        fault: &Cancellation,
        deadline: Duration,
        message: Message,
    ) -> Result<(), Trouble> {
        let identity = message.identity.clone();
        let sent = async { self.outgoing.send(message).await.ok() };
        bounded(fault, deadline, || format!("room for {identity}"), &self.peer, sent).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_coordinator_that_reads_nothing_holds_no_node() {
        let port =
            || Port { peer: String::new(), incoming: mpsc::channel(1).1, outgoing: mpsc::channel(1).0 };
        let (reports, _unread) = mpsc::channel(1);
        let deadline = Duration::from_millis(50);
        let (run, incarnation, above) = (String::new(), 1, None);
        let start = Start { run, incarnation, above, connect_deadline: deadline, message_deadline: deadline };
        let (commands, fault) = (mpsc::channel(1).1, Cancellation::default());
        let mut session = Session { start, below: port(), above: port(), commands, reports, fault };
        assert_eq!(session.report(Report::Started).await, Ok(()), "there is room");
        let late = session.report(Report::Started).await.unwrap_err();
        assert!(late.why.contains("for the coordinator, while room for a report was due"), "{late:?}");

        session.start.message_deadline = Duration::from_secs(3600);
        let stopped = Trouble::own("the node is being stopped");
        let fault = session.fault.clone();
        let (reported, ()) =
            tokio::join!(session.report(Report::Started), async { fault.fail(stopped.clone()) });
        assert_eq!(reported, Err(stopped.clone()));
        tokio::time::timeout(Duration::from_secs(10), session.last_word(&stopped)).await.unwrap();
    }
}
