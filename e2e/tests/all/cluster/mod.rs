//! Tests of both programs as a cluster runs them: processes come in any order, go away and come back, under names that do
//! not resolve yet, and one command line starts a run and takes it up again.

mod contained;
mod names;
mod pods;
mod waits;

use e2e::harm::signal;
use e2e::{Bench, Coordinator, Node, digest, pod};
use std::collections::BTreeMap;
use std::path::Path;

const STAGES: usize = 3;

/// The pods of the stages: a node each, with a state folder and addresses that outlive the node.
struct Pods {
    bench: Bench,
    addresses: Vec<[String; 3]>,
    nodes: Vec<Option<Node>>,
}

impl Pods {
    /// Pods that are not started yet.
    fn new() -> Self {
        let addresses = (0..STAGES).map(|_| pod::addresses("127.0.0.1")).collect();
        Self { bench: Bench::new(), addresses, nodes: (0..STAGES).map(|_| None).collect() }
    }

    /// Starts the node of a stage.
    fn start(&mut self, stage: usize) {
        let state = self.bench.path(&format!("host-{stage}"));
        let node = Node::at(&state, self.addresses[stage].each_ref().map(String::as_str));
        self.nodes[stage] = Some(node);
    }

    /// Sends the node of a stage a signal, and waits for its end. Returns its exit code.
    fn end(&mut self, stage: usize, name: &str) -> Option<i32> {
        let mut node = self.nodes[stage].take().expect("a node");
        signal(name, node.child.id());
        node.child.wait().expect("a child can be waited for").code()
    }

    /// The one command line of every start of the run `pods`.
    fn train(&self, config: &Path, more: &[&str]) -> Coordinator {
        let control: Vec<_> = self.addresses.iter().map(|[_, control, _]| control.as_str()).collect();
        let nodes = control.join(",");
        let place = ["--nodes", &nodes, "--resume", "auto", "--set", "network.connect_deadline=120"];
        self.bench.start("pods", config, &[&place[..], more].concat())
    }

    /// SHA-256 of every tensor that the nodes keep, by name.
    fn digests(&self) -> BTreeMap<String, String> {
        let states = (0..STAGES).map(|stage| self.bench.path(&format!("host-{stage}")));
        states.flat_map(|state| digest(&state)).collect()
    }
}

/// What a coordinator says on stderr, line by line, while it works.
struct Said {
    lines: std::sync::mpsc::Receiver<String>,
    so_far: Vec<String>,
}

impl Said {
    /// Reads the stderr of `coordinator`, which its end then lacks.
    fn of(coordinator: &mut Coordinator) -> Self {
        let stderr = coordinator.child().stderr.take().expect("piped");
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let read = std::io::BufRead::lines(std::io::BufReader::new(stderr));
            read.map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Self { lines, so_far: Vec::new() }
    }

    /// The first line from here on that contains `part`. It must come within a minute.
    fn wait_for(&mut self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(std::time::Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| panic!("'{part}' is not said in {:#?}", self.so_far));
            self.so_far.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    /// All lines, up to the coordinator's end.
    fn all(mut self) -> Vec<String> {
        self.so_far.extend(self.lines.iter());
        self.so_far
    }
}
