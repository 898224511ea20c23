//! The reporter of a run's progress: takes the records of the run, and posts the newest status in a task of its own.

use super::post::{Failure, Kind, post};
use super::progress::Progress;
use super::server::Server;
use super::status::Status;
use crate::record::{Evaluation, Step};
use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The pause after a request. Kubeflow asks its clients for no more than one status in this time.
const PAUSE: Duration = Duration::from_secs(5);
/// How long the end of a run waits for its last status: longer than for any request, since the files of the token and
/// of the CA may be on a file system that hangs.
const LAST: Duration = Duration::from_secs(10);

/// The reporter of one run. Its calls only replace the status that the task posts next, so they take no time.
pub struct Reporter {
    progress: Progress,
    begun: Instant,
    newest: watch::Sender<Option<Status>>,
    over: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Reporter {
    /// A reporter of a run of `total` steps to the server that the environment announces; `None` where it announces
    /// none, or none that can be used.
    pub fn announced(total: u64) -> Option<Self> {
        let found = Server::find(|name| std::env::var(name).ok());
        let server = found.unwrap_or_else(|why| {
            tracing::warn!("the progress is not posted: {why}");
            None
        })?;
        tracing::info!("the progress is posted to {}", server.authority);
        let (newest, statuses) = watch::channel(None);
        let over = CancellationToken::new();
        let task = AbortOnDropHandle::new(tokio::spawn(keep_posting(server, statuses, over.clone())));
        Some(Self { progress: Progress::of(total), begun: Instant::now(), newest, over, task })
    }

    /// Reports that the run goes on after `step`, with the records before it.
    pub fn rewound(&mut self, step: u64, newest: Option<&Step>, evaluation: Option<&Evaluation>) {
        self.progress.rewound(step, newest, evaluation);
        self.publish();
    }

    /// Reports a training step.
    pub fn trained(&mut self, step: &Step) {
        self.progress.trained(step, self.begun.elapsed());
        self.publish();
    }

    /// Reports an evaluation of the whole test set.
    pub fn evaluated(&mut self, evaluation: &Evaluation) {
        self.progress.evaluated(evaluation);
        self.publish();
    }

    fn publish(&self) {
        self.newest.send_replace(self.progress.status(SystemTime::now()));
    }

    /// Reports the end of the run, whether it is done or not, and waits a bounded time for the status to arrive.
    pub async fn finish(self, done: bool) {
        self.newest.send_replace(self.progress.end(done, SystemTime::now()));
        self.over.cancel();
        if timeout(LAST, self.task).await.is_err() {
            tracing::warn!(
                "the last status of the progress was not posted within {} s: it is given up",
                LAST.as_secs()
            );
        }
    }
}

/// Posts the newest status until the run is over, and then the last status.
async fn keep_posting(
    server: Server,
    mut statuses: watch::Receiver<Option<Status>>,
    over: CancellationToken,
) {
    let mut failures = Failures { server: &server, known: BTreeSet::new() };
    // The last status does not wait for an older status that hangs.
    tokio::select! {
        biased;
        () = over.cancelled() => {}
        () = repeat(&server, &mut statuses, &mut failures) => {}
    }
    let last = *statuses.borrow();
    if let Some(status) = last {
        failures.after(post(&server, status.body()).await);
    }
}

/// Posts the newest status, as often as there is a newer one.
async fn repeat(
    server: &Server,
    statuses: &mut watch::Receiver<Option<Status>>,
    failures: &mut Failures<'_>,
) {
    while statuses.changed().await.is_ok() {
        let newest = *statuses.borrow_and_update();
        if let Some(status) = newest {
            failures.after(post(server, status.body()).await);
            sleep(PAUSE).await;
        }
    }
}

/// The failures of a run's requests. A kind that was logged is not logged again.
struct Failures<'a> {
    server: &'a Server,
    known: BTreeSet<Kind>,
}

impl Failures<'_> {
    fn after(&mut self, posted: Result<(), Failure>) {
        let Err(Failure { kind, sentence }) = posted else { return };
        if self.known.insert(kind) {
            let server = &self.server.authority;
            tracing::warn!(
                "the progress could not be posted to {server}: {sentence}; the run goes on, and this kind of failure is not logged again"
            );
        }
    }
}
