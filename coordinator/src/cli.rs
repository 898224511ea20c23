//! The command line: parses the flags, calls the command, and reports its failure with an exit code.

mod bench;
mod check;
mod evaluate;
mod flags;
mod manifests;
mod origin;
mod security;
mod split;
mod stage_specs;
mod words;

use crate::certificates;
use crate::compare::{self, CompareOptions};
use crate::config::{self, Config, Environment};
use crate::console::{answer, remark};
use crate::locality::{self, ProofOptions};
use crate::manifests::SweepOrder;
use crate::plan::{self, Host, Needs};
use crate::prepare::{self, Placement, Prepared};
use crate::run::{self, Measured, Naming, TrainOptions};
use crate::run_error::RunError;
use crate::survey::{self, SurveyOptions};
use crate::sweep::{self, SweepOptions};
use clap::{Parser, Subcommand, ValueEnum};
use flags::{
    BackwardFlags, CertificatesFlags, CompareFlags, ConfigFlags, DataFlags, EvaluateFlags, LocalityFlags,
    ManifestsFlags, PlaceFlags, PlanFlags, SweepFlags, SweepManifestsFlags, TrainFlags, addresses,
};
use proto::host::Memory;
use proto::process::{self, room};
use proto::transport::tls::TlsFlags;
use split::SplitFlags;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// The threads of a coordinator before it finds nodes: those of the runtime, one that reads data, and one that reads
/// standard input.
const THREADS: usize = process::RUNTIME_THREADS + 2;
/// The files and sockets of a coordinator before it finds nodes.
const FILES: usize = 16;

/// Train a deep network whose layers live in different processes, on different hosts
#[derive(Parser, Debug)]
#[command(name = "coordinator", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The format of the log lines on stderr
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// The format of the log lines.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Train a network, and write a run folder
    Train(TrainFlags),
    /// Train many times with different settings, and show the best ones
    Sweep(SweepFlags),
    /// Evaluate a saved state of a run on the test set; the final state by default
    Evaluate(EvaluateFlags),
    /// Split weights in files into one file for each node of a configuration, for layer-node import
    Split(SplitFlags),
    /// Show the plan of a run: stages, traffic, memory, lanes
    Plan(PlanFlags),
    /// Measure the nodes and links of a configuration, for plan --rates; no weight crosses a link
    ///
    /// A node that works for a run refuses. Figures are those of an otherwise idle host.
    Bench(bench::BenchFlags),
    /// Look through a whole data set: decode every sample, count classes and broken files, measure sizes and colours
    Data(DataFlags),
    /// Connect to nodes and show their descriptions
    Check(check::CheckFlags),
    /// Compare runs and the trials of sweeps: a page, and for a paper a CSV and pictures
    ///
    /// Runs that differ in their seeds alone are one case: one colour, the mean as a line, and the range as a band.
    Compare(CompareFlags),
    /// Make the certificates by which nodes and coordinator know each other, or renew them
    ///
    /// A folder that holds certificates already keeps its CA and its keys: stages that are missing are added, and the
    /// certificates that are there are renewed for the same keys. To change a key as well, remove its file first.
    Certificates(CertificatesFlags),
    /// Write a folder of manifests by which Kubernetes runs a configuration: one StatefulSet per stage, and a Job
    ///
    /// The folder is a kustomize base. Files of an earlier call are replaced; others are never touched.
    Manifests(ManifestsFlags),
    /// Train a few steps, and prove from every process's account that no weight crossed a link
    Locality(LocalityFlags),
}

/// Parses the command line. Returns `Ok(None)` when it has shown the help or the version.
///
/// # Errors
/// A command line that does not parse, in one sentence.
pub fn parse() -> Result<Option<Cli>, RunError> {
    match Cli::try_parse() {
        Ok(cli) => Ok(Some(cli)),
        Err(error) if !error.use_stderr() => {
            let _ = error.print();
            Ok(None)
        }
        Err(error) => Err(RunError::configuration(words::refusal(error, std::env::args().skip(1)))),
    }
}

