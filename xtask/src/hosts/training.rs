//! A training on the hosts: a node on each stage's, and the coordinator, which checks the ledgers of all.

use super::network::{Host, Network, output};
use super::plan::Plan;
use super::programs::{self, Program};
use super::security::Security;
use super::{Scene, capture, firewall};
use crate::run::{Failure, VIOLATION};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The hosts of the stages. The coordinator's comes before them.
const STAGES: [&str; 3] = ["stage0", "stage1", "stage2"];
/// The hosts with the B of each stage's layers, where these are split.
const BACKWARD: [&str; 3] = ["backward0", "backward1", "backward2"];
const COORDINATOR: &str = "coordinator";
/// How long one training may take.
const LIMIT: Duration = Duration::from_secs(1200);
/// The demo's network.
const CONFIG: &str = "examples/fashion.toml";
/// A learning rate whose steps are lost in f32.
const NOTHING_MOVES: &str = "optimizer.lr=1e-30";

/// The hosts of a training, with its nodes, which are ready.
pub struct Training<'a> {
    pub scene: &'a Scene<'a>,
    /// The folder of its captures, logs and states.
    pub folder: &'a Path,
    pub network: Network,
    pub security: &'a Security,
    plan: Plan,
    /// The nodes of the stages, and then their backward nodes.
    pub nodes: Vec<Program>,
    captures: Vec<capture::Capture>,
}

impl<'a> Training<'a> {
    /// Makes the hosts, and the `others` beside them, and starts the nodes. A router with a firewall captures the links.
    pub fn prepare(
        scene: &'a Scene<'a>,
        folder: &'a Path,
        security: &'a Security,
        plan: Plan,
        has_firewall: bool,
        others: &[&str],
    ) -> Result<Self, Failure> {
        let names = [&[COORDINATOR], &STAGES[..], backward_names(plan), others].concat();
        let network = if scene.is_isolated { Network::make(&names)? } else { Network::loopback(&names) };
        let (stages, backward) = (hosts(&network, &STAGES), hosts(&network, backward_names(plan)));
        let mut captures = Vec::new();
        if scene.is_isolated && has_firewall {
            firewall::close(&network, network.host(COORDINATOR), &stages, &backward)?;
            captures = capture::start(&network, folder)?;
        }
        let node = |host, flags: Vec<String>| programs::node(host, &scene.build, folder, &flags);
        let of_stages =
            stages.into_iter().enumerate().map(|(number, host)| node(host, security.stage(number)));
        let of_b =
            backward.into_iter().enumerate().map(|(number, host)| node(host, security.backward(number)));
        let nodes = of_stages.chain(of_b).collect::<Result<_, _>>()?;
        Ok(Self { scene, folder, network, security, plan, nodes, captures })
    }

    /// The coordinator's host.
    pub fn coordinator(&self) -> &Host {
        self.network.host(COORDINATOR)
    }

    /// The hosts of the stages, nearest the input first.
    pub fn stages(&self) -> Vec<&Host> {
        hosts(&self.network, &STAGES)
    }

    /// The hosts with the B of each stage's layers; none where no layer is split.
    pub fn backward(&self) -> Vec<&Host> {
        hosts(&self.network, backward_names(self.plan))
    }

    /// Begins to train so many steps, and to prove that they were local.
    pub fn start(&self, steps: u32) -> Result<Program, Failure> {
        let mut command = self.proof(&self.stages(), steps);
        command.arg("--json").arg(self.folder.join("locality.json"));
        command.arg("--html").arg(self.folder.join("locality.html"));
        Program::start(&mut command, self.folder, "locality")
    }

    /// The coordinator, about to train so many steps on nodes of these hosts.
    pub fn proof(&self, stages: &[&Host], steps: u32) -> Command {
        let mut command = self.coordinator().command(self.scene.build.join("coordinator"));
        command.current_dir(self.scene.root.path());
        command.args(["locality", "--config", CONFIG, "--nodes", &programs::nodes(stages)]);
        command.args(["--steps", &steps.to_string()]);
        if self.plan == Plan::Split {
            let backward = programs::nodes(&self.backward());
            command.args(["--backward-nodes", &backward, "--rules", "local"]);
        }
        self.settings().iter().for_each(|setting| _ = command.args(["--set", setting]));
        command.args(self.security.coordinator());
        command
    }

