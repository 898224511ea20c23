//! The flags of every command; clap shows each field's rustdoc as the help text of the flag.

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
    /// Set one key, as in --set optimizer.lr=0.05; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) overrides: Vec<String>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct PlaceFlags {
    /// Start one layer-node per stage on this host, and stop them at the end of the run
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
    /// The run's name: its folder is runs/NAME
    #[arg(long)]
    pub(super) name: Option<String>,
    /// The run's folder, in place of runs/NAME
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    pub(super) run_dir: Option<PathBuf>,
    /// The stem of an unnamed run's folder, which is the first free runs/STEM-N; without it, the configuration's name
    #[arg(long, conflicts_with_all = ["name", "run_dir"])]
    pub(super) stem: Option<String>,
    /// Resume the run in the folder: from the snapshot after STEP updates, or from the newest snapshot that all
    /// nodes have; auto begins a run with a name or folder that is not there yet, and of unnamed runs it takes the
    /// unfinished or else the newest run
    #[arg(long, value_name = "STEP|auto")]
    pub(super) resume: Option<Resume>,
    /// How often the run may roll back to the newest common snapshot and go on after a node failed
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) restarts: u32,
    /// Write trace.json into the run folder: the time of every action, for Perfetto or chrome://tracing
    #[arg(long)]
    pub(super) trace: bool,
    /// Address on which Prometheus can scrape the run, at http://ADDR/metrics; port 0 picks a free port
    #[arg(long, value_name = "ADDR")]
    pub(super) metrics: Option<SocketAddr>,
    /// Treat the end of standard input as an interrupt: the run then ends with its parent process
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
    /// Number of trials that run at once; part of the result
    #[arg(long, value_name = "N")]
    pub(super) parallel: Option<usize>,
    /// Cores that the concurrent trials share, which sets each node's threads; part of the result
    #[arg(long, value_name = "N")]
    pub(super) cores: Option<usize>,
    /// Set a key of the configuration in all trials, above the file's [set]; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Resume the sweep in the folder, or begin it where there is none yet
    #[arg(long)]
    pub(super) resume: bool,
}

#[derive(Args, Debug)]
pub(super) struct EvaluateFlags {
    /// The folder of a run
    #[arg(long, value_name = "DIR")]
    pub(super) run: PathBuf,
    /// The state to evaluate: the final one, the one with the best test accuracy, or the one after N updates
    #[arg(long, value_name = "last|best|N", default_value = "last")]
    pub(super) step: Which,
    /// Control addresses of the nodes that keep the run's state; without the flag, nodes start on this host
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    pub(super) nodes: Vec<String>,
    /// Set one key for this command, as in --set data.path=DIR for data that has moved; repeatable. Only data.path and
    /// the deadlines of the network can be set
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) overrides: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct PlanFlags {
    #[command(flatten)]
    pub(super) config: ConfigFlags,
    /// Rate of the links, as in 10Gbit/s
    #[arg(long, value_name = "RATE")]
    pub(super) link: Option<LinkRate>,
    /// Measure layers and stages on this host, one at a time, and use the times for the balance and the prediction
    #[arg(long, requires = "local")]
    pub(super) measure: bool,
    /// Measure on nodes that the command starts on this host and stops afterwards
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
    /// Seconds within which each node must answer
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) deadline: u64,
}
