//! `coordinator train`: runs a training from its first step to its table.

use super::begin::{Begun, Start, begin};
use super::drive::Run;
use super::origin::Origin;
use super::recorder::Recorder;
use super::resume::Resume;
use super::signals;
use super::summary::summarize;
use crate::console::answer;
use crate::platform::Reporter;
use crate::prepare::{Placement, Prepared};
use crate::record::{self, Place, REPORT, SUMMARY, Summary};
use crate::report;
use crate::run_error::RunError;
use proto::metrics;
use proto::transport::admission::Refused;
use proto::transport::listener::{Listener, listen};
use std::net::SocketAddr;
use std::path::Path;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The name of a run's folder.
#[derive(Clone, Copy, Debug)]
pub struct Naming<'a> {
    /// `runs/NAME`.
    pub name: Option<&'a str>,
    /// The folder itself, in place of `runs/NAME`.
    pub run_dir: Option<&'a Path>,
    /// The stem of the first free `runs/STEM-N`, if neither is given.
    pub stem: &'a str,
}

/// The options of a run beyond its configuration.
#[derive(Clone, Debug, Default)]
pub struct TrainOptions {
    /// Whether and where to resume the run in the folder.
    pub resume: Option<Resume>,
    /// The origin of the first weights of a run that begins; `None` for its seed.
    pub origin: Option<Origin>,
    /// How often the run may roll back and go on by itself after a node failed.
    pub restarts: u32,
    /// Whether to write `trace.json`.
    pub trace: bool,
    /// The address of the metrics port.
    pub metrics: Option<SocketAddr>,
}

/// Trains until the end or until `stop` is cancelled, writes the run's folder, and prints the table on stdout.
///
/// # Errors
/// The run's failure; the folder then holds the run so far.
pub async fn train(
    prepared: Prepared,
    placement: Placement,
    naming: Naming<'_>,
    options: TrainOptions,
    stop: CancellationToken,
) -> Result<(), RunError> {
    placement.check(&prepared.roles())?;
    placement.check_transport(prepared.config.network.transport)?;
    let scraped = match options.metrics {
        Some(address) => Some(listen("--metrics", &address.into()).await.map_err(RunError::configuration)?),
        None => None,
    };
    signals::check(&stop)?;
    let place = Place::of(naming.name, naming.run_dir, naming.stem)?;
    let start = Start { resume: options.resume, origin: options.origin.as_ref(), placement: &placement };
    let Begun { folder, resume, say } = signals::or_stopped(&stop, begin(place, start, &prepared)).await?;
    prepared.doubts().iter().for_each(|doubt| tracing::warn!("{}", doubt.sentence));
    let mut recorder = Recorder::new(folder, &prepared, options.trace, shared_host(&prepared, &placement));
    say.iter().for_each(|line| recorder.say(line));
    recorder.platform = Reporter::announced(prepared.minibatches()[1]);
    recorder.meters.shown().show_expiry(&placement.security());
    let _serving = scraped.map(|listener| show(listener, &mut recorder)).transpose()?;
    let mut run = Run::new(&prepared, &placement, stop, recorder);
    let result = run.drive(resume, options.restarts).await;
    let (nodes, peaks, mut recorder) = (run.addresses, run.peaks, run.recorder);
    let summary = summarize(&result, &prepared, &nodes, &recorder.totals, recorder.saving).with_peaks(&peaks);
    let written = leave(&summary, &mut recorder);
    if let Some(platform) = recorder.platform.take() {
        platform.finish(result.is_ok()).await;
    }
    // The run's own failure tells more than a file that could not be written after it.
    result?;
    written?;
    let folder = recorder.folder().path().display();
    answer(format_args!("{}\nrun folder: {folder}\n", record::table(&summary)))
}

/// The cores of this host and the threads of each node, where all nodes compute on them.
fn shared_host(prepared: &Prepared, placement: &Placement) -> Option<(usize, u32)> {
    let node = &prepared.config.node;
    let shared = matches!(placement, Placement::Local) && node.device.are_cpus();
    let cores = std::thread::available_parallelism().ok().filter(|_| shared)?;
    Some((cores.get(), node.threads))
}

/// Writes the files of a run's end, however the run ended. A start that ended before it changed anything leaves the
/// files of the start before.
fn leave(summary: &Summary, recorder: &mut Recorder<'_>) -> Result<(), RunError> {
    if !recorder.folder().begun() {
        return Ok(());
    }
    recorder.folder().write_json(SUMMARY, summary)?;
    recorder.finish()?;
    let folder = recorder.folder();
    let run = report::Run::read(folder.path()).map_err(RunError::internal)?;
    folder.write(REPORT, report::render(&run).as_bytes())
}

/// Serves the run's metrics for as long as the handle lives.
fn show(listener: Listener, recorder: &mut Recorder<'_>) -> Result<AbortOnDropHandle<()>, RunError> {
    let address = listener.address().map_err(RunError::internal)?;
    recorder.say(&format!("metrics at http://{address}/metrics"));
    if address.is_open() {
        recorder.say(&format!(
            "--metrics {address} is open to other hosts, always in plaintext: whoever reaches the port learns how the run does, and can do nothing to it"
        ));
    }
    let serve = metrics::serve(listener, recorder.meters.shown(), Refused::default());
    Ok(AbortOnDropHandle::new(tokio::spawn(serve)))
}
