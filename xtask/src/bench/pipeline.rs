//! Training by Neuropil beside training by PyTorch: the same networks, cuts, minibatches, optimizer and number of
//! threads on the same machine, in images per second.

use super::process::{coordinator, finish};
use super::turns::{Contender, in_turn};
use super::{Bounds, Row, turns};
use crate::json::numbers;
use crate::noise;
use crate::prerequisites::{self, COMPILER, PIP, PYTHON};
use crate::release::{self, Profile};
use crate::run::{CONFIGURATION, Failure, Root, line, say};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Settings of all cases: backprop, because PyTorch has no other rule, and no work that PyTorch does not do.
const SETTINGS: &[&str] = &[
    "rule.name=backprop",
    "model.classes=10",
    "train.epochs=1",
    "optimizer.lr=0.01",
    "optimizer.weight_decay=0",
    "optimizer.schedule=constant",
    "optimizer.warmup_epochs=0",
    "data.augment=false",
    "metrics.layers_every=1000000",
];
/// Steps before those that count: the pipeline fills, and memory is asked for the first time.
const WARM: u32 = 2;
/// Steps after those that count: the coordinator keeps three minibatches in flight, and the last ones have the
/// machine for themselves.
const DRAIN: u32 = 3;
/// How long one training may take, set-up included.
const LIMIT: Duration = Duration::from_secs(300);
/// Floor and goal of the ratio to another build.
const BEFORE: Bounds = (0.98, 1.0);

/// One network, cut into stages of one thread each.
pub struct Case {
    pub name: &'static str,
    write: noise::Write,
    pub batch: u32,
    microbatches: u32,
    /// The steps that count.
    steps: u32,
    /// The settings that make CONFIG this network and this cut.
    settings: &'static [&'static str],
    /// The words that make the script's network and cut the same.
    words: &'static [&'static str],
}

