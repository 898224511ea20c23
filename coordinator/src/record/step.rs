//! One training step: a line of `metrics.jsonl`.
//!
//! A number that is not finite is written as `null`, and read as `None`. Lines of other releases may have more or
//! fewer fields.

use super::rates::Rate;
use crate::driver::Outcome;
use proto::control::LayerMeasure;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One training step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The step's number, from 1.
    pub step: u64,
    /// The epoch, from 0.
    #[serde(default)]
    pub epoch: u64,
    /// Samples of the minibatch; `None` in lines of earlier releases.
    #[serde(default)]
    pub samples: Option<u64>,
    /// Mean loss over the minibatch.
    pub loss: Option<f64>,
    /// Fraction of the minibatch whose label ranks first.
    pub accuracy: Option<f64>,
    /// Samples of the minibatch per second of the step.
    pub images_per_s: Option<f64>,
    /// The learning rate of W, biases and norms in the step's update; `None` in lines of earlier releases.
    #[serde(default)]
    pub lr: Option<f64>,
    /// The learning rate of B in the step's update; `None` where no B takes steps.
    #[serde(default)]
    pub lr_b: Option<f64>,
    /// The step's duration: the time since the previous event of the pipeline.
    pub seconds: Option<f64>,
    /// The times and traffic of every stage.
    #[serde(default)]
    pub stages: Vec<StageTrace>,
    /// The times and traffic of every backward node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backward: Vec<BackwardTrace>,
    /// B compared with W in every layer; empty for steps without this measurement.
    #[serde(default)]
    pub layers: Vec<LayerTrace>,
}

/// The times and traffic of one stage in one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageTrace {
    /// The stage's index, from 0, the nearest to the input.
    pub stage: usize,
    /// Seconds in which the stage computed.
    pub compute_s: Option<f64>,
    /// Seconds in which the stage waited for a neighbour.
    pub wait_s: Option<f64>,
    /// Seconds in which the stage made messages and handed them over.
    pub send_s: Option<f64>,
    /// Bytes of activations that the stage sent.
    #[serde(default)]
    pub bytes_forward: u64,
    /// Bytes of error signals that the stage sent.
    #[serde(default)]
    pub bytes_backward: u64,
    /// Bytes of tensors that the stage sent to its backward node.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes_split: u64,
    /// Numbers of activations that became 0 in the number format of the links.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub underflow_forward: u64,
    /// Numbers of error signals that became 0 there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub underflow_backward: u64,
    /// Numbers of layers' values for the backward node that became 0 there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub underflow_split: u64,
}

/// The times and traffic of one backward node in one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackwardTrace {
    /// The index of the stage whose split layers have their B on the node.
    pub stage: usize,
    /// Seconds in which the node computed.
    pub compute_s: Option<f64>,
    /// Seconds in which the node waited for its stage.
    pub wait_s: Option<f64>,
    /// Seconds in which the node made messages and handed them over.
    pub send_s: Option<f64>,
    /// Bytes of error signals that the node returned to its stage.
    #[serde(default)]
    pub bytes_split: u64,
    /// Numbers of these that became 0 in the number format of the links.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub underflow_split: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// B compared with W in one layer after one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerTrace {
    /// The layer's name in the model.
    pub name: String,
    /// The angle between W and B, in degrees.
    pub angle_deg: Option<f64>,
    /// ‖B‖/‖W‖.
    pub norm_ratio: Option<f64>,
    /// ‖W‖.
    pub norm: Option<f64>,
    /// ‖W − B‖.
    pub difference: Option<f64>,
    /// The reason why there is no angle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_angle: Option<String>,
    /// The angle between map(x, W) and map(x, B) in the step's first microbatch, in degrees; `None` where the step did not
    /// measure it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_angle_deg: Option<f64>,
    /// The angle between the error that B sent below and the one that W would have sent, likewise; `None` as well where
    /// the layer sends no error below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_angle_deg: Option<f64>,
}

/// The reason why a split layer has no angle: no process has both W and B.
pub const TWO_HOSTS: &str = "W and B are on two hosts";

impl From<&LayerMeasure> for LayerTrace {
    fn from(layer: &LayerMeasure) -> Self {
        let &LayerMeasure { ref name, angle_deg, norm_ratio, norm, difference, split, .. } = layer;
        let number = |value: f64| Some(value).filter(|value| value.is_finite());
        let why = match (norm, norm_ratio) {
            _ if split => TWO_HOSTS,
            (0.0, _) => "W is zero",
            (_, 0.0) => "B is zero",
            _ => "W or B holds numbers that are not finite",
        };
        Self {
            name: name.clone(),
            angle_deg: number(angle_deg),
            norm_ratio: number(norm_ratio),
            norm: number(norm),
            // The law of Kolen-Pollack must see a difference that is not finite, unless there is none to be had.
            difference: (!split).then_some(difference),
            no_angle: (!angle_deg.is_finite()).then(|| why.to_owned()),
            output_angle_deg: number(layer.output_angle_deg),
            error_angle_deg: number(layer.error_angle_deg),
        }
    }
}