/// Carries out a command.
///
/// # Errors
/// The command's failure: one sentence, with the exit code of the contract.
pub fn execute(cli: Cli) -> Result<(), RunError> {
    let needs =
        room::Needs { what: "the coordinator", threads: THREADS, others: 0, files: FILES, otherwise: "" };
    room::check(needs).map_err(RunError::configuration)?;
    let runtime = process::runtime().map_err(RunError::internal)?;
    let result = match cli.command {
        Command::Train(flags) => runtime.block_on(train(flags)),
        Command::Sweep(flags) => runtime.block_on(start_sweep(flags)),
        Command::Evaluate(flags) => runtime.block_on(evaluate::evaluate(flags)),
        Command::Split(flags) => split::split(&flags),
        Command::Plan(flags) => runtime.block_on(show_plan(&flags)),
        Command::Bench(flags) => runtime.block_on(bench::bench(flags)),
        Command::Data(flags) => look_through(&flags),
        Command::Check(flags) => runtime.block_on(check::check(flags)),
        Command::Compare(flags) => compare_runs(&flags),
        Command::Certificates(flags) => make_certificates(flags),
        Command::Manifests(flags) => manifests::write(flags),
        Command::Locality(flags) => runtime.block_on(prove(flags)),
    };
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

async fn train(flags: TrainFlags) -> Result<(), RunError> {
    let stop = run::signals::listen(run::signals::SAVING)?;
    if let Some(attempt) = process::attempt() {
        tracing::info!("{attempt}");
    }
    if flags.exit_with_stdin {
        run::signals::when_stdin_ends(&stop)?;
    }
    let origin = flags.origin.origin(flags.resume)?;
    let placement = placement(flags.place, flags.backward, &flags.tls).await?;
    let config = load(&flags.config)?;
    let prepared = run::signals::unless_stopped(&stop, || Prepared::new(config)).await?;
    warn_of_memory(&prepared, matches!(placement, Placement::Local));
    let stem = flags.stem.as_deref().unwrap_or(flags.config.stem());
    let naming = Naming { name: flags.name.as_deref(), run_dir: flags.run_dir.as_deref(), stem };
    let TrainFlags { resume, restarts, trace, metrics, .. } = flags;
    let options = TrainOptions { resume, origin, restarts, trace, metrics };
    run::train(prepared, placement, naming, options, stop).await
}

/// The places of the nodes.
async fn placement(
    place: PlaceFlags,
    backward: BackwardFlags,
    tls: &TlsFlags,
) -> Result<Placement, RunError> {
    let backward_nodes = addresses(backward.backward_nodes);
    match place.local {
        true if !backward_nodes.is_empty() => Err(RunError::configuration(
            "--backward-nodes goes with --nodes: with --local the coordinator starts all nodes itself, so leave it out",
        )),
        true => Ok(Placement::Local),
        false => security::remote(place.nodes, backward_nodes, tls).await,
    }
}

/// Warns where the memory of this host does not suffice for what the run will take here.
fn warn_of_memory(prepared: &Prepared, local: bool) {
    let Prepared { config, network, ranges, .. } = prepared;
    let Ok(estimator) = prepare::estimator(config, network) else { return };
    let Ok(needs) = Needs::of(network, ranges, &estimator, local) else { return };
    if let Some(warning) = Memory::now().and_then(|memory| needs.shortage(&memory)) {
        tracing::warn!("{warning}");
    }
}

async fn start_sweep(flags: SweepFlags) -> Result<(), RunError> {
    let SweepFlags { config, local, run_dir, parallel, cores, set, resume, trial, collect, manifests } =
        flags;
    let (config, run_dir, set) = (config.as_path(), run_dir.as_deref(), set.as_slice());
    let options = SweepOptions { config, run_dir, parallel, cores, set, resume };
    let surroundings = Surroundings::find();
    let environment = surroundings.environment();
    let SweepManifestsFlags { manifests, image, data, claim, queue } = manifests;
    if let Some(out) = manifests {
        let (image, data) = (image.unwrap_or_default(), data.unwrap_or_default());
        let order = SweepOrder { image, data, claim, queue, parallel };
        return sweep::manifests(options, &order, &out, &environment);
    }
    match trial {
        Some(number) => sweep::trial(options, number, &environment).await,
        None if collect => sweep::collect(options, &environment).await,
        None if local => sweep::sweep(options, &environment).await,
        None => Err(RunError::configuration(
            "where the trials shall run is not said: give --local for this host, or --manifests DIR for Kubernetes",
        )),
    }
}

async fn show_plan(flags: &PlanFlags) -> Result<(), RunError> {
    let config = load(&flags.config)?;
    if let Some(folder) = &flags.stage_specs {
        let stages = Prepared::new(config.clone())?.stages("", 0, None, None)?;
        stage_specs::write(&stages, folder)?;
    }
    let (network, facts) = match config.input_shape() {
        Some(shape) => (config.network(shape).map_err(RunError::configuration)?, None),
        None => Prepared::new(config.clone()).map(|prepared| (prepared.network, Some(prepared.facts)))?,
    };
    let doubts = prepare::doubts(&config, Some(&network), facts.as_ref());
    let figures = flags.rates.as_deref().map(bench::figures).transpose()?;
    let formats = [config.node.precision.to_string(), config.network.kind().to_string()];
    let differing = figures.as_ref().map_or_else(Vec::new, |figures| figures.differing(formats));
    if !differing.is_empty() {
        let measured = differing.join(" and ");
        tracing::warn!(
            "--rates were measured with {measured}, so the prediction is rough: measure again with coordinator bench"
        );
    }
    let rates = flags.rates(figures.as_ref());
    let mut estimator = prepare::estimator_at(&config, &network, rates)?;
    // Planning comes first, so that a configuration that cannot be planned fails before the measurement.
    let mut ranges = prepare::cut(&config, &network)?;
    if let Some(figures) = &figures {
        estimator = estimator.with_rates(&network, |op| figures.of(op, rates));
        ranges = prepare::cut_by(&config, &network, &estimator)?;
    }
    let mut plan = plan::plan(&network, &ranges, &estimator).map_err(RunError::configuration)?;
    let host = Host::now();
    if flags.measure {
        let Measured { estimator, ranges, peaks } = run::measure(&config, &network, estimator).await?;
        plan = plan::plan(&network, &ranges, &estimator).map_err(RunError::configuration)?.with_peaks(&peaks);
        if let Some(Host { cores, .. }) = &host {
            let shares = (*cores, config.node.threads);
            plan = plan.sharing(&network, &ranges, &estimator, shares).map_err(RunError::configuration)?;
        }
    }
    plan = plan.on(host);
    plan.drains = prepare::drains(&config);
    plan.warnings.splice(0..0, doubts.into_iter().map(|doubt| doubt.sentence));
    if flags.json {
        return answer(format_args!("{}\n", serde_json::to_string(&plan).map_err(RunError::internal)?));
    }
    answer(format_args!("{}", plan::table(&plan)))
}

fn look_through(flags: &DataFlags) -> Result<(), RunError> {
    let config = load(&flags.config)?;
    survey::survey(&config, SurveyOptions { json: flags.json, picture: flags.picture.as_deref() })
}

fn compare_runs(flags: &CompareFlags) -> Result<(), RunError> {
    let CompareFlags { runs, out, csv, svg, png } = flags;
    let (csv, svg, png) = (csv.as_deref(), svg.as_deref(), png.as_deref());
    compare::compare(CompareOptions { folders: runs, out, csv, svg, png })
}

fn make_certificates(flags: CertificatesFlags) -> Result<(), RunError> {
    let CertificatesFlags { out, stages, backward, hosts, kubernetes, days, deployment } = flags;
    let backward = backward.unwrap_or_default();
    let order = certificates::Order { stages, backward, hosts, days, deployment, kubernetes };
    answer(format_args!("{}", certificates::issue(&order, &out, SystemTime::now())?))
}

async fn prove(flags: LocalityFlags) -> Result<(), RunError> {
    let stop = run::signals::listen(run::signals::SAVING)?;
    let allowed = flags.allowed();
    let LocalityFlags { config: of, place, backward, tls, steps, json, html, .. } = flags;
    let placement = placement(place, backward, &tls).await?;
    let config = load(&of)?;
    let (json, html, title) = (json.as_deref(), html.as_deref(), of.stem());
    locality::prove(config, placement, ProofOptions { steps, allowed, json, html, title }, stop).await
}

fn load(flags: &ConfigFlags) -> Result<Config, RunError> {
    config::load(&flags.config, &flags.overrides, &Surroundings::find().environment())
        .map_err(RunError::configuration)
}

/// Where the program was started.
struct Surroundings {
    data: Option<PathBuf>,
    current: Option<PathBuf>,
}

impl Surroundings {
    fn find() -> Self {
        let data = std::env::var_os("NEUROPIL_DATA").map(PathBuf::from);
        Self { data, current: std::env::current_dir().ok() }
    }

    fn environment(&self) -> Environment<'_> {
        Environment::new(self.data.as_deref(), self.current.as_deref())
    }
}

