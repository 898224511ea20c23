//! Faults that a test causes in a run, and checks of the run's end against the contract.

use crate::certificates::{Authority, Leaf};
use crate::{Bench, Coordinator, Ended, Node, digest};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A run that cannot go on ends within this time.
pub const CONTRACT: Duration = Duration::from_secs(15);

/// A run over three stages that does not end by itself.
pub const ENDLESS: &str = r#"
[train]
epochs = 100000
batch = 32
[pipeline]
microbatches = 2
stages = ["branch2", "down"]
"#;

/// The number of steps between the snapshots of [`saving`].
pub const SAVED_EVERY: u64 = 7;

/// A run of so many epochs of ten steps over three stages, which takes snapshots. The keys end with its
/// section `[snapshot]`.
pub fn saving(epochs: u32) -> String {
    format!(
        r#"
[rule]
name = "symmetric_alignment"
[train]
epochs = {epochs}
batch = 16
[optimizer]
lr = 0.05
[pipeline]
microbatches = 2
stages = ["branch2", "down"]
[snapshot]
every_steps = {SAVED_EVERY}
"#
    )
}

/// Sends a signal, as in `-KILL`.
pub fn signal(signal: &str, process: u32) {
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
}

/// A node whose state folder is `state` or lies below it. The path is absolute, which tells the node from those of
/// other tests.
pub fn node(state: &Path) -> Option<u32> {
    // The folder of a stage is the beginning of the name of its backward node's.
    let folder = state.display().to_string();
    let pattern = format!("layer-node serve.*{}([/ ]|$)", folder.trim_end_matches('/'));
    let output = Command::new("pgrep").args(["-f", &pattern]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().next().map(|line| line.parse().unwrap())
}

/// Waits for `condition` within the contract's time.
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    within(CONTRACT, what, condition);
}

/// Waits for `condition` until the deadline.
pub fn within(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < deadline, "{what} did not come within {deadline:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Checks a failure against the contract: the exit code, and a last line on stderr that is one sentence and says all
/// of `said`. `cargo test -- --nocapture` shows the sentences, for `docs/failures.md`.
pub fn failed(ended: &Ended, code: i32, said: &[&str]) {
    let sentence = ended.last_line();
    println!("{code}  {sentence}");
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    assert!(sentence.starts_with("error: "), "{}", ended.stderr);
    for part in said {
        assert!(sentence.contains(part), "'{part}' is not said in: {sentence}");
    }
}

/// Nodes started by hand, and a bench to train on.
pub struct Hosts {
    /// The data, and the nodes' state folders `host-N`.
    pub bench: Bench,
    /// The nodes, the one nearest the input first.
    pub nodes: Vec<Node>,
    /// The backward nodes of stages that are split, in the order of the stages.
    pub backward: Vec<Node>,
    /// The coordinator's flags for mutual TLS; empty in plaintext.
    pub tls: Vec<String>,
}

impl Hosts {
    /// Starts `count` nodes.
    pub fn new(count: usize) -> Self {
        let bench = Bench::new();
        let nodes = (0..count).map(|stage| Node::start(&bench.path(&format!("host-{stage}")))).collect();
        Self { bench, nodes, backward: Vec::new(), tls: Vec::new() }
    }

    /// As [`Hosts::new`], with a backward node for each stage, whose state folders are `host-N-backward`.
    pub fn split(count: usize) -> Self {
        let mut hosts = Self::new(count);
        let start = |stage| Node::start(&hosts.bench.path(&format!("host-{stage}-backward")));
        hosts.backward = (0..count).map(start).collect();
        hosts
    }

    /// Starts `count` nodes with certificates, and logs beside their states.
    pub fn secured(count: usize) -> Self {
        Self::certified(count, false)
    }

    /// As [`Hosts::secured`], with a backward node for each stage.
    pub fn secured_split(count: usize) -> Self {
        Self::certified(count, true)
    }

    fn certified(count: usize, is_split: bool) -> Self {
        let bench = Bench::new();
        let authority = Authority::new(&bench.path("tls"));
        let start = |stage: usize, leaf: Leaf, half: &str| {
            let files = authority.issue(&format!("stage-{stage}{half}"), &leaf);
            Node::logged(&bench.path(&format!("host-{stage}{half}")), &files.flags())
        };
        let nodes = (0..count).map(|stage| start(stage, Leaf::stage(stage), "")).collect();
        let backward = 0..if is_split { count } else { 0 };
        let backward = backward.map(|stage| start(stage, Leaf::backward(stage), "-backward")).collect();
        let tls = authority.issue("coordinator", &Leaf::coordinator()).flags();
        Self { bench, nodes, backward, tls }
    }

    /// The control addresses, as `--nodes` takes them.
    pub fn addresses(&self) -> String {
        control(&self.nodes)
    }

    /// Runs a coordinator for these nodes to its end.
    pub fn ended(&self, arguments: &[&str]) -> Ended {
        let place = self.place();
        let place: Vec<_> = place.iter().map(String::as_str).collect();
        self.bench.ended(&[arguments, &place[..]].concat())
    }

    /// Starts a run with the configuration `keys`, and waits until it trains.
    pub fn training(&self, keys: &str, name: &str) -> Coordinator {
        let place = self.place();
        let place: Vec<_> = place.iter().map(String::as_str).collect();
        self.bench.start(name, &self.bench.config(keys), &place).wait_for_steps(3)
    }

    /// The flags that name these nodes.
    fn place(&self) -> Vec<String> {
        let mut place = vec!["--nodes".into(), self.addresses()];
        if !self.backward.is_empty() {
            place.extend(["--backward-nodes".into(), control(&self.backward)]);
        }
        place.extend(self.tls.iter().cloned());
        place
    }

    /// SHA-256 of every tensor that the nodes keep, by name.
    pub fn digests(&self) -> BTreeMap<String, String> {
        let stages = (0..self.nodes.len()).map(|host| format!("host-{host}"));
        let backward = (0..self.backward.len()).map(|host| format!("host-{host}-backward"));
        stages.chain(backward).flat_map(|host| digest(&self.bench.path(&host))).collect()
    }

    /// The number of idle nodes.
    pub fn idle(&self) -> usize {
        self.ended(&["check"]).stdout.matches("idle").count()
    }
}

/// The control addresses of nodes, as the coordinator's flags take them.
fn control(nodes: &[Node]) -> String {
    let addresses: Vec<_> = nodes.iter().map(|node| node.address("control")).collect();
    addresses.join(",")
}
