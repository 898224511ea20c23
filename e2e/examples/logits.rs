//! Draws a ResNet-18 of the zoo into state folders, and runs it forward, all in one process.
//!
//! ```text
//! logits draw STATE CLASSES IMAGE SEED              STATE/stage-0 … stage-9, a node for each block
//! logits run STATE CLASSES IMAGE INPUT OUTPUT       f32 images in, f32 logits out, in evaluation
//! ```
//!
//! `layer-node/tests/torchvision/compare.py` compares the logits with torchvision's. Tensors are raw,
//! little-endian and row-major.

use coordinator::model::zoo::{self, Options};
use coordinator::partition;
use layer_node::settings::Settings;
use layer_node::stage::{Stage, Whole};
use layer_node::state::checkpoint::{self, Snapshot};
use proto::microbatch::{MicrobatchId, Phase};
use proto::spec::graph::INPUT;
use proto::spec::optimizer::{Method, OptimizerSpec};
use proto::spec::rule::{Coefficients, Primitive, RuleSpec};
use proto::spec::stage::StageSpec;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

type RunError = Box<dyn Error>;

fn main() -> Result<(), RunError> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["draw", state, classes, image, seed] => {
            draw(state.as_ref(), &stages(classes.parse()?, image.parse()?, seed.parse()?)?)
        }
        ["run", state, classes, image, input, output] => {
            let images = read(input.as_ref(), image.parse()?)?;
            let logits = run(state.as_ref(), &stages(classes.parse()?, image.parse()?, 0)?, images)?;
            write(output.as_ref(), &logits)
        }
        _ => {
            Err("logits draw STATE CLASSES IMAGE SEED, or logits run STATE CLASSES IMAGE INPUT OUTPUT".into())
        }
    }
}

/// The network's stages, one stage for each block, as a coordinator would describe them, with B and
/// optimizer state.
fn stages(classes: u32, image: u32, seed: u64) -> Result<Vec<StageSpec>, RunError> {
    let decay = Coefficients::new(&[(Primitive::Decay, 1e-4)]);
    let rule = RuleSpec::learned("kolen_pollack", true, decay);
    let options = Options { classes, image, rule, ..Options::default() };
    let network = zoo::by_name("resnet18", &options).ok_or("the zoo has no resnet18")?;
    let ends = network.blocks[1..].iter().copied().chain([network.layers.len()]);
    let ranges: Vec<_> = network.blocks.iter().zip(ends).map(|(&start, end)| start..end).collect();
    let slices = partition::slices(&network, &ranges)?;
    let count = slices.len() as u32;
    let method = Method::Sgd { momentum: 0.9, nesterov: false };
    let optimizer = OptimizerSpec { method, ..OptimizerSpec::sgd(0.1) };
    let stage = |(index, slice): (usize, partition::Slice)| StageSpec {
        run: "drawn".into(),
        index: index as u32,
        stages: count,
        outputs: slice.outputs,
        optimizer: optimizer.clone(),
        optimizer_backward: optimizer.clone(),
        seed,
        ..StageSpec::alone(slice.layers, slice.inputs)
    };
    Ok(slices.into_iter().enumerate().map(stage).collect())
}

fn build(spec: &StageSpec) -> Result<Stage, RunError> {
    Ok(Stage::new(spec, Settings::of(spec, Device::Cpu, Kind::Float))?)
}

fn folder(state: &Path, spec: &StageSpec) -> PathBuf {
    state.join(format!("stage-{}", spec.index))
}

/// Draws the weights with which a run begins, and biases and norms with which a run could end. So each of them
/// affects the logits: a fresh block is only its skip, because its last γ is 0.
fn draw(state: &Path, stages: &[StageSpec]) -> Result<(), RunError> {
    tch::manual_seed(stages.first().map_or(0, |spec| spec.seed as i64));
    for spec in stages {
        let mut stage = build(spec)?;
        let mut tensors = stage.state();
        for (name, tensor) in &mut tensors.0 {
            let vector = tensor.dim() == 1;
            let _ = match name.rsplit('.').next() {
                Some("weight" | "running_var") if vector => tensor.f_uniform_(0.5, 1.5)?,
                Some("bias" | "running_mean") => tensor.f_normal_(0.0, 0.1)?,
                _ => continue,
            };
        }
        checkpoint::save(&folder(state, spec), &spec.run, 0, &tensors, None)?;
    }
    Ok(())
}

/// The logits for `images`, from stage to stage as the nodes would compute them.
fn run(state: &Path, stages: &[StageSpec], images: Tensor) -> Result<Tensor, RunError> {
    let mut values = vec![(INPUT.to_owned(), images)];
    for spec in stages {
        let folder = folder(state, spec);
        let steps = checkpoint::list(&folder)?;
        let step = steps.last().ok_or_else(|| format!("there is no snapshot in {}", folder.display()))?;
        let mut stage = build(spec)?;
        checkpoint::restore(&Snapshot::open(&folder, *step)?, &mut stage.state())?;
        values = stage.forward(MicrobatchId { step: 0, index: 0 }, values, Phase::Evaluate, &mut Whole)?;
    }
    Ok(values.swap_remove(0).1)
}

fn read(path: &Path, image: i64) -> Result<Tensor, RunError> {
    let bytes = fs::read(path)?;
    let numbers: Vec<f32> =
        bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect();
    Ok(Tensor::f_from_slice(&numbers)?.f_reshape([-1, 3, image, image])?)
}

fn write(path: &Path, tensor: &Tensor) -> Result<(), RunError> {
    let numbers = Vec::<f32>::try_from(tensor.f_contiguous()?.f_view([-1])?)?;
    Ok(fs::write(path, numbers.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<_>>())?)
}
