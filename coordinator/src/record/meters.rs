//! The metrics of a run, for its metrics port.

use super::evaluation::Evaluation;
use super::rates::Rate;
use crate::driver::Outcome;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use proto::control::StepDone;
use proto::metrics::{Family, Shown};
use std::sync::atomic::AtomicU64;

/// A sum of seconds.
type Seconds = Counter<f64, AtomicU64>;
/// A measurement.
type Measured = Gauge<f64, AtomicU64>;
/// The labels of one metric of a family.
type Labels = Vec<(&'static str, String)>;

/// The counters and measurements of this process. The counters begin at zero, also in a resumed run.
#[derive(Debug, Default)]
pub struct Meters {
    shown: Shown,
    steps: Counter,
    images: Counter,
    /// The number of times that the run was rolled back and went on.
    pub restarts: Counter,
    step: Gauge,
    epoch: Gauge,
    loss: Measured,
    accuracy: Measured,
    rate: Family<Labels, Measured>,
    test_loss: Measured,
    test_accuracy: Family<Labels, Measured>,
    compute: Family<Labels, Seconds>,
    wait: Family<Labels, Seconds>,
    send: Family<Labels, Seconds>,
    sent: Family<Labels, Counter>,
    angle: Family<Labels, Measured>,
    norm_ratio: Family<Labels, Measured>,
    output_angle: Family<Labels, Measured>,
    error_angle: Family<Labels, Measured>,
}

impl Meters {
    /// Counters at zero, and no measurements yet.
    pub fn new() -> Self {
        let meters = Self::default();
        for unknown in [&meters.loss, &meters.accuracy, &meters.test_loss] {
            unknown.set(f64::NAN);
        }
        meters.register(&mut meters.shown.hold());
        meters
    }

    /// The handle for the port that shows the metrics.
    pub fn shown(&self) -> Shown {
        self.shown.clone()
    }

    /// Records a training step at these rates, whole: no scrape sees a part of it.
    pub fn trained(&self, outcome: &Outcome, rate: Rate) {
        let _whole = self.shown.hold();
        self.steps.inc();
        self.images.inc_by(outcome.samples as u64);
        self.step.set(outcome.step as i64);
        self.epoch.set(outcome.epoch as i64);
        self.loss.set(outcome.loss);
        self.accuracy.set(outcome.top1);
        for (of, rate) in [("w", Some(rate.forward)), ("b", rate.backward)] {
            show(&self.rate, &vec![("of", of.to_owned())], rate.unwrap_or(f64::NAN));
        }
        for (stage, done) in outcome.stages.iter().enumerate() {
            let stage = vec![("stage", stage.to_string())];
            let split = (done.bytes_split > 0).then_some(("split", done.bytes_split));
            let ring = [("forward", done.bytes_forward), ("backward", done.bytes_backward)];
            self.worked(&stage, done, ring.into_iter().chain(split));
            for layer in &done.layers {
                let labels = vec![("layer", layer.name.clone())];
                show(&self.angle, &labels, layer.angle_deg);
                show(&self.norm_ratio, &labels, layer.norm_ratio);
                show(&self.output_angle, &labels, layer.output_angle_deg);
                show(&self.error_angle, &labels, layer.error_angle_deg);
            }
        }
        for (stage, done) in &outcome.backward {
            let half = vec![("stage", stage.to_string()), ("half", "backward".to_owned())];
            self.worked(&half, done, [("split", done.bytes_split)]);
        }
    }

    /// Adds the times of a node, and the bytes that it sent in each direction.
    fn worked<'a>(&self, node: &Labels, done: &StepDone, sent: impl IntoIterator<Item = (&'a str, u64)>) {
        for (family, time) in
            [(&self.compute, done.compute), (&self.wait, done.wait), (&self.send, done.send)]
        {
            family.of(node).inc_by(time.as_secs_f64());
        }
        for (direction, bytes) in sent {
            let labels: Labels = node.iter().cloned().chain([("direction", direction.to_owned())]).collect();
            self.sent.of(&labels).inc_by(bytes);
        }
    }

    /// Records an evaluation, whole.
    pub fn evaluated(&self, evaluation: &Evaluation) {
        let _whole = self.shown.hold();
        self.test_loss.set(evaluation.loss.unwrap_or(f64::NAN));
        for (top, fraction) in [(1, evaluation.top1), (5, evaluation.top5)] {
            show(&self.test_accuracy, &vec![("top", top.to_string())], fraction.unwrap_or(f64::NAN));
        }
    }

    fn register(&self, all: &mut Registry) {
        all.register("neuropil_build", "The release", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        all.register("neuropil_steps", "Training steps done", self.steps.clone());
        all.register("neuropil_images", "Images trained on", self.images.clone());
        all.register("neuropil_restarts", "Times that the run was rolled back", self.restarts.clone());
        all.register("neuropil_step", "The newest training step, from 1", self.step.clone());
        all.register("neuropil_epoch", "Its epoch, from 0", self.epoch.clone());
        let mut known = |name, help, gauge: &Measured| {
            all.register_collector(Box::new(Known { name, help, gauge: gauge.clone() }));
        };
        known("neuropil_loss", "Its mean loss.", &self.loss);
        known("neuropil_accuracy_ratio", "Fraction of its images whose class came first.", &self.accuracy);
        known("neuropil_test_loss", "Mean loss over the test set.", &self.test_loss);
        let help = "The learning rate of its update: of W, and of B where B takes steps";
        all.register("neuropil_learning_rate", help, self.rate.clone());
        let help = "Fraction of the test set whose class was among the first";
        all.register("neuropil_test_accuracy_ratio", help, self.test_accuracy.clone());
        let help = "Time in which a stage computed, in training";
        all.register_with_unit("neuropil_stage_compute", help, Unit::Seconds, self.compute.clone());
        let help = "Time in which a stage waited for its neighbours, in training";
        all.register_with_unit("neuropil_stage_wait", help, Unit::Seconds, self.wait.clone());
        let help = "Time in which a stage made messages and gave them to its links, in training";
        all.register_with_unit("neuropil_stage_send", help, Unit::Seconds, self.send.clone());
        let help = "Bytes of tensors that a stage sent in training, forward to the stage above, split to its other half";
        all.register_with_unit("neuropil_stage_sent", help, Unit::Bytes, self.sent.clone());
        let help = "The angle between W and B of a layer";
        all.register("neuropil_layer_angle_degrees", help, self.angle.clone());
        all.register("neuropil_layer_norm_ratio", "|B| / |W| of a layer", self.norm_ratio.clone());
        let help = "The angle between the outputs of a layer through W and through B";
        all.register("neuropil_layer_output_angle_degrees", help, self.output_angle.clone());
        let help = "The angle between the error that a layer sends below by B and the one that W would send";
        all.register("neuropil_layer_error_angle_degrees", help, self.error_angle.clone());
    }
}

