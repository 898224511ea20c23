//! What a training step leaves: a line of JSON, which a run that goes on reads again, and points on TensorBoard's
//! curves.

use super::events::Points;
use crate::driver::Outcome;
use proto::control::LayerMeasure;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A line of `metrics.jsonl`.
#[derive(Serialize)]
pub struct StepLine<'a> {
    /// Counts from 1.
    pub step: u64,
    epoch: u64,
    loss: f64,
    accuracy: f64,
    images_per_s: f64,
    seconds: f64,
    stages: Vec<StageLine>,
    layers: Vec<LayerLine<'a>>,
}

/// One stage in it.
#[derive(Serialize, Deserialize)]
pub struct StageLine {
    stage: usize,
    /// Time spent computing.
    pub compute_s: f64,
    wait_s: f64,
    send_s: f64,
    /// Payload bytes sent above.
    pub bytes_forward: u64,
    /// Payload bytes sent below.
    pub bytes_backward: u64,
}

#[derive(Serialize)]
struct LayerLine<'a> {
    name: &'a str,
    angle_deg: f64,
    norm_ratio: f64,
    norm: f64,
    difference: f64,
}

impl<'a> StepLine<'a> {
    /// The line of `outcome`, which came so long after what was before it.
    pub fn new(outcome: &'a Outcome, images_per_s: f64, took: Duration) -> Self {
        let stages = outcome.stages.iter().enumerate().map(|(stage, done)| StageLine {
            stage,
            compute_s: done.compute.as_secs_f64(),
            wait_s: done.wait.as_secs_f64(),
            send_s: done.send.as_secs_f64(),
            bytes_forward: done.bytes_forward,
            bytes_backward: done.bytes_backward,
        });
        let layers = outcome.stages.iter().flat_map(|done| &done.layers).map(|layer| LayerLine {
            name: &layer.name,
            angle_deg: layer.angle_deg,
            norm_ratio: layer.norm_ratio,
            norm: layer.norm,
            difference: layer.difference,
        });
        Self {
            step: outcome.step,
            epoch: outcome.epoch,
            loss: outcome.loss,
            accuracy: outcome.top1,
            images_per_s,
            seconds: took.as_secs_f64(),
            stages: stages.collect(),
            layers: layers.collect(),
        }
    }

    /// Its points.
    pub fn points(&self) -> Points {
        let step = [
            ("train/loss".into(), self.loss),
            ("train/accuracy".into(), self.accuracy),
            ("train/images_per_s".into(), self.images_per_s),
            ("train/epoch".into(), self.epoch as f64),
        ];
        let layer = |layer: &LayerLine<'_>| {
            let named = |curve: &str, value| (format!("{curve}/{}", layer.name), value);
            [named("angle_deg", layer.angle_deg), named("norm_ratio", layer.norm_ratio)]
        };
        step.into_iter().chain(self.layers.iter().flat_map(layer)).collect()
    }
}

/// A line of `metrics.jsonl` as a run that goes on reads it.
#[derive(Deserialize)]
pub struct PastStep {
    /// Counts from 1.
    pub step: u64,
    images_per_s: f64,
    seconds: f64,
    /// What every stage did.
    pub stages: Vec<StageLine>,
    layers: Vec<PastLayer>,
}

/// A measurement; what was not finite is `None`.
#[derive(Deserialize)]
struct PastLayer {
    name: String,
    angle_deg: Option<f64>,
    norm_ratio: Option<f64>,
    norm: Option<f64>,
    difference: Option<f64>,
}

impl PastStep {
    /// How long it took.
    pub fn took(&self) -> Duration {
        Duration::try_from_secs_f64(self.seconds).unwrap_or_default()
    }

    /// The samples of its minibatch.
    pub fn samples(&self) -> u64 {
        (self.images_per_s * self.seconds).round() as u64
    }

    /// What was measured of the layers.
    pub fn measures(&self) -> Vec<LayerMeasure> {
        let measure = |layer: &PastLayer| {
            let PastLayer { name, angle_deg, norm_ratio, norm, difference } = layer;
            let (name, angle_deg, norm_ratio) = (name.clone(), (*angle_deg)?, (*norm_ratio)?);
            Some(LayerMeasure { name, angle_deg, norm_ratio, norm: (*norm)?, difference: (*difference)? })
        };
        self.layers.iter().filter_map(measure).collect()
    }
}
