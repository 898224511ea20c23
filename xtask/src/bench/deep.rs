//! A deep narrow network, which many stages can share: convolutions of 16 channels on 14×14 pixels, and a dense layer.

use super::Options;
use super::process::coordinator_with;
use super::watched::{self, Watched};
use crate::noise;
use crate::run::{Failure, Root};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// N and M of every step.
pub const BATCH: u32 = 64;
const MICROBATCHES: u32 = 8;
/// What every configuration has before its layers.
const HEAD: &str = "\
[rule]\nname = \"backprop\"\n\
[optimizer]\nlr = 0.001\nschedule = \"constant\"\nwarmup_epochs = 0\n\
[metrics]\nlayers_every = 1000000\n";

/// A deep network on the disk, with data.
pub struct Deep<'a> {
    root: &'a Root,
    build: &'a Path,
    folder: PathBuf,
    steps: usize,
}

impl<'a> Deep<'a> {
    /// The place for networks that are trained for so many steps.
    pub fn new(root: &'a Root, build: &'a Path, bench: &str, options: &Options) -> Result<Self, Failure> {
        let steps = if options.is_short { 12 } else { 30 };
        let folder = build.join(format!("bench-{bench}"));
        noise::fresh(&folder, noise::idx, BATCH * steps, BATCH)?;
        Ok(Self { root, build, folder, steps: steps as usize })
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Trains `layers` weight layers in so many `stages`, on local nodes.
    pub fn train(&self, layers: usize, stages: usize) -> Result<Watched, Failure> {
        let config = self.folder.join(format!("{layers}.toml"));
        let written = fs::write(&config, text(layers));
        written.map_err(|error| format!("cannot write {}: {error}", config.display()))?;
        let run_dir = self.folder.join("run");
        _ = fs::remove_dir_all(&run_dir);
        let settings = [
            "data.kind=idx".to_owned(),
            "model.classes=10".to_owned(),
            "train.epochs=1".to_owned(),
            "data.augment=false".to_owned(),
            format!("train.batch={BATCH}"),
            format!("train.max_steps={}", self.steps),
            format!("pipeline.microbatches={MICROBATCHES}"),
            format!("pipeline.stages={stages}"),
        ];
        let mut train = coordinator_with(self.root, self.build, "train", &config, &self.folder, &settings);
        train.args(["--local", "--run-dir"]).arg(&run_dir);
        train.env("NEUROPIL_LAYER_NODE", self.build.join("layer-node"));
        watched::train(&mut train, &run_dir, self.steps, &self.folder.join("coordinator.log"))
    }
}

/// The configuration of a network of so many weight layers.
fn text(layers: usize) -> String {
    let mut text = HEAD.to_owned();
    for number in 1..layers {
        let stride = if number == 1 { 2 } else { 1 };
        _ = write!(
            text,
            "[[layer]]\nname = \"conv{number}\"\nkind = \"conv2d\"\nout = 16\nkernel = 3\npadding = 1\n\
             stride = {stride}\n[[layer]]\nkind = \"batch_norm\"\n[[layer]]\nkind = \"relu\"\n"
        );
    }
    text + "[[layer]]\nkind = \"flatten\"\n[[layer]]\nname = \"classes\"\nkind = \"linear\"\nout = 10\n"
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_network_has_as_many_weight_layers_as_it_says() {
        for layers in [1, 5, 64] {
            let text = text(layers);
            let count = |kind: &str| text.matches(&format!("kind = \"{kind}\"")).count();
            assert_eq!((count("conv2d"), count("linear")), (layers - 1, 1));
        }
    }
}
