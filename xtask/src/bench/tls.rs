//! What TLS costs: trainings over loopback with certificates and in plaintext, by turns, and the handshakes of a start
//! with many stages.

use super::case::{Case, DEMO, RESNET};
use super::process::{coordinator, finish};
use super::turns::{self, Contender, in_turn, median};
use super::{Bounds, Row};
use crate::hosts::network::{Host, Network, output};
use crate::hosts::programs::{self, Program};
use crate::hosts::security::Security;
use crate::noise;
use crate::release::{self, Profile};
use crate::run::{Failure, Root, say};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Floor and goal of a speed over TLS, as a multiple of that in plaintext.
const SPEED: Bounds = (0.9, 0.98);
/// Floor and goal of the time of a start in plaintext, or without handshakes, as a multiple of that over TLS. A start of
/// so many small stages takes a third of a second, of which handshakes are a fifth.
const START: Bounds = (0.7, 0.9);
/// A call of all nodes is little but handshakes, so the ratio of its times has no floor that would mean anything.
const CALL: Bounds = (0.0, 0.5);
/// How long one training may take.
const LIMIT: Duration = Duration::from_secs(600);
/// How often a run is looked at for its first step: the length of a start is known to this.
const LOOK: Duration = Duration::from_millis(1);
/// Every weight layer of a ResNet-18, a fourth as wide as usual, in a process of its own.
const STAGES: usize = 21;
const MANY: [&str; 10] = [
    "data.kind=cifar10",
    "model.name=resnet18",
    "model.width=16",
    "model.classes=10",
    "pipeline.stages=per_layer",
    "pipeline.microbatches=2",
    "train.batch=8",
    "train.max_steps=1",
    "optimizer.warmup_epochs=0",
    "data.augment=false",
];
/// The handshakes of a start: the coordinator calls every node, every node but the last calls the one above, and the
/// coordinator opens both ends of the ring.
const HANDSHAKES: usize = STAGES + (STAGES - 1) + 2;

/// Trains the demo's network and ResNet-18 in two stages each, and starts ResNet-18 in 21 stages.
pub fn tls(root: &Root, rounds: usize) -> Result<Vec<Row>, Failure> {
    let build = release::programs(root, Profile::Release)?;
    let folder = build.join("bench-tls");
    let mut rows = Vec::new();
    for case in [&DEMO, &RESNET] {
        case.make_data(&folder)?;
        let [tls, plaintext] = beds(root, &build, &folder, 2)?;
        let [ours, reference] = by_turns(case.name, rounds, [&tls, &plaintext], |bed| bed.train(case))?;
        rows.push(turns::rates("tls", format!("{}: plaintext", case.name), &ours, &reference, SPEED));
    }
    rows.extend(starts(root, &build, &folder, rounds)?);
    _ = fs::remove_dir_all(folder);
    Ok(rows)
}

/// The rows of starts with many stages, and the part that handshakes have in them.
fn starts(root: &Root, build: &Path, folder: &Path, rounds: usize) -> Result<Vec<Row>, Failure> {
    noise::fresh(folder, noise::cifar, 40, 8)?;
    let beds = beds(root, build, folder, STAGES)?;
    let [tls, plaintext] = [&beds[0], &beds[1]];
    let calls = by_turns("a call of 21 nodes", rounds, [tls, plaintext], Bed::call)?;
    let starts = by_turns("a start of 21 stages", rounds, [tls, plaintext], Bed::start)?;
    let (share, without) = without_handshakes(&calls, &starts[0]);
    say(&format!(
        "{HANDSHAKES} handshakes are {:.1} % of a start with {STAGES} stages, at {:.2} ms each",
        100.0 * share,
        one_handshake(&calls)
    ));
    let row = |case: &str, [ours, reference]: [&[f64]; 2], bounds| {
        turns::times("tls", format!("ResNet-18 of width 16, {case}"), ours, reference, bounds)
    };
    Ok(vec![
        row("a call of its 21 nodes: plaintext", calls.each_ref().map(Vec::as_slice), CALL),
        row("a start of its 21 stages: plaintext", starts.each_ref().map(Vec::as_slice), START),
        row("a start of its 21 stages: without handshakes", [&starts[0], &without], START),
    ])
}

/// The milliseconds of one handshake, by what calls of all nodes take over TLS and in plaintext.
fn one_handshake([tls, plaintext]: &[Vec<f64>; 2]) -> f64 {
    (median(tls) - median(plaintext)).max(0.0) / STAGES as f64
}

/// The share of handshakes in starts, and the starts without them. The difference of two starts is mostly the machine's
/// unrest, and that of two calls is handshakes, so the handshakes of a start are computed from those of a call.
fn without_handshakes(calls: &[Vec<f64>; 2], starts: &[f64]) -> (f64, Vec<f64>) {
    let handshakes = one_handshake(calls) * HANDSHAKES as f64;
    (handshakes / median(starts), starts.iter().map(|start| (start - handshakes).max(0.0)).collect())
}

