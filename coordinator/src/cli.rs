//! The command line: parses the flags, calls the command, and reports its failure with an exit code.

mod flags;
mod words;

use crate::config::{self, Config, Environment};
use crate::console::{answer, remark};
use crate::node;
use crate::plan;
use crate::prepare::{self, Placement, Prepared};
use crate::report;
use crate::run::{self, Measured, Naming, TrainOptions};
use crate::run_error::RunError;
use crate::sweep::{self, SweepOptions};
use clap::{Parser, Subcommand, ValueEnum};
use flags::{CheckFlags, CompareFlags, ConfigFlags, EvaluateFlags, PlanFlags, SweepFlags, TrainFlags};
use proto::link::Peer;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    /// Show the plan of a run: stages, traffic, memory, lanes
    Plan(PlanFlags),
    /// Connect to nodes and show their descriptions
    Check(CheckFlags),
    /// Overlay the reports of several runs on one page
    Compare(CompareFlags),
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
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(RunError::internal)?;
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

async fn train(flags: TrainFlags) -> Result<(), RunError> {
    let prepared = Prepared::new(load(&flags.config)?)?;
    let placement = if flags.place.local { Placement::Local } else { Placement::Remote(flags.place.nodes) };
    let stem = flags.config.config.file_stem().and_then(|stem| stem.to_str()).unwrap_or("run");
    let naming = Naming { name: flags.name.as_deref(), run_dir: flags.run_dir.as_deref(), stem };
    let TrainFlags { resume, restarts, trace, metrics, exit_with_stdin, .. } = flags;
    let options = TrainOptions { resume, restarts, trace, metrics, exit_with_stdin };
    run::train(prepared, placement, naming, options).await
}

async fn start_sweep(flags: &SweepFlags) -> Result<(), RunError> {
    if !flags.local {
        return Err(RunError::configuration("a sweep runs on this host only, so far: give --local"));
    }
    let SweepFlags { config, run_dir, parallel, cores, set, resume, .. } = flags;
    let (run_dir, parallel, cores, resume) = (run_dir.as_deref(), *parallel, *cores, *resume);
    let data = data_folder();
    let options = SweepOptions { config, run_dir, parallel, cores, set, resume };
    sweep::sweep(options, &Environment::new(data.as_deref())).await
}

async fn evaluate(flags: EvaluateFlags) -> Result<(), RunError> {
    let placement = if flags.nodes.is_empty() { Placement::Local } else { Placement::Remote(flags.nodes) };
    let data = data_folder();
    let found = run::evaluate(&flags.run, flags.step, placement, &Environment::new(data.as_deref())).await?;
    if flags.json {
        return answer(format_args!("{}\n", serde_json::to_string(&found).map_err(RunError::internal)?));
    }
    let number = |measure: Option<f64>| measure.unwrap_or(f64::NAN);
    let percent = |fraction| format!("{:.2} %", 100.0 * number(fraction));
    answer(format_args!(
        "after {} updates: test accuracy {} (top 5: {}), loss {:.4}, {} images\n",
        found.step,
        percent(found.test_top1),
        percent(found.test_top5),
        number(found.test_loss),
        found.samples
    ))
}

async fn show_plan(flags: &PlanFlags) -> Result<(), RunError> {
    let config = load(&flags.config)?;
    let (network, facts) = match config.input_shape() {
        Some(shape) => (config.network(shape).map_err(RunError::configuration)?, None),
        None => Prepared::new(config.clone()).map(|prepared| (prepared.network, Some(prepared.facts)))?,
    };
    let doubts = prepare::doubts(&config, Some(&network), facts.as_ref());
    let estimator = prepare::estimator(&config, &network, flags.link)?;
    // Planning comes first, so that a configuration that cannot be planned fails before the measurement.
    let ranges = prepare::cut(&config, &network)?;
    let mut plan = plan::plan(&network, &ranges, &estimator).map_err(RunError::configuration)?;
    if flags.measure {
        let Measured { estimator, ranges, peaks } = run::measure(&config, &network, estimator).await?;
        plan = plan::plan(&network, &ranges, &estimator).map_err(RunError::configuration)?.with_peaks(&peaks);
    }
    plan.warnings.splice(0..0, doubts.into_iter().map(|doubt| doubt.sentence));
    if flags.json {
        return answer(format_args!("{}\n", serde_json::to_string(&plan).map_err(RunError::internal)?));
    }
    answer(format_args!("{}", plan::table(&plan)))
}

fn compare(flags: &CompareFlags) -> Result<(), RunError> {
    let runs = flags.runs.iter().map(|run| report::Run::read(run)).collect::<Result<Vec<_>, _>>();
    let page = report::render(&runs.map_err(RunError::configuration)?);
    let unwritable = |error| RunError::internal(format!("cannot write {}: {error}", flags.out.display()));
    std::fs::write(&flags.out, page).map_err(unwritable)?;
    answer(format_args!("{}\n", flags.out.display()))
}

async fn check(flags: CheckFlags) -> Result<(), RunError> {
    let deadline = Duration::from_secs(flags.deadline);
    let (mut failed, mut first) = (0, None);
    answer(format_args!(
        "{:<28} {:<10} {:<8} {:>7} {:>21}   run\n",
        "control address", "release", "device", "threads", "memory free of all"
    ))?;
    let peers: Vec<_> = flags.nodes.iter().map(Peer::node).collect();
    for (address, found) in flags.nodes.iter().zip(node::check(&peers, deadline).await) {
        match found {
            Ok(node) => {
                let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
                let memory =
                    format!("{:.1} of {:.1} GiB", gib(node.memory_available), gib(node.memory_total));
                let run = node.run.as_deref().unwrap_or("idle");
                answer(format_args!(
                    "{address:<28} {:<10} {:<8} {:>7} {memory:>21}   {run}\n",
                    node.version, node.device, node.threads
                ))?;
            }
            Err(error) => {
                answer(format_args!("{address:<28} {error}\n"))?;
                failed += 1;
                first.get_or_insert(error);
            }
        }
    }
    match first {
        None => Ok(()),
        Some(error) if failed == 1 => Err(error.into()),
        Some(error) => Err(RunError::node(format!("{error}; and {} more", failed - 1))),
    }
}

fn load(flags: &ConfigFlags) -> Result<Config, RunError> {
    let data = data_folder();
    config::load(&flags.config, &flags.overrides, &Environment::new(data.as_deref()))
        .map_err(RunError::configuration)
}

fn data_folder() -> Option<PathBuf> {
    std::env::var_os("NEUROPIL_DATA").map(PathBuf::from).filter(|path| path != Path::new(""))
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
}
