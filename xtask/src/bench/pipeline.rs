//! The pipeline bench: training by Neuropil beside training by PyTorch. Networks, cuts, minibatches, optimizer,
//! number of threads and machine are the same, and the unit is images per second.

use super::noise::{self, Format};
use super::process::{finish, numbers};
use super::pytorch;
use super::rounds::{Contender, in_turn};
use super::row::Row;
use crate::release;
use crate::run::{CONFIGURATION, Failure, INTERNAL, Root, say};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const CONFIG: &str = "examples/fashion.toml";
/// The settings of all cases. The rule is backprop, because PyTorch has no other rule, and no setting asks for work
/// that PyTorch does not do.
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
/// The steps before those that count: the pipeline fills, and memory is allocated for the first time.
const WARM: u32 = 2;
/// The steps after those that count: the coordinator keeps three minibatches in flight, and the last minibatches
/// share the machine with no others.
const DRAIN: u32 = 3;
/// How long one training may take, including set-up.
const LIMIT: Duration = Duration::from_secs(300);
const ROUNDS: u32 = 5;
const UNIT: &str = "images/s";
/// The floor and the goal of the ratio to another build.
const BEFORE: (f64, f64) = (0.98, 1.0);

/// One network, cut into stages of one thread each.
struct Case {
    name: &'static str,
    format: Format,
    batch: u32,
    microbatches: u32,
    /// The number of steps that count.
    steps: u32,
    /// The settings that make CONFIG this network and this cut.
    settings: &'static [&'static str],
    /// The network and the cut, as arguments of the script.
    network: &'static str,
    cuts: &'static str,
    schedule: &'static str,
    /// The floors of the ratios to REFERENCES, in their order.
    floors: [f64; 3],
}

