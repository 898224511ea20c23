//! The command line: flags in, exit code out.

use crate::config::{self, Config, Environment};
use crate::failure::Failure;
use crate::node;
use crate::out;
use crate::partition::LinkRate;
use crate::plan;
use crate::report;
use crate::run::{self, Conduct, Measured, Naming, Prepared, Resume, Where, Which};
use crate::sweep::{self, Asked};
use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::control::Description;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Train a deep network whose layers live in different processes, on different hosts
#[derive(Parser, Debug)]
#[command(name = "coordinator", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines on stderr look
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Train, and leave a run folder behind
    Train(TrainFlags),
    /// Train many times, each with other settings, and show which are the best
    Sweep(SweepFlags),
    /// Send the test set through a state of a run, the final one by default
    Evaluate(EvaluateFlags),
    /// Show what a run would be: stages, traffic, memory, lanes
    Plan(PlanFlags),
    /// Dial nodes and show what they are
    Check(CheckFlags),
    /// Overlay the reports of several runs on one page
    Compare(CompareFlags),
}

#[derive(Args, Debug)]
struct ConfigFlags {
    /// The configuration, in TOML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Set one key, as in --set optimizer.lr=0.05; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct PlaceFlags {
    /// Start one layer-node per stage on this host, and end them with the run
    #[arg(long)]
    local: bool,
    /// Control addresses of the layer nodes, one per stage, nearest the input first
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    nodes: Vec<String>,
}

#[derive(Args, Debug)]
struct TrainFlags {
    #[command(flatten)]
    config: ConfigFlags,
    #[command(flatten)]
    place: PlaceFlags,
    /// The run's folder becomes runs/NAME
    #[arg(long)]
    name: Option<String>,
    /// The run's folder itself
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    run_dir: Option<PathBuf>,
    /// Take up the run in the folder again: after STEP updates, or at the newest snapshot that all nodes have
    #[arg(long, value_name = "STEP|auto")]
    resume: Option<Resume>,
    /// How often to roll back to the newest common snapshot and go on when a node fails
    #[arg(long, value_name = "N", default_value_t = 0)]
    restarts: u32,
    /// Leave trace.json in the run folder: when every action computed, for Perfetto or chrome://tracing
    #[arg(long)]
    trace: bool,
    /// Where Prometheus scrapes the run, at http://ADDR/metrics; port 0 picks a free one
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Take the end of standard input for an interrupt: the run then ends with whoever started it
    #[arg(long, hide = true)]
    exit_with_stdin: bool,
}

#[derive(Args, Debug)]
struct SweepFlags {
    /// The sweep, in TOML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Start the layer-nodes of every trial on this host
    #[arg(long)]
    local: bool,
    /// The sweep's folder; without it, runs/NAME
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Trials side by side; part of the result
    #[arg(long, value_name = "N")]
    parallel: Option<usize>,
    /// Cores that they share, which decides each node's threads; part of the result
    #[arg(long, value_name = "N")]
    cores: Option<usize>,
    /// Set a key of the configuration in all trials, above the file's [set]; may be given many times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Go on with the sweep in the folder
    #[arg(long)]
    resume: bool,
}

#[derive(Args, Debug)]
struct EvaluateFlags {
    /// The folder of a run
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Which state: the final one, the one with the best test accuracy, or the one after N updates
    #[arg(long, value_name = "last|best|N", default_value = "last")]
    step: Which,
    /// The nodes that keep the run's state; without it, local ones are started
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    nodes: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct PlanFlags {
    #[command(flatten)]
    config: ConfigFlags,
    /// Speed of the links, as in 10Gbit/s
    #[arg(long, value_name = "RATE")]
    link: Option<LinkRate>,
    /// Measure layers and stages on this host, one at a time, and balance and predict by that
    #[arg(long, requires = "local")]
    measure: bool,
    /// Where to measure: on nodes that are started here, and ended
    #[arg(long, requires = "measure")]
    local: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct CompareFlags {
    /// The folders of the runs
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The page to write
    #[arg(long, default_value = "compare.html")]
    out: PathBuf,
}

#[derive(Args, Debug)]
struct CheckFlags {
    /// Control addresses of the layer nodes
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',', required = true)]
    nodes: Vec<String>,
    /// Seconds within which each must answer
    #[arg(long, default_value_t = 10)]
    deadline: u64,
}

/// Reads the command line.
///
/// # Errors
/// One sentence for what is wrong with it; `Ok(None)` where help or the version was asked for, and shown.
pub fn parse() -> Result<Option<Cli>, Failure> {
    match Cli::try_parse() {
        Ok(cli) => Ok(Some(cli)),
        Err(error) if !error.use_stderr() => {
            let _ = error.print();
            Ok(None)
        }
        Err(error) => {
            let text = error.render().to_string();
            let said: Vec<&str> =
                text.lines().take_while(|line| !line.starts_with("Usage")).map(str::trim).collect();
            let said = said.join(" ");
            let said = said.trim().trim_start_matches("error: ").to_owned();
            Err(Failure::configuration(format!("{said} (see coordinator --help)")))
        }
    }
}