/// Shows a measurement of a family; one that is not finite goes, so that no older one stands for it.
fn show(family: &Family<Labels, Measured>, labels: &Labels, value: f64) {
    if value.is_finite() {
        family.of(labels).set(value);
    } else {
        family.remove(labels);
    }
}

/// A measurement that is shown once it is known.
#[derive(Debug)]
struct Known {
    name: &'static str,
    help: &'static str,
    gauge: Measured,
}

impl Collector for Known {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        if !self.gauge.get().is_finite() {
            return Ok(());
        }
        let kind = self.gauge.metric_type();
        self.gauge.encode(encoder.encode_descriptor(self.name, self.help, None, kind)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;
    use proto::control::LayerMeasure;
    use proto::microbatch::Phase;
    use std::time::Duration;

    #[test]
    fn a_backward_node_has_its_own_times_and_bytes_beside_those_of_its_stage() {
        let meters = Meters::new();
        let text = || {
            let mut text = String::new();
            encode(&mut text, &meters.shown.hold()).unwrap();
            text
        };
        let done = |seconds, bytes_split| StepDone {
            compute: Duration::from_secs(seconds),
            bytes_split,
            ..StepDone::nothing(Phase::Train)
        };
        let outcome = |bytes, backward| Outcome {
            step: 1,
            phase: Phase::Train,
            epoch: 0,
            samples: 4,
            loss: 0.25,
            top1: 0.5,
            top5: 1.0,
            guesses: Vec::new(),
            stages: vec![done(1, bytes)],
            backward,
            own: None,
        };
        meters.trained(&outcome(0, Vec::new()), Rate::default());
        assert!(!text().contains("split\"") && !text().contains("half=\""), "{}", text());
        meters.trained(&outcome(12, vec![(0, done(2, 4))]), Rate::default());
        for line in [
            "neuropil_stage_compute_seconds_total{stage=\"0\"} 2.0\n",
            "neuropil_stage_compute_seconds_total{stage=\"0\",half=\"backward\"} 2.0\n",
            "neuropil_stage_sent_bytes_total{stage=\"0\",direction=\"split\"} 12\n",
            "neuropil_stage_sent_bytes_total{stage=\"0\",half=\"backward\",direction=\"split\"} 4\n",
        ] {
            assert!(text().contains(line), "{line} in {}", text());
        }
    }

    #[test]
    fn what_is_not_known_or_has_no_value_is_not_shown() {
        let meters = Meters::new();
        let text = || {
            let mut text = String::new();
            encode(&mut text, &meters.shown.hold()).unwrap();
            text
        };
        let samples = ["neuropil_loss ", "neuropil_accuracy_ratio ", "neuropil_test_loss "];
        assert!(samples.iter().all(|sample| !text().contains(sample)), "{}", text());
        let step = |angle_deg: f64| {
            let (name, one) = ("fc".to_owned(), 1.0);
            let layer = LayerMeasure {
                name,
                angle_deg,
                norm_ratio: angle_deg,
                norm: one,
                difference: one,
                split: false,
                output_angle_deg: angle_deg,
                error_angle_deg: f64::NAN,
            };
            let done = StepDone { layers: vec![layer], ..StepDone::nothing(Phase::Train) };
            let (step, phase, epoch, samples, top1, top5) = (1, Phase::Train, 0, 4, 0.5, 1.0);
            Outcome {
                step,
                phase,
                epoch,
                samples,
                loss: 0.25,
                top1,
                top5,
                guesses: Vec::new(),
                stages: vec![done],
                backward: Vec::new(),
                own: None,
            }
        };
        meters.trained(&step(60.0), Rate { forward: 0.5, backward: None });
        let angle = "neuropil_layer_angle_degrees{layer=\"fc\"} 60.0";
        assert!(text().contains("neuropil_loss 0.25\n") && text().contains(angle), "{}", text());
        assert!(text().contains("neuropil_learning_rate{of=\"w\"} 0.5") && !text().contains("of=\"b\""));
        assert!(text().contains("neuropil_layer_output_angle_degrees{layer=\"fc\"} 60.0"), "{}", text());
        assert!(!text().contains("error_angle_degrees{"), "{}", text());
        meters.trained(&step(f64::NAN), Rate { forward: 0.5, backward: Some(0.25) });
        assert!(text().contains("neuropil_learning_rate{of=\"b\"} 0.25"));
        assert!(!text().contains("layer=\"fc\"") && !text().contains("NaN"), "{}", text());
        meters.evaluated(&Evaluation { top1: Some(0.5), ..Evaluation::default() });
        assert!(text().contains("{top=\"1\"} 0.5") && !text().contains("top=\"5\""), "{}", text());
        assert!(!text().contains("neuropil_test_loss "), "{}", text());
    }
}
