//! Chaos: nodes and coordinators are killed and stopped at random moments, twenty times, and the run ends in
//! the bits of one that was never disturbed. `CHAOS_SEED` repeats the moments and the victims of a run.

use e2e::harm::{eventually, node, signal};
use e2e::{Bench, Node, Run, digest};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant, SystemTime};

const STAGES: usize = 3;
const STEPS: u64 = 900;
const KEYS: &str = r#"
[rule]
name = "symmetric_alignment"
[train]
epochs = 90
batch = 16
[optimizer]
lr = 0.05
[pipeline]
microbatches = 2
stages = ["branch2", "down"]
[snapshot]
every_steps = 7
best = true
"#;
/// `snapshot.every_steps`: no more than that may be lost at a time.
const EVERY: u64 = 7;
/// How often something is killed, and how often stopped.
const KILLS: usize = 17;
const STOPS: usize = 3;
/// How long what is stopped stays so: longer than it takes to be given up.
const STOPPED: Duration = Duration::from_secs(20);

/// Knuth's linear congruential generator.
struct Random(u64);

impl Random {
    fn new(name: &str) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
        let seed = std::env::var("CHAOS_SEED").map_or(now.into(), |seed| seed.parse().unwrap());
        println!("{name}: CHAOS_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }

    fn pause(&mut self, milliseconds: u64) {
        std::thread::sleep(Duration::from_millis(self.below(milliseconds)));
    }
}

/// The nodes of a run: its own, or some that were started by hand.
enum Nodes {
    Local,
    Remote(Vec<Node>),
}

/// A run, and everything that can be done to it.
struct Chaos {
    bench: Bench,
    config: PathBuf,
    nodes: Nodes,
    coordinator: Option<Child>,
    random: Random,
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

impl Chaos {
    fn state(&self, stage: usize) -> PathBuf {
        match self.nodes {
            Nodes::Local => self.run().folder.join(format!("state/stage-{stage}")),
            Nodes::Remote(_) => self.bench.path(&format!("host-{stage}")),
        }
    }

    fn run(&self) -> Run {
        self.bench.run("chaos")
    }

    fn log(&self) -> PathBuf {
        self.bench.path("coordinator.log")
    }

    fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap()
    }

    /// Starts the coordinator, from the beginning or where the one before it was killed.
    fn start(&mut self, resume: &[&str]) {
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
        self.coordinator = Some(command.stderr(log).spawn().unwrap());
    }

    fn steps(&self) -> usize {
        fs::read_to_string(self.run().folder.join("metrics.jsonl")).map_or(0, |text| text.lines().count())
    }

    /// Waits until the run has made some steps; or for a random while, in which it may be anywhere, but not
    /// until its end.
    fn wait(&mut self) {
        let (begun, steps) = (Instant::now(), self.steps());
        let (patience, due) = match self.random.below(4) {
            0 => (Duration::from_millis(self.random.below(2000)), steps + 25),
            _ => (Duration::from_secs(60), steps + 1 + self.random.below(10) as usize),
        };
        while self.steps() < due && begun.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "step {due} did not come: {}", self.said());
        self.random.pause(50);
    }

    /// The process of a victim: stages, and the coordinator after them.
    fn process(&mut self, victim: usize) -> u32 {
        match (&self.nodes, &self.coordinator) {
            (_, Some(coordinator)) if victim == STAGES => coordinator.id(),
            (Nodes::Remote(nodes), _) => nodes[victim].child.id(),
            _ => {
                let state = self.state(victim);
                eventually("the node", || node(&state).is_some());
                node(&state).unwrap_or_default()
            }
        }
    }

    /// Kills the victim; where nobody else does, it is started again.
    fn kill(&mut self, victim: usize) {
        let process = self.process(victim);
        // A local node may have been replaced meanwhile: then another moment is as good.
        let _ = std::process::Command::new("kill").args(["-KILL", &process.to_string()]).status();
        if victim == STAGES {
            self.coordinator.take().unwrap().wait().unwrap();
            self.random.pause(500);
            return self.start(&["--resume", "auto"]);
        }
        let state = self.state(victim);
        self.random.pause(500);
        if let Nodes::Remote(nodes) = &mut self.nodes {
            nodes[victim].child.wait().unwrap();
            let addresses =
                ["data", "control", "health"].map(|plane| nodes[victim].address(plane).to_owned());
            nodes[victim] = Node::at(&state, addresses.each_ref().map(String::as_str));
        }
    }

    /// Stops the victim for longer than others wait for it, and lets it go on: it finds the world changed.
    fn stop(&mut self, victim: usize) {
        let process = self.process(victim);
        signal("-STOP", process);
        let begun = Instant::now();
        // A local node is killed and replaced when it is given up.
        while begun.elapsed() < STOPPED && fs::exists(format!("/proc/{process}")).unwrap() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = std::process::Command::new("kill").args(["-CONT", &process.to_string()]).status();
    }