/// Carries out a command.
///
/// # Errors
/// One sentence, with the contract's exit code.
pub fn execute(cli: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(Failure::internal)?;
    let result = match cli.command {
        Command::Train(flags) => runtime.block_on(train(flags)),
        Command::Sweep(flags) => runtime.block_on(start_sweep(&flags)),
        Command::Evaluate(flags) => runtime.block_on(evaluate(flags)),
        Command::Plan(flags) => runtime.block_on(show_plan(&flags)),
        Command::Check(flags) => runtime.block_on(check(flags)),
        Command::Compare(flags) => compare(&flags),
    };
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

async fn train(flags: TrainFlags) -> Result<(), Failure> {
    let prepared = Prepared::new(load(&flags.config)?)?;
    let place = if flags.place.local { Where::Local } else { Where::Remote(flags.place.nodes) };
    let stem = flags.config.config.file_stem().and_then(|stem| stem.to_str()).unwrap_or("run");
    let naming = Naming { name: flags.name.as_deref(), run_dir: flags.run_dir.as_deref(), stem };
    let TrainFlags { resume, restarts, trace, metrics, exit_with_stdin, .. } = flags;
    let conduct = Conduct { resume, restarts, trace, metrics, exit_with_stdin };
    run::train(prepared, place, naming, conduct).await
}

async fn start_sweep(flags: &SweepFlags) -> Result<(), Failure> {
    if !flags.local {
        return Err(Failure::configuration("a sweep runs on this host only, so far: give --local"));
    }
    let SweepFlags { config, run_dir, parallel, cores, set, resume, .. } = flags;
    let (run_dir, parallel, cores, resume) = (run_dir.as_deref(), *parallel, *cores, *resume);
    let data = data_folder();
    let asked = Asked { config, run_dir, parallel, cores, set, resume };
    sweep::sweep(asked, &Environment::new(data.as_deref())).await
}

async fn evaluate(flags: EvaluateFlags) -> Result<(), Failure> {
    let place = if flags.nodes.is_empty() { Where::Local } else { Where::Remote(flags.nodes) };
    let data = data_folder();
    let found = run::evaluate(&flags.run, flags.step, place, &Environment::new(data.as_deref())).await?;
    if flags.json {
        return out::answer(format_args!("{}\n", serde_json::to_string(&found).map_err(Failure::internal)?));
    }
    let percent = |fraction: f64| format!("{:.2} %", 100.0 * fraction);
    out::answer(format_args!(
        "after {} updates: test accuracy {} (top 5: {}), loss {:.4}, {} images\n",
        found.step,
        percent(found.test_top1),
        percent(found.test_top5),
        found.test_loss,
        found.samples
    ))
}

async fn show_plan(flags: &PlanFlags) -> Result<(), Failure> {
    let config = load(&flags.config)?;
    let network = match config.input_shape() {
        Some(shape) => config.network(shape).map_err(Failure::configuration)?,
        None => Prepared::new(config.clone())?.network,
    };
    let estimator = run::estimator(&config, &network, flags.link)?;
    // What cannot be planned is not measured either.
    let ranges = run::cut(&config, &network)?;
    let mut plan = plan::plan(&network, &ranges, &estimator).map_err(Failure::configuration)?;
    if flags.measure {
        let Measured { estimator, ranges, peaks } = run::measure(&config, &network, estimator).await?;
        plan = plan::plan(&network, &ranges, &estimator).map_err(Failure::configuration)?.with_peaks(&peaks);
    }
    if flags.json {
        out::answer(format_args!("{}\n", serde_json::to_string(&plan).map_err(Failure::internal)?))
    } else {
        out::answer(plan::table(&plan))
    }
}

fn compare(flags: &CompareFlags) -> Result<(), Failure> {
    let runs = flags.runs.iter().map(|run| report::Run::read(run)).collect::<Result<Vec<_>, _>>();
    let page = report::render(&runs.map_err(Failure::configuration)?);
    let unwritable = |error| Failure::internal(format!("cannot write {}: {error}", flags.out.display()));
    std::fs::write(&flags.out, page).map_err(unwritable)?;
    out::answer(format_args!("{}\n", flags.out.display()))
}

async fn check(flags: CheckFlags) -> Result<(), Failure> {
    let deadline = Duration::from_secs(flags.deadline);
    let (mut failed, mut first) = (0, None);
    let mut table = format!(
        "{:<28} {:<10} {:<8} {:>7} {:>21}   run\n",
        "control address", "release", "device", "threads", "memory free of all"
    );
    for (address, found) in flags.nodes.iter().zip(node::check(&flags.nodes, deadline).await) {
        let line = found.as_ref().map_or_else(ToString::to_string, described);
        table.push_str(&format!("{address:<28} {line}\n"));
        if let Err(error) = found {
            failed += 1;
            first.get_or_insert(error);
        }
    }
    out::answer(table)?;
    match first {
        None => Ok(()),
        Some(error) if failed == 1 => Err(error.into()),
        Some(error) => Err(Failure::node(format!("{error}; and {} more", failed - 1))),
    }
}

/// A node's line of the table, but for its address.
fn described(node: &Description) -> String {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let memory = format!("{:.1} of {:.1} GiB", gib(node.memory_available), gib(node.memory_total));
    let run = node.run.as_deref().unwrap_or("idle");
    format!("{:<10} {:<8} {:>7} {memory:>21}   {run}", node.version, node.device, node.threads)
}

fn load(flags: &ConfigFlags) -> Result<Config, Failure> {
    let data = data_folder();
    config::load(&flags.config, &flags.overrides, &Environment::new(data.as_deref()))
        .map_err(Failure::configuration)
}

fn data_folder() -> Option<PathBuf> {
    std::env::var_os("NEUROPIL_DATA").map(PathBuf::from).filter(|path| path != Path::new(""))
}

/// Shows a failure as the last line on stderr; returns its exit code.
pub fn report(failure: &Failure) -> u8 {
    out::note(format_args!("error: {failure}"));
    failure.cause.code()
}
