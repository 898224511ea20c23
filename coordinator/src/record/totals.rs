//! The totals of a run over all its steps, including those of earlier starts.

use super::evaluation::Evaluation;
use super::retention::{Known, keep};
use super::step::{Step, duration};
use proto::control::Keep;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The totals of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTotal {
    /// Payload bytes of activations sent above.
    pub bytes_forward: u64,
    /// Payload bytes of error signals sent below.
    pub bytes_backward: u64,
    /// Time spent computing.
    pub compute: Duration,
}

/// The totals of a run, and its newest measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Training steps done.
    pub steps: u64,
    /// The time of the training steps, without evaluations.
    pub training: Duration,
    /// The number of samples trained on.
    pub samples: u64,
    /// The totals per stage.
    pub stages: Vec<StageTotal>,
    /// The last measured angle between W and B of each layer.
    pub angles: BTreeMap<String, f64>,
    /// The newest evaluation of the whole test set.
    pub evaluation: Option<Evaluation>,
    /// The best evaluation whose snapshot may be kept.
    pub best: Option<Evaluation>,
    /// Updates of the newest snapshot that all nodes have; 0 is the seed.
    pub common: u64,
}

impl Totals {
    /// The totals up to `step`, from all records that the run has written so far; all nodes hold the snapshots
    /// `held`.
    pub fn of(step: u64, held: &BTreeSet<u64>, past: &[Step], evaluations: &[Evaluation]) -> Self {
        let best = Evaluation::best(evaluations, held);
        let mut totals = Self { best, evaluation: evaluations.last().copied(), ..Self::default() };
        past.iter().for_each(|step| totals.add(step));
        Self { steps: step, common: step, ..totals }
    }

    /// Adds a training step.
    pub fn add(&mut self, step: &Step) {
        self.steps = step.step;
        self.training += step.took();
        self.samples += step.samples();
        self.stages.resize(self.stages.len().max(step.stages.len()), StageTotal::default());
        for (total, done) in self.stages.iter_mut().zip(&step.stages) {
            total.bytes_forward += done.bytes_forward;
            total.bytes_backward += done.bytes_backward;
            total.compute += duration(done.compute_s);
        }
        let measured = step.layers.iter().filter_map(|layer| Some((layer.name.clone(), layer.angle_deg?)));
        self.angles.extend(measured);
    }

    /// Adds an evaluation.
    pub fn evaluated(&mut self, evaluation: Evaluation) {
        self.evaluation = Some(evaluation);
        self.best = Evaluation::better(self.best, evaluation);
    }

    /// The snapshots that nodes keep when they write the snapshot after `step`, for epochs of `epoch` minibatches;
    /// the best snapshot is among them if `keep_best` is set.
    pub fn keep(&self, step: u64, epoch: u64, keep_best: bool) -> Keep {
        let step_of = |evaluation: Option<Evaluation>| evaluation.map(|evaluation| evaluation.step);
        let (best, evaluated) = (step_of(self.best), step_of(self.evaluation));
        keep(step, epoch, Known { common: self.common, keep_best, best, evaluated })
    }

    /// Training speed, in images per second.
    pub fn speed(&self) -> f64 {
        let seconds = self.training.as_secs_f64();
        if seconds > 0.0 { self.samples as f64 / seconds } else { 0.0 }
    }

    /// The mean of the layers' angles, in degrees; `None` before the first measurement.
    pub fn mean_angle(&self) -> Option<f64> {
        let count = self.angles.len() as f64;
        (count > 0.0).then(|| self.angles.values().sum::<f64>() / count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{LayerTrace, StageTrace};

    fn step(step: u64, angle: Option<f64>) -> Step {
        let layer = |angle| LayerTrace {
            name: "fc1".into(),
            angle_deg: angle,
            norm_ratio: None,
            norm: None,
            difference: None,
        };
        let stage = StageTrace {
            stage: 0,
            compute_s: Some(0.25),
            wait_s: None,
            send_s: None,
            bytes_forward: 3,
            bytes_backward: 2,
        };
        Step {
            step,
            epoch: 0,
            loss: Some(1.0),
            accuracy: None,
            images_per_s: Some(20.0),
            seconds: Some(0.5),
            stages: vec![stage; 2],
            layers: angle.map(|angle| layer(Some(angle))).into_iter().collect(),
        }
    }

    #[test]
    fn a_run_that_goes_on_has_the_sums_of_one_that_was_never_stopped() {
        let steps = [step(1, Some(90.0)), step(2, None), step(3, Some(80.0)), step(4, None)];
        let (held, mut whole) = ([2].into(), Totals::of(0, &BTreeSet::new(), &[], &[]));
        steps.iter().for_each(|step| whole.add(step));
        let mut resumed = Totals::of(2, &held, &steps[..2], &[]);
        assert_eq!((resumed.mean_angle(), resumed.common), (Some(90.0), 2));
        steps[2..].iter().for_each(|step| resumed.add(step));
        resumed.common = 0;
        assert_eq!(resumed, whole);
        assert_eq!((whole.steps, whole.samples, whole.speed()), (4, 40, 20.0));
        let stage = StageTotal { bytes_forward: 12, bytes_backward: 8, compute: Duration::from_secs(1) };
        assert_eq!((whole.stages, whole.angles["fc1"]), (vec![stage; 2], 80.0));
    }
}