/// Prints a failure as the last line on stderr, and returns its exit code.
pub fn report(failure: &RunError) -> u8 {
    remark(format_args!("error: {failure}\n"));
    failure.cause.code()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_no_longer_than_a_day() {
        let parses = |seconds: &str| {
            Cli::try_parse_from(["coordinator", "check", "--nodes", "a:1", "--deadline", seconds]).is_ok()
        };
        for (seconds, good) in [("1", true), ("86400", true), ("0", false), ("18446744073709551615", false)] {
            assert_eq!(parses(seconds), good, "{seconds}");
        }
    }

    #[test]
    fn backward_nodes_stand_beside_the_nodes_of_the_stages() {
        let parsed = |flags: &str| {
            let line = format!("coordinator train --config a.toml {flags}");
            let cli = Cli::try_parse_from(line.split_whitespace());
            cli.map(|cli| match cli.command {
                Command::Train(flags) => (flags.place.nodes, flags.backward.backward_nodes),
                _ => panic!("train is due"),
            })
        };
        let (nodes, backward) = parsed("--nodes a:1,b:1 --backward-nodes c:1,d:1").unwrap();
        assert_eq!((nodes, backward), (vec!["a:1".into(), "b:1".into()], vec!["c:1".into(), "d:1".into()]));
        assert!(parsed("--backward-nodes c:1").is_err(), "the stages need nodes as well");
        let (place, backward) = (PlaceFlags { local: true, nodes: Vec::new() }, vec!["c:1".into()]);
        let backward = BackwardFlags { backward_nodes: backward };
        assert_eq!(addresses(vec![String::new()]), [""; 0]);
        assert_eq!(addresses(vec!["a:1".into(), String::new()]).len(), 2, "an address is missing");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let why = runtime.block_on(placement(place, backward, &TlsFlags::default())).unwrap_err().sentence;
        assert!(why.starts_with("--backward-nodes goes with --nodes"), "{why}");
    }
}
