//! A run that chaos tests harm: the kills and stops of its processes.

use super::schedule::{Blow, Harm, Random};
use e2e::harm::{eventually, node, signal};
use e2e::{Bench, Coordinator, Node, Run};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

pub const STAGES: usize = 3;
/// The number of victims: the stages, and the coordinator after them.
pub const VICTIMS: usize = STAGES + 1;
const COORDINATOR: usize = STAGES;
/// A harmed run makes its next step within this time.
const STEP_DEADLINE: Duration = Duration::from_secs(60);
/// How long a process stays stopped: longer than its neighbours wait for it.
const STOPPED: Duration = Duration::from_secs(20);

/// The nodes of a run: its own, or nodes that were started by hand.
pub enum Nodes {
    Local,
    Remote(Vec<Node>),
}

impl Nodes {
    /// Nodes on fixed ports, so that a restarted node has the addresses of the killed one.
    pub fn remote(bench: &Bench, random: &mut Random) -> Self {
        let start = |stage| {
            let ports = free_ports(random);
            Node::at(&bench.path(&format!("host-{stage}")), ports.each_ref().map(String::as_str))
        };
        Self::Remote((0..STAGES).map(start).collect())
    }
}

/// Ports that no connection takes while a node is away: below those that the system gives to connections.
fn free_ports(random: &mut Random) -> [String; 3] {
    [(); 3].map(|()| {
        loop {
            let address = format!("127.0.0.1:{}", 10_000 + random.below(20_000));
            if TcpListener::bind(&address).is_ok() {
                return address;
            }
        }
    })
}

/// A run that is harmed.
pub struct Harmed {
    bench: Bench,
    config: PathBuf,
    nodes: Nodes,
    coordinator: Option<Coordinator>,
}

impl Harmed {
    /// Starts the run, and waits until it trains.
    pub fn start(bench: Bench, config: PathBuf, nodes: Nodes) -> Self {
        let mut harmed = Self { bench, config, nodes, coordinator: None };
        harmed.launch(&[]);
        harmed.coordinator = harmed.coordinator.map(|coordinator| coordinator.wait_for_steps(1));
        harmed
    }

    /// Starts the coordinator, from the beginning or from the state that the killed coordinator left.
    fn launch(&mut self, resume: &[&str]) {
        let folder = self.run().folder;
        let mut command = self.bench.coordinator(&["train", "--restarts", "1000", "--config"]);
        command.arg(&self.config).arg("--run-dir").arg(folder).args(resume);
        match &self.nodes {
            Nodes::Local => command.arg("--local"),
            Nodes::Remote(nodes) => {
                let addresses: Vec<_> = nodes.iter().map(|node| node.address("control")).collect();
                command.args(["--nodes", &addresses.join(",")])
            }
        };
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        command.stderr(log);
        self.coordinator = Some(Coordinator::start(command, self.run()));
    }

    /// The run's folder.
    pub fn run(&self) -> Run {
        self.bench.run("chaos")
    }

    /// The state folder of every stage.
    pub fn states(&self) -> Vec<PathBuf> {
        (0..STAGES).map(|stage| self.state(stage)).collect()
    }

    fn state(&self, stage: usize) -> PathBuf {
        match self.nodes {
            Nodes::Local => self.run().folder.join(format!("state/stage-{stage}")),
            Nodes::Remote(_) => self.bench.path(&format!("host-{stage}")),
        }
    }

    fn log(&self) -> PathBuf {
        self.bench.path("coordinator.log")
    }

    /// The log of all the run's coordinators.
    pub fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap()
    }

    /// Waits for the moment of `blow`, and harms the victim.
    pub fn suffer(&mut self, blow: &Blow) {
        let (begun, due) = (Instant::now(), self.run().steps() + blow.steps);
        while self.run().steps() < due && begun.elapsed() < blow.within.unwrap_or(STEP_DEADLINE) {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(begun.elapsed() < STEP_DEADLINE, "step {due} did not come: {}", self.said());
        std::thread::sleep(blow.pause);
        let over = self.coordinator.as_mut().unwrap().is_over();
        assert!(!over, "the run ended too early: {}", self.said());
        match blow.harm {
            Harm::Kill { away } => self.kill(blow.victim, away),
            Harm::Stop => self.stop(blow.victim),
        }
    }

    fn process(&self, victim: usize) -> u32 {
        match (&self.nodes, &self.coordinator) {
            (_, Some(coordinator)) if victim == COORDINATOR => coordinator.id(),
            (Nodes::Remote(nodes), _) => nodes[victim].child.id(),
            _ => {
                let state = self.state(victim);
                eventually("the node", || node(&state).is_some());
                node(&state).unwrap_or_default()
            }
        }
    }

    /// Kills the victim, and starts it again unless the coordinator does.
    fn kill(&mut self, victim: usize, away: Duration) {
        let process = self.process(victim);
        // A local node may have been replaced meanwhile. Then the kill may fail, and the run goes on unharmed.
        let _ = Command::new("kill").args(["-KILL", &process.to_string()]).status();
        if victim == COORDINATOR {
            self.coordinator.take().unwrap().kill();
            std::thread::sleep(away);
            return self.launch(&["--resume", "auto"]);
        }
        let state = self.state(victim);
        std::thread::sleep(away);
        if let Nodes::Remote(nodes) = &mut self.nodes {
            nodes[victim].child.wait().unwrap();
            let addresses =
                ["data", "control", "health"].map(|plane| nodes[victim].address(plane).to_owned());
            nodes[victim] = Node::at(&state, addresses.each_ref().map(String::as_str));
        }
    }

    /// Stops the victim for longer than its neighbours wait for it, and lets it go on.
    fn stop(&mut self, victim: usize) {
        let process = self.process(victim);
        signal("-STOP", process);
        let begun = Instant::now();
        // The coordinator kills and replaces a local node that it has given up.
        while begun.elapsed() < STOPPED && fs::exists(format!("/proc/{process}")).unwrap() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = Command::new("kill").args(["-CONT", &process.to_string()]).status();
    }

    /// Waits until the run ends by itself, which must be a success.
    pub fn finish(&mut self) {
        let (begun, mut coordinator) = (Instant::now(), self.coordinator.take().unwrap());
        while !coordinator.is_over() {
            assert!(begun.elapsed() < Duration::from_secs(120), "the run does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(coordinator.ended().code, Some(0), "{}", self.said());
    }
}
