//! `coordinator train`: a run from its first step to its table, however often it is taken up again.

use super::drive::{drive, unless_stopped};
use super::folder::{self, RunFolder};
use super::interrupt;
use super::place::{Nodes, Placement};
use super::prepare::Prepared;
use super::recorder::Recorder;
use super::resume::{Resume, starting_point};
use super::summary::{Summary, table};
use crate::console::answer;
use crate::driver::{FailureCollector, NodeAddress};
use crate::report;
use crate::run_error::{Cause, RunError};
use prometheus_client::metrics::counter::Counter;
use proto::metrics;
use proto::transport::admission;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Which folder the run gets.
#[derive(Clone, Copy, Debug)]
pub struct Naming<'a> {
    /// `runs/NAME`.
    pub name: Option<&'a str>,
    /// Or a folder of its own.
    pub run_dir: Option<&'a Path>,
    /// Or the first free `runs/STEM-N`.
    pub stem: &'a str,
}

/// How a run is carried out, beyond its configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrainOptions {
    /// Take up a run that lies in the folder already.
    pub resume: Option<Resume>,
    /// How often to roll back and go on by itself when a node fails.
    pub restarts: u32,
    /// Leave `trace.json`.
    pub trace: bool,
    /// Placement a scraper reaches the metrics of the run.
    pub metrics: Option<SocketAddr>,
    /// Take the end of standard input for an interrupt: the run then ends with whoever started it.
    pub exit_with_stdin: bool,
}

/// Trains, and leaves the run's folder behind. Prints the table on stdout.
///
/// # Errors
/// One sentence, with the contract's exit code; the folder then holds what there was.
pub async fn train(
    prepared: Prepared,
    place: Placement,
    naming: Naming<'_>,
    conduct: TrainOptions,
) -> Result<(), RunError> {
    let stop = interrupt::listen();
    if conduct.exit_with_stdin {
        interrupt::when_stdin_ends(&stop);
    }
    place.check(prepared.ranges.len())?;
    let scraped = match conduct.metrics {
        Some(address) => {
            Some(admission::listen("--metrics", address).await.map_err(RunError::configuration)?)
        }
        None => None,
    };
    let path = folder::choose(naming.name, naming.run_dir, naming.stem)?;
    let folder = match conduct.resume {
        Some(_) => RunFolder::reopen(path, &prepared.config, &prepared.data_mark())?,
        None => RunFolder::create(path, &prepared.config, prepared.data_mark())?,
    };
    let mut recorder = Recorder::new(folder, &prepared, conduct.trace);
    let _serving = scraped.map(|listener| show(listener, &mut recorder)).transpose()?;
    let (result, addresses) = attempts(&prepared, &place, conduct, &stop, &mut recorder).await;
    let (status, error) = match &result {
        Ok(()) => ("done", None),
        Err(failure) if failure.cause == Cause::Interrupted => {
            ("interrupted", Some(failure.sentence.clone()))
        }
        Err(failure) if failure.cause == Cause::Diverged => ("diverged", Some(failure.sentence.clone())),
        Err(failure) => ("failed", Some(failure.sentence.clone())),
    };
    let summary = Summary::new(status, error, &prepared, &addresses, &recorder);
    let written = leave(&summary, &mut recorder);
    // Why the run ended says more than what could not be written about it.
    result?;
    written?;
    answer(format_args!("{}\nrun folder: {}\n", table(&summary), recorder.folder().path().display()))
}

/// Writes what a run leaves at its end, however it ended. A start that ended before it changed anything leaves
/// what was there.
fn leave(summary: &Summary, recorder: &mut Recorder) -> Result<(), RunError> {
    if !recorder.folder().begun() {
        return Ok(());
    }
    recorder.folder().summary(summary)?;
    recorder.finish()?;
    write_report(recorder.folder())
}

/// Serves the run's metrics for as long as what it returns is kept.
fn show(listener: TcpListener, recorder: &mut Recorder) -> Result<AbortOnDropHandle<()>, RunError> {
    let address = listener.local_addr().map_err(RunError::internal)?;
    recorder.say(&format!("metrics at http://{address}/metrics"));
    let serve = metrics::serve(listener, recorder.meters.shown(), Counter::default());
    Ok(AbortOnDropHandle::new(tokio::spawn(serve)))
}

/// Trains until the run ends, or fails once more than it may be restarted.
async fn attempts(
    prepared: &Prepared,
    place: &Placement,
    conduct: TrainOptions,
    stop: &CancellationToken,
    recorder: &mut Recorder,
) -> (Result<(), RunError>, Vec<NodeAddress>) {
    let (mut resume, mut restarts) = (conduct.resume, conduct.restarts);
    // The snapshot that was chosen last and was not to be had: what is chosen next must be older, so that this
    // happens at most as often as there are snapshots.
    let mut refused = u64::MAX;
    loop {
        let (result, addresses) = attempt(prepared, place, resume, stop, recorder).await;
        let failure = match result {
            Err(failure) if !stop.is_cancelled() => failure,
            ended => return (ended, addresses),
        };
        let older = resume == Some(Resume::Auto) && recorder.steps < refused;
        match failure.cause {
            Cause::SnapshotGone if older => {
                refused = recorder.steps;
                recorder.say(&format!("{failure}; going back to the one before"));
            }
            Cause::Node if restarts > 0 => {
                restarts -= 1;
                (resume, refused) = (Some(Resume::Auto), u64::MAX);
                recorder.say(&format!("{failure}; rolling back and going on ({restarts} restarts left)"));
            }
            _ => return (Err(failure), addresses),
        }
        if let Err(failure) = recorder.start_again() {
            return (Err(failure), addresses);
        }
    }
}

/// One start of the run, with nodes of its own where they are local.
async fn attempt(
    prepared: &Prepared,
    place: &Placement,
    resume: Option<Resume>,
    stop: &CancellationToken,
    recorder: &mut Recorder,
) -> (Result<(), RunError>, Vec<NodeAddress>) {
    let board = FailureCollector::default();
    let folder = recorder.folder().path().to_owned();
    let finding = Nodes::find(place, prepared, &folder, &board);
    let nodes = match unless_stopped(stop, &folder, finding).await {
        Ok(nodes) => nodes,
        Err(failure) => return (Err(failure), Vec::new()),
    };
    let addresses = nodes.addresses().to_vec();
    let result = async {
        let deadline = Duration::from_secs_f64(prepared.config.network.connect_deadline);
        let held = match resume {
            Some(resume) => {
                let point = starting_point(&addresses, deadline, resume, recorder);
                tokio::select! {
                    point = unless_stopped(stop, &folder, point) => point?,
                    () = board.ended() => return Err(board.verdict().await),
                }
            }
            None => BTreeSet::new(),
        };
        let done = held.last().copied().unwrap_or(0);
        recorder.rewind(done, &held)?;
        drive(prepared, &addresses, done, &board, stop, recorder).await
    };
    let result = result.await;
    nodes.stop().await;
    (result, addresses)
}

/// Draws `report.html` from the files of the run.
fn write_report(folder: &RunFolder) -> Result<(), RunError> {
    let run = report::Run::read(folder.path()).map_err(RunError::internal)?;
    folder.report(&report::render(&[run]))
}