    /// Trains so many steps, shows what the proof says, and ends the nodes and the captures.
    pub fn run(&mut self, steps: u32) -> Result<(), Failure> {
        let mut coordinator = self.start(steps)?;
        self.finish(&mut coordinator)?;
        match self.stop()?.into_iter().next() {
            Some(sentence) => Err(Failure::new(VIOLATION, sentence)),
            None => Ok(()),
        }
    }

    /// Ends the nodes and the captures, and returns a sentence for each host of which the firewall dropped a packet.
    pub fn stop(&mut self) -> Result<Vec<String>, Failure> {
        for node in &mut self.nodes {
            node.signal("TERM")?;
            node.end(LIMIT)?;
        }
        capture::stop(std::mem::take(&mut self.captures))?;
        if self.scene.is_isolated { firewall::dropped(&self.network) } else { Ok(vec![]) }
    }

    /// Puts another program in the place of the node of a stage.
    pub fn replace(&mut self, stage: usize, command: Command, words: &[String]) -> Result<(), Failure> {
        let node = &mut self.nodes[stage];
        node.signal("TERM")?;
        node.end(LIMIT)?;
        let words = [self.security.stage(stage), words.to_vec()].concat();
        *node = programs::serve(command, self.network.host(STAGES[stage]), self.folder, &words)?;
        Ok(())
    }

    /// Waits for the end of a training, and shows what the proof says.
    pub fn finish(&self, coordinator: &mut Program) -> Result<(), Failure> {
        let ended = coordinator.succeed(LIMIT);
        print!("{}", std::fs::read_to_string(&coordinator.printed).unwrap_or_default());
        ended
    }

    /// A run's folder whose nodes keep W and B as they were drawn: by nodes of this machine's own loopback, after a step
    /// that moves nothing, since nodes write no snapshot before the first update. Seed and names decide what is drawn.
    pub fn drawn(&self) -> Result<PathBuf, Failure> {
        let run = self.scene.folder.join(self.plan.drawn());
        if !run.exists() {
            let mut command = self.scene.root.command(self.scene.build.join("coordinator"));
            command.args(["train", "--config", CONFIG, "--local", "--run-dir"]).arg(&run);
            let mut settings = self.settings();
            settings.extend([NOTHING_MOVES.into(), "train.max_steps=1".into()]);
            settings.iter().for_each(|setting| _ = command.args(["--set", setting]));
            Program::start(&mut command, &self.scene.folder, self.plan.drawn())?.succeed(LIMIT)?;
        }
        Ok(run)
    }

    fn settings(&self) -> Vec<String> {
        let data = format!("data.path={}", self.scene.data.display());
        self.plan.settings().into_iter().chain([data]).collect()
    }

    /// The SHA-256 of every tensor of every node at the end, a line each, in the order of the tensors' names.
    pub fn digests(&self) -> Result<String, Failure> {
        let mut lines = Vec::new();
        for host in self.stages().into_iter().chain(self.backward()) {
            let mut command = self.scene.root.command(self.scene.build.join("layer-node"));
            command.args(["digest", "--state-dir"]).arg(programs::state(self.folder, host));
            lines.extend(output(&mut command)?.lines().map(str::to_owned));
        }
        lines.sort_by(|one, other| name(one).cmp(name(other)));
        Ok(lines.join("\n"))
    }
}

/// The name of the tensor in a line `HEX  NAME`.
fn name(line: &str) -> &str {
    line.split_once("  ").map_or(line, |(_, name)| name)
}

fn backward_names(plan: Plan) -> &'static [&'static str] {
    match plan {
        Plan::Together => &[],
        Plan::Split => &BACKWARD,
    }
}

fn hosts<'a>(network: &'a Network, names: &[&str]) -> Vec<&'a Host> {
    names.iter().map(|name| network.host(name)).collect()
}
