//! The specifications of a run's stages.

use crate::config::Config;
use crate::model::Network;
use crate::partition::{Slice, slices};
use crate::pipeline::{Held, Shape};
use crate::prepare::estimator;
use crate::rule::Name;
use crate::run_error::RunError;
use proto::lane::Lane;
use proto::link::Role;
use proto::spec::begin::Begin;
use proto::spec::graph::{INPUT, LayerSpec};
use proto::spec::input::InputSpec;
use proto::spec::stage::{ErrorSource, Half, StageSpec};
use std::ops::Range;

/// One start of a run, as its nodes see it.
#[derive(Clone, Copy, Debug)]
pub struct RunStart<'a> {
    /// The run's name on the wire.
    pub run: &'a str,
    /// The number of this start of the run.
    pub incarnation: u32,
    /// The update whose snapshot is restored; `None` draws the weights from the seed.
    pub restore: Option<u64>,
    /// The snapshot of another run from which the drawn layers are filled, where none is restored.
    pub begin: Option<&'a Begin>,
}

/// The specifications of all nodes of a run: first the stages, and then the nodes that keep the B of split layers, in
/// the order of their stages.
pub fn nodes(stages: &[StageSpec]) -> Vec<StageSpec> {
    stages.iter().cloned().chain(stages.iter().filter_map(StageSpec::backward_half)).collect()
}

/// The roles of all nodes of a run of `network`, cut at `ranges`, in the order of [`nodes`].
pub fn roles(network: &Network, ranges: &[Range<usize>]) -> Vec<Role> {
    let stages = || (0..).zip(ranges);
    let is_split = |range: &Range<usize>| network.layers[range.clone()].iter().any(|layer| layer.split);
    let backward = stages().filter(|(_, range)| is_split(range)).map(|(index, _)| Role::Backward(index));
    stages().map(|(index, _)| Role::Stage(index)).chain(backward).collect()
}

/// The name of the files and folders of the node of `role`: `stage-3` or `stage-3-backward`.
pub fn file_stem(role: Role) -> String {
    role.to_string().replace(", ", "-").replace(' ', "-")
}

/// The specification of each stage of `network`, whose inputs are normalised by `input`, cut at `ranges`; `minibatches`
/// are the numbers of minibatches in an epoch and in the whole run.
///
/// # Errors
/// Shapes that do not fit, by the layer's name.
pub fn stages(
    config: &Config,
    network: &Network,
    input: &InputSpec,
    ranges: &[Range<usize>],
    minibatches: [u64; 2],
    start: RunStart<'_>,
) -> Result<Vec<StageSpec>, RunError> {
    let slices = slices(network, ranges).map_err(RunError::configuration)?;
    let [per_epoch, total] = minibatches;
    let RunStart { run, incarnation, restore, begin } = start;
    let (count, memory) = (slices.len() as u32, tensors(config, network, ranges)?);
    let course = config.rule.course.spec(per_epoch, total);
    let optimizer = config.optimizer.spec(config.step().samples, minibatches);
    let scheduled = |mut layer: LayerSpec| {
        // What obeys Kolen-Pollack's law decays as W does.
        let of_rule = if Name::has_law(&layer.rule) { &optimizer.weight_decay_schedule } else { &course };
        if let Some(schedule) = layer.rule.schedule_mut() {
            schedule.clone_from(of_rule);
        }
        layer
    };
    let backward = config.optimizer_b.spec(config.step().samples, minibatches);
    let delays = delays(config, ranges.len())?;
    let late = |optimizer, stage: usize| config.staleness.at_stage(optimizer, delays[stage]);
    let stage = |(index, slice): (usize, Slice)| StageSpec {
        run: run.to_owned(),
        incarnation,
        index: index as u32,
        stages: count,
        layers: slice.layers.into_iter().map(scheduled).collect(),
        error_source: ErrorSource::Above,
        input: slice.inputs.iter().any(|value| value.name == INPUT).then(|| input.clone()),
        inputs: slice.inputs,
        outputs: slice.outputs,
        optimizer: late(optimizer.clone(), index),
        optimizer_backward: late(backward.clone(), index),
        seed: config.seed,
        max_microbatch: config.train.batch.div_ceil(config.pipeline.microbatches),
        // A step may have other microbatches than an evaluation.
        max_microbatches: config.pipeline.microbatches.max(config.step().microbatches),
        wire: config.network.kind(),
        error_feedback: config.network.error_feedback,
        restore,
        begin: begin.filter(|_| restore.is_none()).cloned(),
        keep_snapshots: config.snapshot.keep_last,
        recompute: config.pipeline.recompute,
        half: Half::Forward,
        loss_scale: config.train.loss_scale,
        shrink: config.staleness.shrink,
        precision: config.node.precision,
        layout: config.node.layout,
        deterministic: config.node.deterministic,
        memory: memory[index],
        transport: config.network.transport,
    };
    Ok(slices.into_iter().enumerate().map(stage).collect())
}

