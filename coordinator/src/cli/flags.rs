//! The flags of every command; clap shows each field's rustdoc as the help text of the flag.

use super::origin::OriginFlags;
use crate::certificates::{BackwardOf, HostOf};
use crate::locality::Allowed;
use crate::manifests::{ClaimName, DataVolume, Image, QueueName, RunName};
use crate::partition::{ComputeSpeed, Figures, LinkSpeed, Rates};
use crate::run::{Resume, Which};
use crate::weights::{Backward, PartsId};
use clap::{Args, ValueEnum};
use proto::transport::tls::TlsFlags;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The most stages of a deployment: a stage for each layer of the largest network.
const MAX_STAGES: i64 = proto::spec::graph::MAX_LAYERS as i64;

#[derive(Args, Debug)]
pub(super) struct ConfigFlags {
    /// The configuration, in TOML
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Set one key, as in --set optimizer.lr=0.05; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) overrides: Vec<String>,
}

impl ConfigFlags {
    /// The name of the configuration's file, without its extension.
    pub(super) fn stem(&self) -> &str {
        self.config.file_stem().and_then(|stem| stem.to_str()).unwrap_or("run")
    }
}

#[derive(Args, Debug)]
pub(super) struct BackwardFlags {
    /// Control addresses of the layer nodes that keep the B of split layers (pipeline.placement), one for each stage
    /// that has such layers, nearest the input first
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    pub(super) backward_nodes: Vec<String>,
}