    fn harm(&mut self) {
        let mut harms = [vec![false; KILLS], vec![true; STOPS]].concat();
        for last in (1..harms.len()).rev() {
            harms.swap(last, self.random.below(last as u64 + 1) as usize);
        }
        for (number, stop) in harms.into_iter().enumerate() {
            self.wait();
            let victim = self.random.below(STAGES as u64 + 1) as usize;
            let name =
                if victim == STAGES { "the coordinator".to_owned() } else { format!("stage {victim}") };
            println!(
                "{number}: after {} steps {} {name}",
                self.steps(),
                if stop { "stops" } else { "kills" }
            );
            let over = self.coordinator.as_mut().unwrap().try_wait().unwrap();
            assert!(over.is_none(), "the run ended too early: {}", self.said());
            if stop { self.stop(victim) } else { self.kill(victim) }
        }
    }

    fn finish(&mut self) {
        let begun = Instant::now();
        let mut coordinator = self.coordinator.take().unwrap();
        while coordinator.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(120), "the run does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(coordinator.wait().unwrap().success(), "{}", self.said());
    }
}

impl Drop for Chaos {
    fn drop(&mut self) {
        if let Some(mut coordinator) = self.coordinator.take() {
            let _ = coordinator.kill();
            let _ = coordinator.wait();
        }
    }
}

/// How many steps a line of the log says to be run again.
fn lost(line: &str) -> Option<u64> {
    let (first, last) = line.strip_prefix("steps ")?.strip_suffix(" are run again")?.split_once(" to ")?;
    Some(last.parse::<u64>().unwrap() + 1 - first.parse::<u64>().unwrap())
}

/// The updates that the newest snapshot in a state folder has seen, as the file says itself.
fn updates(state: &Path) -> u64 {
    let file = state.join(format!("step-{STEPS:08}/stage.safetensors"));
    let bytes = fs::read(file).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    header.metadata().as_ref().unwrap()["step"].parse().unwrap()
}

fn chaos(schedule: &str, nodes: impl FnOnce(&Bench, &mut Random) -> Nodes) {
    let bench = Bench::new();
    let config = bench.config(&KEYS.replace("[pipeline]", &format!("[pipeline]\nschedule = \"{schedule}\"")));
    let undisturbed = bench.trained(&config, "undisturbed", &[]);
    let mut random = Random::new(schedule);
    let nodes = nodes(&bench, &mut random);
    let mut chaos = Chaos { bench, config, nodes, coordinator: None, random };
    chaos.start(&[]);
    eventually("the first steps", || chaos.steps() > 0);
    chaos.harm();
    chaos.finish();

    let run = chaos.run();
    let steps: Vec<u64> = run.metrics().iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, (1..=STEPS).collect::<Vec<_>>(), "every step once, in order");
    assert_eq!(run.history(), undisturbed.history());
    let states: Vec<_> = (0..STAGES).map(|stage| chaos.state(stage)).collect();
    assert_eq!(
        states.iter().flat_map(|state| digest(state)).collect::<BTreeMap<_, _>>(),
        undisturbed.digests()
    );
    assert_eq!(states.iter().map(|state| updates(state)).collect::<Vec<_>>(), [STEPS; STAGES]);
    let (summary, expected) = (run.summary(), undisturbed.summary());
    assert_eq!(
        [&summary["status"], &summary["steps"], &summary["best_step"]],
        [&expected["status"], &expected["steps"], &expected["best_step"]]
    );
    let best = expected["best_step"].as_u64().unwrap();
    assert!(states.iter().all(|state| state.join(format!("step-{best:08}")).is_dir()), "the best is kept");
    let lost: Vec<u64> = chaos.said().lines().filter_map(lost).collect();
    println!("{schedule}: steps that were run again: {lost:?}");
    assert!(!lost.is_empty() && lost.iter().all(|lost| *lost <= EVERY), "{lost:?}: {}", chaos.said());
    assert_eq!(node(&run.folder), None, "no local node is left");
}

#[test]
fn a_run_over_local_nodes_ends_in_the_same_bits() {
    chaos("gpipe", |_, _| Nodes::Local);
}

#[test]
fn a_run_over_nodes_that_come_back_ends_in_the_same_bits() {
    chaos("one_f_one_b", |bench, random| {
        let start = |stage| {
            let ports = free_ports(random);
            Node::at(&bench.path(&format!("host-{stage}")), ports.each_ref().map(String::as_str))
        };
        Nodes::Remote((0..STAGES).map(start).collect())
    });
}