/// The delay of each stage in updates: 0 where every step is flushed.
///
/// # Errors
/// A size that no pipeline has.
pub fn delays(config: &Config, stages: usize) -> Result<Vec<f64>, RunError> {
    let stages = stages as u32;
    let shape = Shape::new(stages, config.step().microbatches, config.pipeline.ahead);
    let shape = shape.map_err(RunError::configuration)?;
    let delay = |stage| if config.is_asynchronous() { shape.delay(stage) } else { 0.0 };
    Ok((0..stages).map(delay).collect())
}

/// The expected bytes of the tensors of each stage, without the other memory of a process.
fn tensors(config: &Config, network: &Network, ranges: &[Range<usize>]) -> Result<Vec<u64>, RunError> {
    let estimator = estimator(config, network)?;
    let lanes = estimator.workload().lanes(ranges.len() as u32).map_err(RunError::configuration)?;
    let of = |(range, lane): (&Range<usize>, &Lane)| {
        let memory = estimator.stage(range.clone(), &Held::of(lane)).memory;
        memory.total() - memory.process
    };
    Ok(ranges.iter().zip(&lanes).map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};
    use crate::prepare::cut;

    const NETWORK: &str = "[rule]\nname = \"feedback_alignment\"\n[[layer]]\nkind = \"flatten\"\n\
        [[layer]]\nname = \"a\"\nkind = \"linear\"\nout = 6\n[[layer]]\nkind = \"relu\"\n\
        [[layer]]\nname = \"b\"\nkind = \"linear\"\nout = 8\n[[layer]]\nname = \"c\"\nkind = \"linear\"\nout = 10";

    #[test]
    fn every_stage_with_a_split_layer_has_a_backward_node_behind_all_stages() {
        for (placement, due) in [
            ("together", &["stage-0", "stage-1", "stage-2"][..]),
            (
                "split",
                &[
                    "stage-0",
                    "stage-1",
                    "stage-2",
                    "stage-0-backward",
                    "stage-1-backward",
                    "stage-2-backward",
                ],
            ),
            ("[\"c\", \"a\"]", &["stage-0", "stage-1", "stage-2", "stage-0-backward", "stage-2-backward"]),
        ] {
            let sets = [format!("pipeline.placement={placement}")];
            let config = config::parse(NETWORK, "c.toml", &sets, &Environment::empty()).unwrap();
            let network = config.network([1, 2, 2]).unwrap();
            let ranges = cut(&config, &network).unwrap();
            let start = RunStart { run: "r", incarnation: 1, restore: None, begin: None };
            let input = InputSpec::plain(1);
            let stages = stages(&config, &network, &input, &ranges, [3, 3], start).unwrap();
            assert!((0..).zip(&stages).all(|(at, stage)| stage.input == (at == 0).then(|| input.clone())));
            let nodes = nodes(&stages);
            assert_eq!(nodes.iter().map(StageSpec::role).collect::<Vec<_>>(), roles(&network, &ranges));
            assert_eq!(nodes.iter().map(|node| file_stem(node.role())).collect::<Vec<_>>(), due);
            let split = stages.iter().flat_map(|stage| &stage.layers).filter(|layer| layer.split);
            assert!(
                split
                    .clone()
                    .all(|layer| config.pipeline.placement.splits(&layer.name) && layer.op.is_weight())
            );
            assert_eq!(split.count(), due.len() - 3);
        }
    }
}