/// The addresses of a list in which nothing stands for no address, as a script's empty variable leaves it.
pub(super) fn addresses(given: Vec<String>) -> Vec<String> {
    if given == [""] { Vec::new() } else { given }
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct PlaceFlags {
    /// Start the layer-nodes of the run on this host, and stop them at its end: one per stage, and one more per stage
    /// whose W and B are split
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
    #[command(flatten)]
    pub(super) backward: BackwardFlags,
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
    /// unfinished or else the newest run. Some keys may have other values now, among them pipeline.stages
    #[arg(long, value_name = "STEP|auto")]
    pub(super) resume: Option<Resume>,
    #[command(flatten)]
    pub(super) origin: OriginFlags,
    #[command(flatten)]
    pub(super) tls: TlsFlags,
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
    /// Number of trials that run at once; part of the result, but not with --manifests, where it
    /// is the most pods at once
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
    /// Run only the trial with this number, the first being 0, or take it up again; other processes may run other
    /// trials in the same folder at the same time, and --collect makes their table
    #[arg(long, value_name = "K", requires = "local", conflicts_with_all = ["resume", "parallel"])]
    pub(super) trial: Option<usize>,
    /// Make the table of the trials that ran each by itself, as far as they have ended
    #[arg(long, conflicts_with_all = ["trial", "local", "resume", "parallel"])]
    pub(super) collect: bool,
    #[command(flatten)]
    pub(super) manifests: SweepManifestsFlags,
}

#[derive(Args, Debug)]
pub(super) struct SweepManifestsFlags {
    /// Write a folder of manifests by which Kubernetes runs every trial in a pod of its own
    #[arg(long, value_name = "DIR", conflicts_with_all = ["trial", "collect", "local", "resume", "run_dir"])]
    pub(super) manifests: Option<PathBuf>,
    /// The image of all pods; without the flag, that of this release
    #[arg(long, value_name = "IMAGE", requires = "manifests")]
    pub(super) image: Option<Image>,
    /// Where the pods find the data: in a PersistentVolumeClaim, which they only read, or in an emptyDir that an init
    /// container of a patch fills; without the flag, within the image
    #[arg(long, value_name = "CLAIM|emptyDir", requires = "manifests")]
    pub(super) data: Option<DataVolume>,
    /// An existing PersistentVolumeClaim for the run folders, in place of a new one
    #[arg(long, value_name = "CLAIM", requires = "manifests")]
    pub(super) claim: Option<ClaimName>,
    /// The queue by which Kueue admits the pods; none starts before
    #[arg(long, value_name = "QUEUE", requires = "manifests")]
    pub(super) queue: Option<QueueName>,
}

#[derive(Args, Debug)]
pub(super) struct EvaluateFlags {
    /// The folder of a run
    #[arg(long, value_name = "DIR")]
    pub(super) run: PathBuf,
    /// The state to evaluate: the final one, the one with the best test accuracy, or the one after N updates; 0 is the
    /// beginning
    #[arg(long, value_name = "last|best|N", default_value = "last")]
    pub(super) step: Which,
    /// Control addresses of the nodes that keep the run's state; without the flag, nodes start on this host
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    pub(super) nodes: Vec<String>,
    /// The flag of commands that train, which this command refuses by name
    #[arg(long, value_delimiter = ',', hide = true)]
    pub(super) backward_nodes: Vec<String>,
    #[command(flatten)]
    pub(super) tls: TlsFlags,
    /// Set one key for this command, as in --set data.path=DIR for data that has moved, or --set data.test=NAME for
    /// another test set of photographs; repeatable. Only data.path, data.max_broken, node.device, the keys of the test
    /// set and the deadlines of the network can be set
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) overrides: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Also write a page with the accuracy of every class and the confusions
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Classify these pictures (JPEG, PNG or WebP) instead of the test set: the five likeliest classes of each
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "html")]
    pub(super) images: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct PlanFlags {
    #[command(flatten)]
    pub(super) config: ConfigFlags,
    /// Rate of each host's link, and the latency of one way, as in 10Gbit/s or 100Mbit/s,5ms
    #[arg(long, value_name = "RATE[,LATENCY]")]
    pub(super) link: Option<LinkSpeed>,
    /// Speed of the device of each stage, as in 20TMAC/s,1TB/s: multiply-adds in convolutions and dense layers, and bytes
    /// of memory in all others, per second
    #[arg(long, value_name = "RATE[,RATE]", conflicts_with = "measure")]
    pub(super) compute: Option<ComputeSpeed>,
    /// Believe the figures that coordinator bench --out wrote, in place of the usual rates; --link and --compute are above
    /// them
    #[arg(long, value_name = "FILE", conflicts_with = "measure")]
    pub(super) rates: Option<PathBuf>,
    /// Measure layers and stages on this host, one at a time, and use the times for the balance and the prediction
    #[arg(long, requires = "local")]
    pub(super) measure: bool,
    /// Measure on nodes that the command starts on this host and stops afterwards
    #[arg(long, requires = "measure")]
    pub(super) local: bool,
    /// Write each stage that a run of this configuration has into the folder, as stage-0.toml and so on, and the half
    /// of a split stage that keeps B as stage-0-backward.toml: a node that is started with layer-node serve
    /// --stage-spec FILE becomes no other
    #[arg(long, value_name = "DIR", conflicts_with = "measure")]
    pub(super) stage_specs: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl PlanFlags {
    /// The assumed rates, or those of measured `figures`, with those that the flags give.
    pub(super) fn rates(&self, figures: Option<&Figures>) -> Rates {
        let usual = figures.map_or(Rates::default(), |figures| figures.rates(Rates::default()));
        let rates = self.link.map_or(usual, |link| link.within(usual));
        self.compute.map_or(rates, |compute| compute.within(rates))
    }
}

#[derive(Args, Debug)]
pub(super) struct DataFlags {
    #[command(flatten)]
    pub(super) config: ConfigFlags,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Write a picture of the first minibatch of training, as augmentation makes it
    #[arg(long, value_name = "FILE.png")]
    pub(super) picture: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct CompareFlags {
    /// The folders of runs, or of sweeps for all trials that trained to their end
    #[arg(required = true, value_name = "RUN|SWEEP")]
    pub(super) runs: Vec<PathBuf>,
    /// The page to write
    #[arg(long, value_name = "FILE.html", default_value = "compare.html")]
    pub(super) out: PathBuf,
    /// Write every number: a row for each run, step and series
    #[arg(long, value_name = "FILE.csv")]
    pub(super) csv: Option<PathBuf>,
    /// Write the charts as one figure, and each by itself beside it as FILE-NAME.svg
    #[arg(long, value_name = "FILE.svg")]
    pub(super) svg: Option<PathBuf>,
    /// Write the same pictures as PNG
    #[arg(long, value_name = "FILE.png")]
    pub(super) png: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct CertificatesFlags {
    /// The folder for the CA (ca.pem, ca-key.pem) and each process's certificate and key (stage-0.pem,
    /// stage-0-key.pem, …, coordinator.pem, coordinator-key.pem)
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Number of stages, each of which gets a certificate
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_STAGES))]
    pub(super) stages: u32,
    /// Stages that have layers whose W and B are on two hosts: the backward node of each gets a certificate as well
    /// (stage-0-backward.pem, stage-0-backward-key.pem, …)
    #[arg(long, value_name = "K,…|all")]
    pub(super) backward: Option<BackwardOf>,
    /// A DNS name or an IP address to put into the nodes' certificates, or K=NAME for stage K alone and
    /// K-backward=NAME for its backward node alone; repeatable. Other tools read it: nodes and coordinator compare
    /// identities, not hosts. Without the flag, a renewed certificate keeps its names
    #[arg(long = "host", value_name = "NAME")]
    pub(super) hosts: Vec<HostOf>,
    /// For the pods of coordinator manifests: fill the folder certificates/ that it wrote. Without --host, each node's
    /// certificate names its Service
    #[arg(long)]
    pub(super) kubernetes: bool,
    /// Days for which the certificates are valid; a new CA is valid for 10 years, or as long as they are
    #[arg(long, value_name = "D", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(super) days: u32,
    /// The deployment's name, which tells its processes from those of others; without the flag, that of the folder's
    /// CA, or a random name for a new CA
    #[arg(long, value_name = "NAME")]
    pub(super) deployment: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct ManifestsFlags {
    #[command(flatten)]
    pub(super) config: ConfigFlags,
    /// The folder for the manifests
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// The run's name, a label of all its objects; without it, the configuration's name. One namespace holds one run
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<RunName>,
    /// The image of all pods
    #[arg(long, value_name = "IMAGE", default_value_t)]
    pub(super) image: Image,
    /// Where the coordinator finds the data: in a PersistentVolumeClaim, which it only reads, or in an emptyDir that an
    /// init container of a patch fills; without the flag, within the image
    #[arg(long, value_name = "CLAIM|emptyDir")]
    pub(super) data: Option<DataVolume>,
    /// Give every node a GPU (nvidia.com/gpu: 1) and shared memory
    #[arg(long)]
    pub(super) gpu: bool,
    /// The id of the parts that the nodes are to begin from, as coordinator split printed it: each node gets its part by
    /// layer-node import, and the Job waits for them
    #[arg(long, value_name = "ID")]
    pub(super) init: Option<PartsId>,
    /// The first B: the value that coordinator split was given
    #[arg(long, value_enum, requires = "init")]
    pub(super) backward: Option<Backward>,
}

#[derive(Args, Debug)]
pub(super) struct LocalityFlags {
    #[command(flatten)]
    pub(super) config: ConfigFlags,
    #[command(flatten)]
    pub(super) place: PlaceFlags,
    #[command(flatten)]
    pub(super) backward: BackwardFlags,
    #[command(flatten)]
    pub(super) tls: TlsFlags,
    /// Training steps of the proof
    #[arg(long, value_name = "K", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(super) steps: u64,
    /// Write the findings as one JSON object; - is stdout
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write a page with the drawing of the links
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Demand more of the rules than to read only what they declare: local rules do not read W
    #[arg(long, value_enum)]
    pub(super) rules: Option<Demand>,
}

/// A demand on the rules.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Demand {
    /// No rule reads W
    Local,
}

impl LocalityFlags {
    /// The rules that the proof allows.
    pub(super) fn allowed(&self) -> Allowed {
        match self.rules {
            Some(Demand::Local) => Allowed::Local,
            None => Allowed::Declared,
        }
    }
}
