//! `coordinator train`: a run from its first step to its table.

use super::drive::Run;
use super::recorder::Recorder;
use super::resume::Resume;
use super::signals;
use super::summary::summarize;
use crate::console::answer;
use crate::prepare::{Placement, Prepared};
use crate::record::{self, DataMark, REPORT, RunFolder, SUMMARY, Summary, choose};
use crate::report;
use crate::run_error::RunError;
use prometheus_client::metrics::counter::Counter;
use proto::metrics;
use proto::transport::admission;
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::TcpListener;
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
    /// Where a scraper reaches the metrics of the run.
    pub metrics: Option<SocketAddr>,
    /// Take the end of standard input for an interrupt: the run then ends with the process that started it.
    pub exit_with_stdin: bool,
}

/// Trains, and leaves the run's folder behind. Prints the table on stdout.
///
/// # Errors
/// One sentence, with the contract's exit code; the folder then holds the run so far.
pub async fn train(
    prepared: Prepared,
    placement: Placement,
    naming: Naming<'_>,
    options: TrainOptions,
) -> Result<(), RunError> {
    let stop = signals::listen();
    if options.exit_with_stdin {
        signals::when_stdin_ends(&stop);
    }
    placement.check(prepared.ranges.len())?;
    let scraped = match options.metrics {
        Some(address) => {
            Some(admission::listen("--metrics", address).await.map_err(RunError::configuration)?)
        }
        None => None,
    };
    let path = choose(naming.name, naming.run_dir, naming.stem)?;
    let mark = DataMark::of(&prepared.sets);
    let folder = match options.resume {
        Some(_) => RunFolder::reopen(path, &prepared.config, &mark)?,
        None => RunFolder::create(path, &prepared.config, mark)?,
    };
    let mut recorder = Recorder::new(folder, &prepared, options.trace);
    let _serving = scraped.map(|listener| show(listener, &mut recorder)).transpose()?;
    let mut run = Run::new(&prepared, &placement, stop, recorder);
    let result = run.drive(options.resume, options.restarts).await;
    let (nodes, mut recorder) = (run.addresses, run.recorder);
    let summary = summarize(&result, &prepared, &nodes, &recorder.totals, recorder.saving);
    let written = leave(&summary, &mut recorder);
    // The run's own failure says more than a file that could not be written after it.
    result?;
    written?;
    let folder = recorder.folder().path().display();
    answer(format_args!("{}\nrun folder: {folder}\n", record::table(&summary)))
}

/// Writes the files of a run's end, however it ended. A start that ended before it changed anything leaves the files of
/// the start before.
fn leave(summary: &Summary, recorder: &mut Recorder<'_>) -> Result<(), RunError> {
    if !recorder.folder().begun() {
        return Ok(());
    }
    recorder.folder().write_json(SUMMARY, summary)?;
    recorder.finish()?;
    let folder = recorder.folder();
    let run = report::Run::read(folder.path()).map_err(RunError::internal)?;
    folder.write(REPORT, report::render(&[run]).as_bytes())
}

/// Serves the run's metrics for as long as the handle is kept.
fn show(listener: TcpListener, recorder: &mut Recorder<'_>) -> Result<AbortOnDropHandle<()>, RunError> {
    let address = listener.local_addr().map_err(RunError::internal)?;
    recorder.say(&format!("metrics at http://{address}/metrics"));
    let serve = metrics::serve(listener, recorder.meters.shown(), Counter::default());
    Ok(AbortOnDropHandle::new(tokio::spawn(serve)))
}