/// Measures the same thing on both beds, by turns.
fn by_turns<'a>(
    case: &str,
    rounds: usize,
    [tls, plaintext]: [&Bed<'a>; 2],
    measure: impl Fn(&Bed<'a>) -> Result<f64, Failure>,
) -> Result<[Vec<f64>; 2], Failure> {
    let measure = &measure;
    let contenders = [("TLS", tls), ("plaintext", plaintext)].map(|(name, bed)| Contender {
        name,
        bounds: SPEED,
        measure: Box::new(move || measure(bed)),
    });
    let mut measured = in_turn(case, rounds, &contenders)?;
    let reference = measured.pop().unwrap_or_default();
    Ok([measured.pop().unwrap_or_default(), reference])
}

/// Nodes of one kind of connection: where and how they are started.
struct Bed<'a> {
    root: &'a Root,
    build: &'a Path,
    /// The folder of the data set, and of everything else.
    folder: &'a Path,
    hosts: Network,
    security: Security,
}

/// The bed over TLS, with new certificates, and the bed in plaintext.
fn beds<'a>(
    root: &'a Root,
    build: &'a Path,
    folder: &'a Path,
    stages: usize,
) -> Result<[Bed<'a>; 2], Failure> {
    let tls = Security::with_certificates(root, build, folder, stages, false)?;
    let names: Vec<String> = (0..stages).map(|stage| format!("stage{stage}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let bed = |security| Bed { root, build, folder, hosts: Network::loopback(&names), security };
    Ok([bed(tls), bed(Security::Plaintext)])
}

impl Bed<'_> {
    /// Trains on fresh nodes, and returns the images per second of the steps that count.
    fn train(&self, case: &Case) -> Result<f64, Failure> {
        let nodes = self.nodes()?;
        let run_dir = self.fresh("run");
        let mut train = self.coordinator("train", &case.settings(&[]));
        train.arg("--run-dir").arg(&run_dir);
        finish(&mut train, LIMIT, &self.folder.join("coordinator.log"), |_| ())?;
        drop(nodes);
        case.speed(&run_dir)
    }

    /// Calls all nodes at once, and returns the milliseconds until all have answered.
    fn call(&self) -> Result<f64, Failure> {
        let _nodes = self.nodes()?;
        let mut check = self.root.command(self.build.join("coordinator"));
        check.args(["check", "--nodes", &self.addresses()]).args(self.security.coordinator());
        // The first call finds programs and files that the system has not read yet.
        output(&mut check)?;
        let start = Instant::now();
        output(&mut check)?;
        Ok(milliseconds(start))
    }

    /// Starts a run, and returns the milliseconds until its first step is done.
    fn start(&self) -> Result<f64, Failure> {
        let _nodes = self.nodes()?;
        let run_dir = self.fresh("run");
        let mut train = self.coordinator("train", &MANY);
        let start = Instant::now();
        let mut program = Program::start(train.arg("--run-dir").arg(&run_dir), self.folder, "coordinator")?;
        while !fs::metadata(run_dir.join("metrics.jsonl")).is_ok_and(|metrics| metrics.len() > 0) {
            program.goes_on()?;
            if start.elapsed() > LIMIT {
                return Err(format!("a start took more than {} s", LIMIT.as_secs()).into());
            }
            sleep(LOOK);
        }
        let took = milliseconds(start);
        program.succeed(LIMIT)?;
        Ok(took)
    }

    /// Fresh nodes of one thread each, which are ready.
    fn nodes(&self) -> Result<Vec<Program>, Failure> {
        let folder = self.fresh("nodes");
        let made = fs::create_dir_all(&folder);
        made.map_err(|error| Failure::from(format!("cannot make {}: {error}", folder.display())))?;
        let node = |(number, host)| programs::node(host, self.build, &folder, &self.security.stage(number));
        self.hosts.hosts().iter().enumerate().map(node).collect()
    }

    /// A path at which nothing is.
    fn fresh(&self, name: &str) -> PathBuf {
        let path = self.folder.join(name);
        _ = fs::remove_dir_all(&path);
        path
    }

    fn coordinator(&self, name: &str, settings: &[impl AsRef<str>]) -> Command {
        let mut command = coordinator(self.root, self.build, name, self.folder, settings);
        command.args(["--nodes", &self.addresses()]).args(self.security.coordinator());
        command
    }

    fn addresses(&self) -> String {
        programs::nodes(&self.hosts.hosts().iter().collect::<Vec<&Host>>())
    }
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshakes_of_a_start_follow_from_those_of_a_call() {
        let calls = [vec![41.0, 52.0, 42.0], vec![21.0, 20.0, 21.0]];
        assert_eq!(one_handshake(&calls), 1.0);
        let (share, without) = without_handshakes(&calls, &[860.0, 850.0, 900.0]);
        assert_eq!((share, without), (0.05, vec![817.0, 807.0, 857.0]));
        let unrest = [vec![20.0], vec![21.0]];
        assert_eq!(
            without_handshakes(&unrest, &[100.0]),
            (0.0, vec![100.0]),
            "no handshake takes less than no time"
        );
    }
}
