//! The specifications of a run's stages.

use crate::config::Config;
use crate::model::Network;
use crate::partition::{Slice, slices};
use crate::run_error::RunError;
use proto::spec::graph::LayerSpec;
use proto::spec::rule::RuleSpec;
use proto::spec::stage::{ErrorSource, StageSpec};
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
}

/// The specification of each stage of `network`, cut at `ranges`; `minibatches` are the numbers of minibatches in
/// an epoch and in the whole run.
///
/// # Errors
/// Shapes that do not fit, by the layer's name.
pub fn stages(
    config: &Config,
    network: &Network,
    ranges: &[Range<usize>],
    minibatches: [u64; 2],
    start: RunStart<'_>,
) -> Result<Vec<StageSpec>, RunError> {
    let slices = slices(network, ranges).map_err(RunError::configuration)?;
    let [per_epoch, total] = minibatches;
    let RunStart { run, incarnation, restore } = start;
    let count = slices.len() as u32;
    let course = config.rule.course.spec(per_epoch, total);
    let scheduled = |mut layer: LayerSpec| {
        if let RuleSpec::Learned { alignment, .. } = &mut layer.rule {
            alignment.schedule = course.clone();
        }
        layer
    };
    let stage = |(index, slice): (usize, Slice)| StageSpec {
        run: run.to_owned(),
        incarnation,
        index: index as u32,
        stages: count,
        layers: slice.layers.into_iter().map(scheduled).collect(),
        error_source: ErrorSource::Above,
        inputs: slice.inputs,
        outputs: slice.outputs,
        optimizer: config.optimizer.spec(per_epoch, total),
        optimizer_backward: config.optimizer_b.spec(per_epoch, total),
        seed: config.seed,
        max_microbatch: config.train.batch.div_ceil(config.pipeline.microbatches),
        max_microbatches: config.pipeline.microbatches,
        wire: config.network.wire,
        restore,
        keep_snapshots: config.snapshot.keep_last,
        recompute: config.pipeline.recompute,
    };
    Ok(slices.into_iter().enumerate().map(stage).collect())
}