impl Step {
    /// The record of a step that took the time `took` and updated the weights at these rates.
    pub fn new(outcome: &Outcome, took: Duration, rate: Rate) -> Self {
        // A duration of zero would make the speed infinite, and lose the number of samples.
        let seconds = took.max(Duration::from_nanos(1)).as_secs_f64();
        let stages = outcome.stages.iter().enumerate().map(|(stage, done)| StageTrace {
            stage,
            compute_s: Some(done.compute.as_secs_f64()),
            wait_s: Some(done.wait.as_secs_f64()),
            send_s: Some(done.send.as_secs_f64()),
            bytes_forward: done.bytes_forward,
            bytes_backward: done.bytes_backward,
            bytes_split: done.bytes_split,
            underflow_forward: done.underflow.activations,
            underflow_backward: done.underflow.error_signals,
            underflow_split: done.underflow.layer_values,
        });
        let backward = outcome.backward.iter().map(|(stage, done)| BackwardTrace {
            stage: *stage as usize,
            compute_s: Some(done.compute.as_secs_f64()),
            wait_s: Some(done.wait.as_secs_f64()),
            send_s: Some(done.send.as_secs_f64()),
            bytes_split: done.bytes_split,
            underflow_split: done.underflow.error_signals,
        });
        let layers = outcome.stages.iter().flat_map(|done| &done.layers).map(LayerTrace::from);
        Self {
            step: outcome.step,
            epoch: outcome.epoch,
            samples: Some(outcome.samples as u64),
            loss: Some(outcome.loss),
            accuracy: Some(outcome.top1),
            images_per_s: Some(outcome.samples as f64 / seconds),
            lr: Some(rate.forward),
            lr_b: rate.backward,
            seconds: Some(seconds),
            stages: stages.collect(),
            backward: backward.collect(),
            layers: layers.collect(),
        }
    }

    /// The samples of the step's minibatch.
    pub fn samples(&self) -> u64 {
        let told = || (self.images_per_s.unwrap_or(0.0) * self.seconds.unwrap_or(0.0)).round() as u64;
        self.samples.unwrap_or_else(told)
    }

    /// The step's duration.
    pub fn took(&self) -> Duration {
        duration(self.seconds)
    }
}