/// ResNet-18 on images of 32 pixels, in two stages.
pub const RESNET: Case = Case {
    name: "ResNet-18, 2 stages",
    write: noise::cifar,
    batch: 64,
    microbatches: 8,
    steps: 6,
    settings: &["data.kind=cifar10", "model.name=resnet18", r#"pipeline.stages=["layer3.0.conv1"]"#],
    words: &["--network=resnet18", "--cuts=5", "--schedule=one_f_one_b"],
};

/// The demo's network, in two stages.
pub const DEMO: Case = Case {
    name: "the demo's network, 2 stages",
    write: noise::idx,
    batch: 128,
    microbatches: 4,
    steps: 60,
    settings: &["data.kind=idx", r#"pipeline.stages=["conv3"]"#],
    words: &["--network=fashion", "--cuts=2", "--schedule=one_f_one_b"],
};

const CASES: [Case; 3] = [
    RESNET,
    DEMO,
    Case {
        name: "the demo's network, 5 stages",
        settings: &["data.kind=idx", "pipeline.stages=per_layer"],
        // PyTorch's 1F1B refuses fewer microbatches than stages.
        words: &["--network=fashion", "--cuts=1,2,3,4", "--schedule=gpipe"],
        ..DEMO
    },
];

/// The ways to train with PyTorch: the name, the script's words for it, and the floor and goal of our ratio to it. A
/// floor is some 5 % below the least ratio of a case that was measured.
const REFERENCES: [(&str, &[&str], Bounds); 3] = [
    ("PyTorch, 1 process of 2 threads", &["one_process", "--threads=2"], (0.72, 1.0)),
    ("torch.distributed.pipelining", &["pipeline"], (1.05, 1.1)),
    ("limit: 2 processes of 1 thread", &["independent", "--processes=2"], (0.63, 0.9)),
];

/// Trains every case with this build, PyTorch and, where there is one, the build `against`, in turn.
/// A set-up of PyTorch that fails is only printed where there is another build to compare with.
pub fn pipeline(root: &Root, rounds: usize, against: Option<&Path>) -> Result<Vec<Row>, Failure> {
    let other = against.map(build).transpose()?;
    // PyTorch in the release whose libtorch Neuropil links, in `target/pytorch/`.
    let set_up = prerequisites::check(&[COMPILER, PYTHON, PIP]);
    let references = match (set_up.and_then(|()| root.script("scripts/pytorch.py")), &other) {
        (Ok(()), _) => &REFERENCES[..],
        (Err(failure), None) => return Err(failure),
        (Err(failure), Some(_)) => {
            say(&format!("PyTorch is not compared with: {}", failure.sentence));
            &[]
        }
    };
    let programs = release::programs(root, Profile::Release)?;
    let folder = &programs.join("bench-pipeline");
    let mut rows = Vec::new();
    for case in &CASES {
        case.make_data(folder)?;
        let builds = other.iter().map(|other| ("the other build", other));
        let builds = [("this build", &programs)].into_iter().chain(builds);
        let neuropil = builds.map(|(name, build)| Contender {
            name,
            bounds: BEFORE,
            measure: Box::new(move || case.neuropil(root, build, folder)),
        });
        let pytorch = references.iter().map(|&(name, words, bounds)| Contender {
            name,
            bounds,
            measure: Box::new(move || case.pytorch(root, words, folder)),
        });
        let contenders: Vec<_> = neuropil.chain(pytorch).collect();
        let measured = in_turn(case.name, rounds, &contenders)?;
        for (Contender { name, bounds, .. }, numbers) in contenders.iter().zip(&measured).skip(1) {
            let case = format!("{}: {name}", case.name);
            rows.push(turns::rates("pipeline", case, &measured[0], numbers, *bounds));
        }
    }
    Ok(rows)
}

/// The folder of another build, as an absolute path: programs are started in the repository's folder.
fn build(folder: &Path) -> Result<PathBuf, Failure> {
    let refuse =
        |program| Failure::new(CONFIGURATION, format!("--against: {} holds no {program}", folder.display()));
    let found = fs::canonicalize(folder).map_err(|_| refuse("programs"))?;
    match ["coordinator", "layer-node"].into_iter().find(|program| !found.join(program).is_file()) {
        None => Ok(found),
        Some(program) => Err(refuse(program)),
    }
}

impl Case {
    fn all_steps(&self) -> u32 {
        WARM + self.steps + DRAIN
    }

    /// Puts a data set of noise for this case into `folder`, in the place of what was there.
    pub fn make_data(&self, folder: &Path) -> Result<(), Failure> {
        noise::fresh(folder, self.write, self.batch * self.all_steps(), self.batch)
    }

    /// The settings that make CONFIG this case.
    pub fn settings(&self) -> Vec<String> {
        let sizes = [
            format!("train.batch={}", self.batch),
            format!("train.max_steps={}", self.all_steps()),
            format!("pipeline.microbatches={}", self.microbatches),
        ];
        let fixed = SETTINGS.iter().chain(self.settings).map(|setting| (*setting).to_owned());
        fixed.chain(sizes).collect()
    }

    /// Trains over loopback, and returns the images per second of the steps that count.
    fn neuropil(&self, root: &Root, build: &Path, folder: &Path) -> Result<f64, Failure> {
        let run_dir = folder.join("run");
        _ = fs::remove_dir_all(&run_dir);
        let mut train = coordinator(root, build, "train", folder, &self.settings());
        train.args(["--local", "--run-dir"]).arg(&run_dir);
        train.env("NEUROPIL_LAYER_NODE", build.join("layer-node"));
        finish(&mut train, LIMIT, &folder.join("neuropil.log"), |_| ())?;
        self.speed(&run_dir)
    }

    /// Images per second of the steps that count in the folder of a run.
    pub fn speed(&self, run_dir: &Path) -> Result<f64, Failure> {
        let metrics = fs::read_to_string(run_dir.join("metrics.jsonl")).unwrap_or_default();
        let rate = self.rate(&metrics);
        Ok(rate.ok_or_else(|| format!("{} does not hold {} steps", run_dir.display(), self.all_steps()))?)
    }

    /// Images per second over the steps that count; every step has as many images, so their times add up.
    fn rate(&self, metrics: &str) -> Option<f64> {
        let rates = numbers(metrics, "images_per_s");
        let counted = rates.get(WARM as usize..(WARM + self.steps) as usize)?;
        let whole = rates.len() == self.all_steps() as usize;
        whole.then(|| counted.len() as f64 / counted.iter().map(|rate| 1.0 / rate).sum::<f64>())
    }

    /// Trains with PyTorch, and returns images per second.
    fn pytorch(&self, root: &Root, words: &[&str], folder: &Path) -> Result<f64, Failure> {
        let mut python = root.command("python3");
        python.env("PYTHONPATH", root.join("target/pytorch"));
        python.arg("bench/pytorch_pipeline.py").args(words).args(self.words).args([
            format!("--batch={}", self.batch),
            format!("--microbatches={}", self.microbatches),
            format!("--warm={WARM}"),
            format!("--steps={}", self.steps),
        ]);
        let printed = finish(&mut python, LIMIT, &folder.join("pytorch.log"), |_| ())?;
        let rate = numbers(&printed, "images_per_s").first().copied();
        Ok(rate.ok_or_else(|| format!("`{}` printed no rate", line(&python)))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_steps_in_the_middle() {
        let case = &CASES[0];
        let line = |rate| format!("{{\"step\":1,\"images_per_s\":{rate},\"stages\":[]}}\n");
        let middle = [20.0, 60.0].repeat(case.steps as usize / 2);
        let rates = [[1.0; WARM as usize].as_slice(), &middle, &[900.0; DRAIN as usize]].concat();
        let metrics: String = rates.iter().map(line).collect();
        let rate = case.rate(&metrics).unwrap();
        assert!((rate - 30.0).abs() < 1e-9, "{rate}");
        assert_eq!(case.rate(&line(&1.0)), None, "a run that stopped early");
    }

    #[test]
    fn every_case_is_cut_alike_on_both_sides() {
        for case in &CASES {
            let stages = case.settings.iter().find_map(|set| set.strip_prefix("pipeline.stages=")).unwrap();
            let cuts =
                case.words.iter().find_map(|word| word.strip_prefix("--cuts=")).unwrap().split(',').count();
            assert!(stages == "per_layer" && cuts == 4 || stages.split(',').count() == cuts, "{}", case.name);
        }
    }
}
