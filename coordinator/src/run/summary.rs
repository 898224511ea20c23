//! The summary of a run, computed from its totals.

use crate::driver::NodeAddress;
use crate::prepare::Prepared;
use crate::record::{BackwardTotal, LayerSummary, NodeSummary, StageTotal, Summary, TWO_HOSTS, Totals};
use crate::run_error::{Cause, RunError};
use proto::spec::graph::LayerSpec;
use proto::spec::stage::Half;
use std::collections::HashMap;
use std::time::Duration;

/// The summary of a run that ended with `result` on the `nodes` of its stages, and that wrote snapshots for `saving` seconds.
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
        stages: Some(prepared.ranges.len() as u64),
        schedule: Some(config.pipeline.schedule.to_string()),
        test_top1: totals.evaluation.and_then(|evaluation| evaluation.top1),
        test_top5: totals.evaluation.and_then(|evaluation| evaluation.top5),
        best_step: totals.best.filter(|_| config.snapshot.best).map(|best| best.step),
        images_per_s: totals.speed(),
        seconds: Some(totals.training.as_secs_f64()),
        steps: Some(totals.steps),
        snapshot_seconds: Some(saving),
        nodes_after: Some(totals.cut).filter(|step| *step > 0),
        nodes: nodes_of(prepared, nodes, totals),
    }
}

/// The nodes: those of the stages in order, then the backward nodes in the order of their stages.
fn nodes_of(prepared: &Prepared, nodes: &[NodeAddress], totals: &Totals) -> Vec<NodeSummary> {
    let stages = 0..prepared.ranges.len();
    let halves = stages.clone().filter(|stage| split(*stage, prepared).next().is_some());
    let parameters = parameters(prepared);
    let forward = stages.map(|stage| node(stage, prepared, totals, &parameters));
    let backward = halves.map(|stage| backward_node(stage, prepared, totals));
    let addressed = |(node, address): (NodeSummary, &NodeAddress)| NodeSummary {
        address: Some(address.control.clone()),
        ..node
    };
    forward.chain(backward).zip(nodes).map(addressed).collect()
}

/// The split layers of a stage.
fn split(stage: usize, prepared: &Prepared) -> impl Iterator<Item = &LayerSpec> {
    prepared.network.layers[prepared.ranges[stage].clone()].iter().filter(|layer| layer.split)
}

/// The summary of a stage's backward node, without its address.
fn backward_node(stage: usize, prepared: &Prepared, totals: &Totals) -> NodeSummary {
    let BackwardTotal { bytes_split, underflow, compute } =
        totals.backward.get(&stage).copied().unwrap_or_default();
    let layer = |layer: &LayerSpec| LayerSummary {
        name: layer.name.clone(),
        parameters: None,
        angle_deg: None,
        angle_step: None,
        no_angle: Some(TWO_HOSTS.into()),
    };
    NodeSummary {
        stage,
        half: Half::Backward,
        address: None,
        layers: split(stage, prepared).map(layer).collect(),
        bytes_sent: Some(bytes_split),
        bytes_received: totals.stages.get(stage).map(|stage| stage.bytes_split),
        underflow,
        compute_share: share(compute, totals),
        memory_peak_bytes: None,
    }
}

/// The share of the training time since the newest cut in which a node computed.
fn share(compute: Duration, totals: &Totals) -> Option<f64> {
    let training = totals.training_of_cut.as_secs_f64();
    (training > 0.0).then(|| compute.as_secs_f64() / training)
}

/// The parameters of each layer of the network, in order.
fn parameters(prepared: &Prepared) -> Vec<u64> {
    let network = &prepared.network;
    let values = network.values().unwrap_or_default();
    let known = values.iter().chain([&network.input]);
    let shapes: HashMap<&str, &[u64]> =
        known.map(|value| (value.name.as_str(), value.shape.as_slice())).collect();
    let shape = |name: &str| shapes.get(name).copied().unwrap_or_default();
    network.layers.iter().map(|layer| layer.op.parameters(shape(&layer.inputs[0]))).collect()
}

/// The summary of a stage, without its address.
fn node(stage: usize, prepared: &Prepared, totals: &Totals, parameters: &[u64]) -> NodeSummary {
    let total = |stage: usize| totals.stages.get(stage).copied().unwrap_or_default();
    let StageTotal { bytes_forward, bytes_backward, bytes_split, underflow, compute } = total(stage);
    let returned = totals.backward.get(&stage).map_or(0, |half| half.bytes_split);
    let input = prepared.network.input.bytes(prepared.config.network.kind());
    // A node receives its neighbours' messages; the coordinator sends inputs, and errors of the outputs' size.
    let from_below =
        stage.checked_sub(1).map_or(input * totals.samples_of_cut, |below| total(below).bytes_forward);
    let last = stage + 1 == prepared.ranges.len();
    let from_above = if last { bytes_forward } else { total(stage + 1).bytes_backward };
    NodeSummary {
        stage,
        half: Half::Forward,
        address: None,
        layers: layers(stage, prepared, totals, parameters),
        bytes_sent: Some(bytes_forward + bytes_backward + bytes_split),
        bytes_received: Some(from_below + from_above + returned),
        underflow,
        compute_share: share(compute, totals),
        memory_peak_bytes: None,
    }
}

/// The weight layers of a stage. Each counts the parameters of the layers up to the next weight layer.
fn layers(stage: usize, prepared: &Prepared, totals: &Totals, parameters: &[u64]) -> Vec<LayerSummary> {
    let mut layers: Vec<(String, u64)> = Vec::new();
    let range = prepared.ranges[stage].clone();
    for (layer, &parameters) in prepared.network.layers[range.clone()].iter().zip(&parameters[range]) {
        match layers.last_mut() {
            _ if layer.op.is_weight() => layers.push((layer.name.clone(), parameters)),
            Some((_, sum)) => *sum += parameters,
            None => {}
        }
    }
    let summary = |(name, parameters): (String, u64)| {
        let (step, layer) = totals.layers.get(&name).map(|(step, layer)| (*step, layer)).unzip();
        let unmeasured = || match totals.imported {
            _ if split(stage, prepared).any(|layer| layer.name == name) => TWO_HOSTS.to_owned(),
            0 => "W and B were not measured".to_owned(),
            step => format!("W and B were not measured since weights were imported after step {step}"),
        };
        let no_angle = layer.map_or_else(|| Some(unmeasured()), |layer| layer.no_angle.clone());
        LayerSummary {
            name,
            parameters: Some(parameters),
            angle_deg: layer.and_then(|layer| layer.angle_deg),
            angle_step: step,
            no_angle,
        }
    };
    layers.into_iter().map(summary).collect()
}
