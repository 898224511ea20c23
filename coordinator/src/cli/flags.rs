//! The flags of every command; what stands above each is what `--help` says.

use crate::partition::LinkRate;
use crate::run::{Resume, Which};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct ConfigFlags {
    /// The configuration, in TOML
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Set one key, as in --set optimizer.lr=0.05; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) overrides: Vec<String>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct PlaceFlags {
    /// Start one layer-node per stage on this host, and end them with the run
    #[arg(long)]
    pub(super) local: bool,
    /// Control addresses of the layer nodes, one per stage, nearest the input first
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    pub(super) nodes: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct TrainFlags {
    #[command(flatten)]
    pub(super) config: ConfigFlags,
    #[command(flatten)]
    pub(super) place: PlaceFlags,
    /// The run's folder becomes runs/NAME
    #[arg(long)]
    pub(super) name: Option<String>,
    /// The run's folder itself
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    pub(super) run_dir: Option<PathBuf>,
    /// Take up the run in the folder again: after STEP updates, or at the newest snapshot that all nodes have
    #[arg(long, value_name = "STEP|auto")]
    pub(super) resume: Option<Resume>,
    /// How often to roll back to the newest common snapshot and go on when a node fails
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) restarts: u32,
    /// Leave trace.json in the run folder: when every action computed, for Perfetto or chrome://tracing
    #[arg(long)]
    pub(super) trace: bool,
    /// Where Prometheus scrapes the run, at http://ADDR/metrics; port 0 picks a free one
    #[arg(long, value_name = "ADDR")]
    pub(super) metrics: Option<SocketAddr>,
    /// Take the end of standard input for an interrupt: the run then ends with the process that started it
    #[arg(long, hide = true)]
    pub(super) exit_with_stdin: bool,
}

#[derive(Args, Debug)]
pub(super) struct SweepFlags {
    /// The sweep, in TOML
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Start the layer-nodes of every trial on this host
    #[arg(long)]
    pub(super) local: bool,
    /// The sweep's folder; without it, runs/NAME
    #[arg(long, value_name = "DIR")]
    pub(super) run_dir: Option<PathBuf>,
    /// Trials side by side; part of the result
    #[arg(long, value_name = "N")]
    pub(super) parallel: Option<usize>,
    /// Cores that they share, which decides each node's threads; part of the result
    #[arg(long, value_name = "N")]
    pub(super) cores: Option<usize>,
    /// Set a key of the configuration in all trials, above the file's [set]; may be given many times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Go on with the sweep in the folder
    #[arg(long)]
    pub(super) resume: bool,
}

#[derive(Args, Debug)]
pub(super) struct EvaluateFlags {
    /// The folder of a run
    #[arg(long, value_name = "DIR")]
    pub(super) run: PathBuf,
    /// Which state: the final one, the one with the best test accuracy, or the one after N updates
    #[arg(long, value_name = "last|best|N", default_value = "last")]
    pub(super) step: Which,
    /// The nodes that keep the run's state; without it, local ones are started
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    pub(super) nodes: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct PlanFlags {
    #[command(flatten)]
    pub(super) config: ConfigFlags,
    /// Speed of the links, as in 10Gbit/s
    #[arg(long, value_name = "RATE")]
    pub(super) link: Option<LinkRate>,
    /// Measure layers and stages on this host, one at a time, and balance and predict by that
    #[arg(long, requires = "local")]
    pub(super) measure: bool,
    /// Where to measure: on nodes that are started here, and ended
    #[arg(long, requires = "measure")]
    pub(super) local: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct CompareFlags {
    /// The folders of the runs
    #[arg(required = true, value_name = "RUN")]
    pub(super) runs: Vec<PathBuf>,
    /// The page to write
    #[arg(long, default_value = "compare.html")]
    pub(super) out: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct CheckFlags {
    /// Control addresses of the layer nodes
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',', required = true)]
    pub(super) nodes: Vec<String>,
    /// Seconds within which each must answer
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) deadline: u64,
}
