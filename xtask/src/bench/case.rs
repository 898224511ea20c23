//! A case of the benches: a network, its cut and its minibatches, trained on this host from noise.

use super::process::{coordinator, finish};
use crate::json::numbers;
use crate::noise;
use crate::run::{Failure, Root};
use std::fs;
use std::ops::Range;
use std::path::Path;
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
pub const WARM: u32 = 2;
/// Steps after those that count: the coordinator keeps three minibatches in flight, and the last ones have the
/// machine for themselves.
const DRAIN: u32 = 3;
/// How long one training may take, set-up included.
pub const LIMIT: Duration = Duration::from_secs(300);

/// One network, cut into stages of one thread each.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub write: noise::Write,
    pub batch: u32,
    pub microbatches: u32,
    /// The steps that count.
    pub steps: u32,
    /// The settings that make CONFIG this network and this cut.
    pub settings: &'static [&'static str],
}

/// ResNet-18 on images of 32 pixels, in two stages.
pub const RESNET: Case = Case {
    name: "ResNet-18, 2 stages",
    write: noise::cifar,
    batch: 64,
    microbatches: 8,
    steps: 6,
    settings: &[
        "data.kind=cifar10",
        "model.name=resnet18",
        r#"pipeline.stages=["layer3.0.conv1"]"#,
        "pipeline.schedule=zero_bubble",
    ],
};

/// The demo's network, in two stages.
pub const DEMO: Case = Case {
    name: "the demo's network, 2 stages",
    write: noise::idx,
    batch: 128,
    microbatches: 4,
    steps: 60,
    settings: &["data.kind=idx", r#"pipeline.stages=["conv3"]"#, "pipeline.schedule=zero_bubble"],
};

impl Case {
    /// The case with fewer steps, for a quick look.
    pub fn shorter(self, is_short: bool) -> Self {
        Self { steps: if is_short { self.steps.div_ceil(2) } else { self.steps }, ..self }
    }

    /// The steps that count, by their places in the history.
    pub fn counted(&self) -> Range<usize> {
        WARM as usize..(WARM + self.steps) as usize
    }

    fn all_steps(&self) -> u32 {
        WARM + self.steps + DRAIN
    }

    /// Puts a data set of noise for this case into `folder`, in the place of what was there.
    pub fn make_data(&self, folder: &Path) -> Result<(), Failure> {
        noise::fresh(folder, self.write, self.batch * self.all_steps(), self.batch)
    }

    /// The settings that make CONFIG this case, with `other` values for some keys.
    pub fn settings(&self, other: &[&str]) -> Vec<String> {
        let sizes = [
            format!("train.batch={}", self.batch),
            format!("train.max_steps={}", self.all_steps()),
            format!("pipeline.microbatches={}", self.microbatches),
        ];
        let key = |setting: &str| setting.split('=').next().map(str::to_owned);
        let is_own = |setting: &&&str| other.iter().all(|other| key(other) != key(setting));
        let fixed = SETTINGS.iter().chain(self.settings).filter(is_own).chain(other);
        fixed.map(|setting| (*setting).to_owned()).chain(sizes).collect()
    }

    /// Trains on local nodes by the programs of `build`, with `other` values for some keys, and returns the images per
    /// second of the steps that count. `folder` has the data.
    pub fn train(&self, root: &Root, build: &Path, folder: &Path, other: &[&str]) -> Result<f64, Failure> {
        let run_dir = folder.join("run");
        _ = fs::remove_dir_all(&run_dir);
        let mut train = coordinator(root, build, "train", folder, &self.settings(other));
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
        let counted = rates.get(self.counted())?;
        let whole = rates.len() == self.all_steps() as usize;
        whole.then(|| counted.len() as f64 / counted.iter().map(|rate| 1.0 / rate).sum::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_steps_in_the_middle() {
        let line = |rate| format!("{{\"step\":1,\"images_per_s\":{rate},\"stages\":[]}}\n");
        let middle = [20.0, 60.0].repeat(RESNET.steps as usize / 2);
        let rates = [[1.0; WARM as usize].as_slice(), &middle, &[900.0; DRAIN as usize]].concat();
        let metrics: String = rates.iter().map(line).collect();
        let rate = RESNET.rate(&metrics).unwrap();
        assert!((rate - 30.0).abs() < 1e-9, "{rate}");
        assert_eq!(RESNET.rate(&line(&1.0)), None, "a run that stopped early");
    }

    #[test]
    fn another_value_takes_the_place_of_the_usual_one() {
        let settings = RESNET.settings(&["rule.name=kolen_pollack", "pipeline.stages=per_layer"]);
        assert!(settings.iter().any(|setting| setting == "rule.name=kolen_pollack"));
        for key in ["rule.name=", "pipeline.stages=", "train.batch="] {
            assert_eq!(settings.iter().filter(|setting| setting.starts_with(key)).count(), 1, "{key}");
        }
    }
}
