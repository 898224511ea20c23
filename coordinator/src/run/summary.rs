//! The summary of a run, computed from its totals.

use crate::driver::NodeAddress;
use crate::prepare::Prepared;
use crate::record::{LayerSummary, NodeSummary, StageTotal, Summary, Totals};
use crate::run_error::{Cause, RunError};

/// The summary of a run that ended with `result` on `nodes`, and that wrote snapshots for `saving` seconds.
pub fn summarize(
    result: &Result<(), RunError>,
    prepared: &Prepared,
    nodes: &[NodeAddress],
    totals: &Totals,
    saving: f64,
) -> Summary {
    let config = &prepared.config;
    let status = match result.as_ref().map_err(|failure| failure.cause) {
        Ok(()) => "done",
        Err(Cause::Interrupted) => "interrupted",
        Err(Cause::Diverged) => "diverged",
        Err(_) => "failed",
    };
    Summary {
        status: Some(status.into()),
        error: result.as_ref().err().map(|failure| failure.sentence.clone()),
        rule: Some(config.rule.all.name().into()),
        seed: Some(config.seed),
        epochs: Some(config.train.epochs),
        stages: Some(nodes.len() as u64),
        schedule: Some(config.pipeline.schedule.to_string()),
        test_top1: totals.evaluation.and_then(|evaluation| evaluation.top1),
        test_top5: totals.evaluation.and_then(|evaluation| evaluation.top5),
        best_step: totals.best.filter(|_| config.snapshot.best).map(|best| best.step),
        images_per_s: totals.speed(),
        seconds: Some(totals.training.as_secs_f64()),
        steps: Some(totals.steps),
        snapshot_seconds: Some(saving),
        nodes: (0..).zip(nodes).map(|(stage, address)| node(stage, prepared, address, totals)).collect(),
    }
}

fn node(stage: usize, prepared: &Prepared, address: &NodeAddress, totals: &Totals) -> NodeSummary {
    let total = |stage: usize| totals.stages.get(stage).copied().unwrap_or_default();
    let StageTotal { bytes_forward, bytes_backward, compute } = total(stage);
    let input = &prepared.network.input.shape;
    let input = input.iter().product::<u64>() * prepared.config.network.wire.size() as u64;
    // A node receives its neighbours' messages; the coordinator sends inputs, and errors of the outputs' size.
    let from_below = stage.checked_sub(1).map_or(input * totals.samples, |below| total(below).bytes_forward);
    let last = stage + 1 == prepared.ranges.len();
    let training = totals.training.as_secs_f64();
    let from_above = if last { bytes_forward } else { total(stage + 1).bytes_backward };
    NodeSummary {
        stage,
        address: Some(address.control.clone()),
        layers: layers(stage, prepared, totals),
        bytes_sent: Some(bytes_forward + bytes_backward),
        bytes_received: Some(from_below + from_above),
        compute_share: (training > 0.0).then(|| compute.as_secs_f64() / training),
    }
}

/// The weight layers of a stage. Each counts the parameters of the layers up to the next weight layer.
fn layers(stage: usize, prepared: &Prepared, totals: &Totals) -> Vec<LayerSummary> {
    let values = prepared.network.values().unwrap_or_default();
    let shape = |name: &str| {
        let value = values.iter().chain([&prepared.network.input]).find(|value| value.name == name);
        value.map_or(&[] as &[u64], |value| value.shape.as_slice())
    };
    let mut layers: Vec<(String, u64)> = Vec::new();
    for layer in &prepared.network.layers[prepared.ranges[stage].clone()] {
        let parameters = layer.op.parameters(shape(&layer.inputs[0]));
        match layers.last_mut() {
            _ if layer.op.is_weight() => layers.push((layer.name.clone(), parameters)),
            Some((_, sum)) => *sum += parameters,
            None => {}
        }
    }
    let summary = |(name, parameters): (String, u64)| {
        let (step, layer) = totals.layers.get(&name).map(|(step, layer)| (*step, layer)).unzip();
        let unmeasured = || match totals.imported {
            0 => "W and B were not measured".to_owned(),
            step => format!("W and B were not measured since weights were imported after step {step}"),
        };
        LayerSummary {
            name,
            parameters: Some(parameters),
            angle_deg: layer.and_then(|layer| layer.angle_deg),
            angle_step: step,
            no_angle: layer.map_or_else(|| Some(unmeasured()), |layer| layer.no_angle.clone()),
        }
    };
    layers.into_iter().map(summary).collect()
}
