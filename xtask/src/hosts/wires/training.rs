//! A training on the hosts whose wires are disturbed.

use super::Bed;
use crate::hosts::Scene;
use crate::hosts::network::{Host, output};
use crate::hosts::programs::{self, Program};
use crate::json::numbers;
use crate::run::Failure;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a training may take.
const LIMIT: Duration = Duration::from_secs(600);
/// How often a training's metrics are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// The steps before a training is in its stride.
const FIRST_STEPS: usize = 4;
/// The demo's network in three stages.
const CONFIG: [&str; 2] = ["--config", "examples/fashion.toml"];
const SETTINGS: [&str; 3] = [r#"pipeline.stages=["conv2", "conv4"]"#, "node.threads=1", "data.test_limit=64"];

/// Nodes on their hosts, and a coordinator that trains over them.
pub struct Training<'a> {
    bed: &'a Bed<'a>,
    folder: PathBuf,
    nodes: Vec<Program>,
    coordinator: Program,
    steps: u32,
}

impl<'a> Training<'a> {
    /// Starts a training of so many steps, with more words for the coordinator.
    pub fn start(bed: &'a Bed<'a>, name: &str, steps: u32, words: &[&str]) -> Result<Self, Failure> {
        let folder = bed.scene.part(&format!("wires/{name}"))?;
        let node = |(number, stage): (usize, &&Host)| {
            programs::node(stage, &bed.scene.build, &folder, &bed.security.stage(number))
        };
        let nodes = bed.stages.iter().enumerate().map(node).collect::<Result<Vec<_>, _>>()?;
        let coordinator = coordinator(bed, &folder, steps, words)?;
        Ok(Self { bed, folder, nodes, coordinator, steps })
    }

    /// Waits until so many steps are done.
    pub fn wait_for_step(&mut self, step: usize) -> Result<(), Failure> {
        let start = Instant::now();
        while self.speeds().len() < step {
            if start.elapsed() > LIMIT {
                return Err(format!("the training did not come to step {step}: {}", self.last_words()).into());
            }
            self.coordinator.goes_on()?;
            sleep(LOOK);
        }
        Ok(())
    }

    /// Waits for the end of the coordinator.
    pub fn end(&mut self) -> Result<ExitStatus, Failure> {
        self.coordinator.end(LIMIT)
    }

    /// The last line of the coordinator.
    pub fn last_words(&self) -> String {
        self.coordinator.last_words()
    }

    /// Starts the coordinator again over the same nodes, to go on with the run.
    pub fn resume(&mut self) -> Result<(), Failure> {
        self.coordinator = coordinator(self.bed, &self.folder, self.steps, &["--resume", "auto"])?;
        Ok(())
    }

    /// Waits for the end of a training that succeeds, ends its nodes, and returns the digest of all their state.
    pub fn digest(mut self) -> Result<String, Failure> {
        self.coordinator.succeed(LIMIT)?;
        self.nodes.clear();
        let digest = |stage| {
            let state = programs::state(&self.folder, stage);
            output(
                Command::new(self.bed.scene.build.join("layer-node"))
                    .arg("digest")
                    .arg("--state-dir")
                    .arg(state),
            )
        };
        self.bed.stages.iter().map(|stage| digest(stage)).collect()
    }

    /// Images per second, once the pipeline is in its stride.
    pub fn speed(&self) -> Result<f64, Failure> {
        let speeds = self.speeds();
        let speeds = speeds.get(FIRST_STEPS..).filter(|speeds| !speeds.is_empty());
        let speeds = speeds.ok_or_else(|| "the training was too short for a speed".to_owned())?;
        Ok(speeds.len() as f64 / speeds.iter().map(|speed| 1.0 / speed).sum::<f64>())
    }

    /// The images per second of every step.
    fn speeds(&self) -> Vec<f64> {
        numbers(
            &fs::read_to_string(self.folder.join("run/metrics.jsonl")).unwrap_or_default(),
            "images_per_s",
        )
    }
}

fn coordinator(bed: &Bed<'_>, folder: &Path, steps: u32, words: &[&str]) -> Result<Program, Failure> {
    let mut command = bed.coordinator.command(bed.scene.build.join("coordinator"));
    configured(&mut command, bed.scene, "train");
    command.args(["--nodes", &programs::nodes(&bed.stages), "--set", &format!("train.max_steps={steps}")]);
    command.args(["--set", "snapshot.every_steps=4"]).arg("--run-dir").arg(folder.join("run"));
    command.args(bed.security.coordinator()).args(words);
    Program::start(&mut command, folder, "coordinator")
}

/// The images per second that `plan` predicts, with times measured now, over links of this speed.
pub fn predicted(bed: &Bed<'_>, link: &str) -> Result<f64, Failure> {
    let mut command = Command::new(bed.scene.build.join("coordinator"));
    configured(&mut command, bed.scene, "plan");
    command.args(["--measure", "--local", "--json", "--link", link]);
    let printed = output(&mut command)?;
    let speed = numbers(&printed, "images_per_s").first().copied();
    Ok(speed.ok_or_else(|| "`coordinator plan --json` printed no images_per_s".to_owned())?)
}

/// A command of the coordinator with the configuration of all trainings.
fn configured(command: &mut Command, scene: &Scene<'_>, name: &str) {
    command.current_dir(scene.root.path()).arg(name).args(CONFIG);
    command.args(["--set", &format!("data.path={}", scene.data.display())]);
    SETTINGS.iter().for_each(|setting| _ = command.args(["--set", setting]));
}
