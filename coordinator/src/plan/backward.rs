//! The prediction of a stage's backward node.

use std::ops::Range;

use serde::Serialize;

use crate::model::Network;
use crate::partition::{Estimator, Memory};
use crate::pipeline::Held;
use crate::pipeline::timing::Pace;

/// The prediction of a stage's backward node, with the B of the stage's split layers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedBackward {
    /// The names of the split layers.
    pub layers: Vec<String>,
    /// Multiply-adds for one sample: errors through B, and B's filter gradients.
    pub macs: u64,
    /// Requests of a microbatch that the stage waits for, one after the other.
    pub round_trips: u32,
    /// Bytes of samples, errors and noise that the stage sends to the node in one step.
    pub bytes_to: u64,
    /// Bytes of errors that the node returns in one step.
    pub bytes_back: u64,
    /// The predicted peak of the node's process, in bytes.
    pub memory_bytes: u64,
    /// The predicted peak by its parts.
    pub memory: Memory,
    /// Seconds of one step in which the node computes.
    pub compute_s: f64,
    /// Seconds of one step in which the stage waits for the node's answers.
    pub asking_s: f64,
    /// Seconds of one step for which the stage's messages to the node occupy the stage's link.
    pub link_to_s: f64,
    /// Seconds of one step for which the answers occupy the node's link.
    pub link_back_s: f64,
}

/// The backward node of a stage with an index and a range of layers, whose lane holds `held`; `None` for a
/// stage without one.
pub(super) fn planned(
    network: &Network,
    (index, range): (usize, Range<usize>),
    held: &Held,
    estimator: &Estimator,
    pace: &Pace,
) -> Option<PlannedBackward> {
    let memory = estimator.backward_memory(range.clone(), held)?;
    let [bytes_to, bytes_back] = estimator.exchanged(range.clone());
    let link = estimator.workload().rates.link;
    let split = network.layers[range.clone()].iter().filter(|layer| layer.split);
    let trips = estimator.profile().layers()[range.clone()].iter().filter_map(|layer| layer.split);
    Some(PlannedBackward {
        layers: split.map(|layer| layer.name.clone()).collect(),
        macs: estimator.backward_macs(range),
        round_trips: trips.filter(|split| split.returned > 0).count() as u32,
        bytes_to,
        bytes_back,
        memory_bytes: memory.total(),
        memory,
        compute_s: pace
            .backward
            .iter()
            .find(|(stage, _)| *stage == index)
            .map_or(0.0, |(_, seconds)| *seconds),
        asking_s: pace.asking[index],
        link_to_s: link.seconds(bytes_to),
        link_back_s: link.seconds(bytes_back),
    })
}
