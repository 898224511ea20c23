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
    let pattern = format!("layer-node serve.*{}", state.display());
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
    /// The coordinator's flags for mutual TLS; empty in plaintext.
    pub tls: Vec<String>,
}

impl Hosts {
    /// Starts `count` nodes.
    pub fn new(count: usize) -> Self {
        let bench = Bench::new();
        let nodes = (0..count).map(|stage| Node::start(&bench.path(&format!("host-{stage}")))).collect();
        Self { bench, nodes, tls: Vec::new() }
    }

    /// Starts `count` nodes with certificates, and logs beside their states.
    pub fn secured(count: usize) -> Self {
        let bench = Bench::new();
        let authority = Authority::new(&bench.path("tls"));
        let start = |stage: usize| {
            let files = authority.issue(&format!("stage-{stage}"), &Leaf::stage(stage));
            Node::logged(&bench.path(&format!("host-{stage}")), &files.flags())
        };
        let nodes = (0..count).map(start).collect();
        let tls = authority.issue("coordinator", &Leaf::coordinator()).flags();
        Self { bench, nodes, tls }
    }

    /// The control addresses, as `--nodes` takes them.
    pub fn addresses(&self) -> String {
        let addresses: Vec<_> = self.nodes.iter().map(|node| node.address("control")).collect();
        addresses.join(",")
    }

    /// Runs a coordinator for these nodes to its end.
    pub fn ended(&self, arguments: &[&str]) -> Ended {
        let addresses = self.addresses();
        self.bench.ended(&[arguments, &self.place(&addresses)].concat())
    }

    /// Starts a run with the configuration `keys`, and waits until it trains.
    pub fn training(&self, keys: &str, name: &str) -> Coordinator {
        let addresses = self.addresses();
        self.bench.start(name, &self.bench.config(keys), &self.place(&addresses)).wait_for_steps(3)
    }

    /// The flags that name these nodes.
    fn place<'a>(&'a self, addresses: &'a str) -> Vec<&'a str> {
        ["--nodes", addresses].into_iter().chain(self.tls.iter().map(String::as_str)).collect()
    }

    /// SHA-256 of every tensor that the nodes keep, by name.
    pub fn digests(&self) -> BTreeMap<String, String> {
        (0..self.nodes.len()).flat_map(|host| digest(&self.bench.path(&format!("host-{host}")))).collect()
    }

    /// The number of idle nodes.
    pub fn idle(&self) -> usize {
        self.ended(&["check"]).stdout.matches("idle").count()
    }
}