/// A number of seconds as a duration; zero without a number.
pub fn duration(seconds: Option<f64>) -> Duration {
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::control::StepDone;
    use proto::microbatch::Phase;

    #[test]
    fn a_layer_without_an_angle_says_why() {
        let measure = |angle_deg, norm_ratio, norm| LayerMeasure {
            name: "fc".into(),
            angle_deg,
            norm_ratio,
            norm,
            difference: 1.0,
            split: false,
            output_angle_deg: f64::NAN,
            error_angle_deg: f64::NAN,
        };
        for (measure, why) in [
            (measure(90.0, 1.0, 1.0), None),
            (measure(f64::NAN, 0.0, 1.0), Some("B is zero")),
            (measure(f64::NAN, f64::INFINITY, 0.0), Some("W is zero")),
            (measure(f64::NAN, f64::NAN, 0.0), Some("W is zero")),
            (measure(f64::NAN, f64::NAN, f64::NAN), Some("W or B holds numbers that are not finite")),
        ] {
            let trace = LayerTrace::from(&measure);
            assert_eq!(trace.no_angle.as_deref(), why, "{measure:?}");
            let line = serde_json::to_string(&trace).unwrap();
            let read: LayerTrace = serde_json::from_str(&line).unwrap();
            assert_eq!((read.angle_deg, read.no_angle), (why.is_none().then_some(90.0), trace.no_angle));
        }
    }

    #[test]
    fn a_layer_on_two_hosts_has_its_norm_alone_and_the_reason() {
        let nan = f64::NAN;
        let measure = LayerMeasure {
            name: "fc".into(),
            angle_deg: nan,
            norm_ratio: nan,
            norm: 2.0,
            difference: nan,
            split: true,
            output_angle_deg: nan,
            error_angle_deg: nan,
        };
        let line = serde_json::to_string(&LayerTrace::from(&measure)).unwrap();
        let due = r#"{"name":"fc","angle_deg":null,"norm_ratio":null,"norm":2.0,"difference":null,"no_angle":"W and B are on two hosts"}"#;
        assert_eq!(line, due);
        assert_eq!(serde_json::from_str::<LayerTrace>(&line).unwrap().difference, None);
        let together = LayerTrace::from(&LayerMeasure { split: false, ..measure });
        assert!(together.difference.is_some_and(f64::is_nan) && together.no_angle.is_some());
    }

    #[test]
    fn the_bytes_and_times_of_backward_nodes_stand_beside_the_stages() {
        let stage = StepDone { bytes_forward: 8, bytes_split: 12, ..StepDone::nothing(Phase::Train) };
        let compute = Duration::from_millis(250);
        let half = StepDone { compute, bytes_split: 4, ..StepDone::nothing(Phase::Train) };
        let outcome = |backward| Outcome {
            step: 1,
            phase: Phase::Train,
            epoch: 0,
            samples: 2,
            loss: 0.5,
            top1: 0.5,
            top5: 0.5,
            guesses: Vec::new(),
            stages: vec![StepDone::nothing(Phase::Train), stage.clone()],
            backward,
            own: None,
        };
        let step = Step::new(&outcome(vec![(1, half)]), Duration::from_secs(1), Rate::default());
        let json = serde_json::to_value(&step).unwrap();
        let due = r#"[{"stage":1,"compute_s":0.25,"wait_s":0.0,"send_s":0.0,"bytes_split":4}]"#;
        assert_eq!(json["backward"], serde_json::from_str::<serde_json::Value>(due).unwrap());
        assert_eq!(json["stages"][1]["bytes_split"], 12);
        assert!(json["stages"][0].get("bytes_split").is_none(), "a stage that sends nothing to another half");
        assert_eq!(serde_json::from_value::<Step>(json).unwrap(), step);
        let together = Step::new(&outcome(Vec::new()), Duration::from_secs(1), Rate::default());
        assert!(!serde_json::to_string(&together).unwrap().contains("\"backward\""));
    }

    #[test]
    fn every_field_of_a_line_is_documented() {
        let stage = StageTrace {
            stage: 0,
            compute_s: Some(0.5),
            wait_s: Some(0.5),
            send_s: Some(0.5),
            bytes_forward: 1,
            bytes_backward: 1,
            bytes_split: 1,
            underflow_forward: 1,
            underflow_backward: 1,
            underflow_split: 1,
        };
        let backward = BackwardTrace {
            stage: 0,
            compute_s: Some(0.5),
            wait_s: Some(0.5),
            send_s: Some(0.5),
            bytes_split: 1,
            underflow_split: 1,
        };
        let layer = LayerTrace {
            name: "fc".into(),
            angle_deg: Some(45.0),
            norm_ratio: Some(1.0),
            norm: Some(1.0),
            difference: Some(1.0),
            output_angle_deg: Some(45.0),
            error_angle_deg: Some(45.0),
            no_angle: Some("B is zero".into()),
        };
        let step = Step {
            step: 1,
            epoch: 0,
            samples: Some(2),
            loss: Some(0.5),
            accuracy: Some(0.5),
            images_per_s: Some(2.0),
            lr: Some(0.1),
            lr_b: Some(0.1),
            seconds: Some(1.0),
            stages: vec![stage],
            backward: vec![backward],
            layers: vec![layer],
        };
        crate::documented::holds("metrics.jsonl", &[serde_json::json!(step)]);
    }

    #[test]
    fn a_line_has_the_fields_of_every_release_and_null_for_what_is_no_number() {
        let old = r#"{"step":7,"epoch":1,"loss":0.1,"accuracy":0.25,"images_per_s":32.0,"seconds":0.5,"stages":[{"stage":0,"compute_s":0.125,"wait_s":0.0,"send_s":0.25,"bytes_forward":12,"bytes_backward":0}],"layers":[{"name":"fc1","angle_deg":null,"norm_ratio":1.5,"norm":2.0,"difference":3.0}]}"#;
        let step: Step = serde_json::from_str(old).unwrap();
        let now = old.replace(r#""loss""#, r#""samples":null,"loss""#);
        let now = now.replace(r#""seconds""#, r#""lr":null,"lr_b":null,"seconds""#);
        assert_eq!(serde_json::to_string(&step).unwrap(), now);
        assert_eq!((step.samples(), step.took()), (16, Duration::from_millis(500)));
        let infinite = Step { loss: Some(f64::INFINITY), ..step };
        assert!(serde_json::to_string(&infinite).unwrap().contains(r#""loss":null"#));
        let bare: Step = serde_json::from_str(r#"{"step":1,"later":[1]}"#).unwrap();
        assert_eq!((bare.loss, bare.samples(), bare.layers.len()), (None, 0, 0));
    }
}