const CASES: [Case; 3] = [
    Case {
        name: "ResNet-18, 2 stages",
        format: Format::Cifar,
        batch: 64,
        microbatches: 8,
        steps: 6,
        settings: &["data.kind=cifar10", "model.name=resnet18", r#"pipeline.stages=["layer3.0.conv1"]"#],
        network: "resnet18",
        cuts: "5",
        schedule: "one_f_one_b",
        floors: [0.0; 3],
    },
    Case {
        name: "the demo's network, 2 stages",
        format: Format::Idx,
        batch: 128,
        microbatches: 4,
        steps: 60,
        settings: &["data.kind=idx", r#"pipeline.stages=["conv3"]"#],
        network: "fashion",
        cuts: "2",
        schedule: "one_f_one_b",
        floors: [0.0; 3],
    },
    Case {
        name: "the demo's network, 5 stages",
        format: Format::Idx,
        batch: 128,
        microbatches: 4,
        steps: 60,
        settings: &["data.kind=idx", "pipeline.stages=per_layer"],
        network: "fashion",
        cuts: "1,2,3,4",
        // PyTorch's 1F1B refuses fewer microbatches than stages.
        schedule: "gpipe",
        floors: [0.0; 3],
    },
];

/// A way to train with PyTorch: its name, the script's arguments, and the goal of Neuropil's ratio to it.
struct Reference {
    name: &'static str,
    words: &'static [&'static str],
    goal: f64,
}

const REFERENCES: [Reference; 3] = [
    Reference { name: "PyTorch, 1 process of 2 threads", words: &["one_process", "--threads=2"], goal: 1.0 },
    Reference { name: "torch.distributed.pipelining", words: &["pipeline"], goal: 1.0 },
    Reference { name: "limit: 2 processes of 1 thread", words: &["independent", "--processes=2"], goal: 0.9 },
];

/// Trains every case in turn with this build, with PyTorch, and with the build `against` if it is given.
///
/// # Errors
/// When set-up, build or training fails. If there is another build to compare with, a failed set-up of PyTorch is
/// only printed.
pub fn pipeline(root: &Root, rounds: Option<u32>, against: Option<PathBuf>) -> Result<Vec<Row>, Failure> {
    let other = against.as_deref().map(build).transpose()?;
    let references = match (pytorch::set_up(root), &other) {
        (Ok(()), _) => &REFERENCES[..],
        (Err(failure), None) => return Err(failure),
        (Err(failure), Some(_)) => {
            say(&format!("PyTorch is not compared with: {}", failure.sentence));
            &[]
        }
    };
    let programs = release::programs(root, release::Profile::Release)?;
    let bench = Bench { root, programs: &programs, other: other.as_deref(), references };
    let mut rows = Vec::new();
    for case in &CASES {
        rows.extend(bench.rows(case, rounds.unwrap_or(ROUNDS))?);
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

/// The builds and references to compare.
struct Bench<'a> {
    root: &'a Root,
    programs: &'a Path,
    other: Option<&'a Path>,
    references: &'static [Reference],
}

impl Bench<'_> {
    fn rows(&self, case: &Case, rounds: u32) -> Result<Vec<Row>, Failure> {
        let folder = &self.programs.join("bench-pipeline");
        noise::fresh(folder, case.format, case.batch * case.all_steps(), case.batch)?;
        let neuropil = |name: &str, build| Contender {
            name: name.into(),
            measure: Box::new(move || case.neuropil(self.root, build, folder)),
        };
        let pytorch = |reference: &Reference| {
            let words = case.pytorch(reference.words);
            let measure = move || pytorch::images_per_s(self.root, &words, LIMIT, folder);
            Contender { name: reference.name.into(), measure: Box::new(measure) }
        };
        let mut contenders = vec![neuropil("this build", self.programs)];
        contenders.extend(self.other.map(|build| neuropil("the other build", build)));
        contenders.extend(self.references.iter().map(pytorch));
        let measured = in_turn(case.name, rounds, &contenders)?;

        let goals = self.references.iter().zip(case.floors).map(|(reference, floor)| (floor, reference.goal));
        let goals = self.other.map(|_| BEFORE).into_iter().chain(goals);
        let row = |((contender, numbers), goal): ((&Contender<'_>, &Vec<f64>), _)| {
            let case = format!("{}: {}", case.name, contender.name);
            Row::of_rates(("pipeline", case), (&measured[0], numbers), goal, UNIT)
        };
        Ok(contenders.iter().zip(&measured).skip(1).zip(goals).map(row).collect())
    }
}

impl Case {
    fn all_steps(&self) -> u32 {
        WARM + self.steps + DRAIN
    }

    /// Trains over loopback, and returns the images per second of the steps that count.
    fn neuropil(&self, root: &Root, build: &Path, folder: &Path) -> Result<f64, Failure> {
        let run_dir = folder.join("run");
        _ = fs::remove_dir_all(&run_dir);
        let mut train = root.command(build.join("coordinator"));
        train.args(["train", "--local", "--config", CONFIG, "--run-dir"]).arg(&run_dir);
        let sizes = [
            format!("train.batch={}", self.batch),
            format!("train.max_steps={}", self.all_steps()),
            format!("pipeline.microbatches={}", self.microbatches),
            format!("data.path={}", folder.display()),
        ];
        let settings = SETTINGS.iter().chain(self.settings).copied();
        settings.chain(sizes.iter().map(String::as_str)).for_each(|set| _ = train.args(["--set", set]));
        train.env("NEUROPIL_LAYER_NODE", build.join("layer-node"));
        finish(&mut train, LIMIT, &folder.join("neuropil.log"))?;
        let metrics = fs::read_to_string(run_dir.join("metrics.jsonl")).unwrap_or_default();
        self.rate(&metrics).ok_or_else(|| {
            let why = format!("{} does not hold {} steps", run_dir.display(), self.all_steps());
            Failure::new(INTERNAL, why)
        })
    }

    /// Images per second over the steps that count. Every step has the same number of images, so their times add up.
    fn rate(&self, metrics: &str) -> Option<f64> {
        let rates = numbers(metrics, "images_per_s");
        let counted = rates.get(WARM as usize..(WARM + self.steps) as usize)?;
        let whole = rates.len() == self.all_steps() as usize;
        whole.then(|| counted.len() as f64 / counted.iter().map(|rate| 1.0 / rate).sum::<f64>())
    }

    /// The arguments of the script.
    fn pytorch(&self, words: &[&str]) -> Vec<String> {
        let options = [
            format!("--network={}", self.network),
            format!("--cuts={}", self.cuts),
            format!("--schedule={}", self.schedule),
            format!("--batch={}", self.batch),
            format!("--microbatches={}", self.microbatches),
            format!("--warm={WARM}"),
            format!("--steps={}", self.steps),
        ];
        words.iter().map(|word| word.to_string()).chain(options).collect()
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
            let cuts = case.cuts.split(',').count();
            assert!(stages == "per_layer" && cuts == 4 || stages.split(',').count() == cuts, "{}", case.name);
        }
    }
}
