//! The totals of a run over all its steps, including those of earlier starts.

use super::evaluation::Evaluation;
use super::past::Past;
use super::retention::{Known, keep};
use super::step::{LayerTrace, Step, duration};
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
    /// Payload bytes sent to the stage's backward node.
    pub bytes_split: u64,
    /// Numbers of error signals, and of layers' values for the backward node, that became 0 on the links.
    pub underflow: u64,
    /// Time spent computing.
    pub compute: Duration,
}

/// The totals of one backward node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackwardTotal {
    /// Payload bytes of error signals returned to the stage.
    pub bytes_split: u64,
    /// Numbers of these that became 0 on the links.
    pub underflow: u64,
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
    /// The updates after which the network was cut as it is now; the totals of nodes begin there.
    pub cut: u64,
    /// The time of the training steps since then.
    pub training_of_cut: Duration,
    /// The number of samples trained on since then.
    pub samples_of_cut: u64,
    /// The totals per stage.
    pub stages: Vec<StageTotal>,
    /// The totals per backward node, by its stage.
    pub backward: BTreeMap<usize, BackwardTotal>,
    /// The newest measurement of each layer, with its step.
    pub layers: BTreeMap<String, (u64, LayerTrace)>,
    /// The updates after which weights were imported last; 0 for never.
    pub imported: u64,
    /// The newest evaluation of the whole test set.
    pub evaluation: Option<Evaluation>,
    /// The best evaluation whose snapshot may be kept.
    pub best: Option<Evaluation>,
    /// Updates of the newest snapshot that all nodes have; 0 is the seed.
    pub common: u64,
}

impl Totals {
    /// The totals up to `step`, from all records that the run has written so far. All nodes hold the snapshots
    /// `held`, whose evaluations are those of the weights in them. By the run's `past`, the records of a stage of another
    /// cut are not those of a stage of this one, and the records of other weights than those that were
    /// imported last are not the newest of the present ones.
    pub fn of(
        step: u64,
        held: &BTreeSet<u64>,
        steps: &[Step],
        evaluations: &[Evaluation],
        past: &Past,
    ) -> Self {
        let (imported, cut) = (past.imported(), past.cut_since());
        let best = Evaluation::best(evaluations, held);
        let evaluation = evaluations.last().copied().filter(|newest| newest.step >= imported);
        let mut totals = Self { best, evaluation, imported, cut, ..Self::default() };
        steps.iter().for_each(|step| totals.add(step));
        totals.layers.retain(|_, (measured, _)| *measured > imported);
        Self { steps: step, common: step, ..totals }
    }

    /// Adds a training step.
    pub fn add(&mut self, step: &Step) {
        self.steps = step.step;
        self.training += step.took();
        self.samples += step.samples();
        if step.step > self.cut {
            self.add_nodes(step);
        }
        let measured = step.layers.iter().map(|layer| (layer.name.clone(), (step.step, layer.clone())));
        self.layers.extend(measured);
    }

    /// Adds what a training step says of each node.
    fn add_nodes(&mut self, step: &Step) {
        self.training_of_cut += step.took();
        self.samples_of_cut += step.samples();
        self.stages.resize(self.stages.len().max(step.stages.len()), StageTotal::default());
        for (total, done) in self.stages.iter_mut().zip(&step.stages) {
            total.bytes_forward += done.bytes_forward;
            total.bytes_backward += done.bytes_backward;
            total.bytes_split += done.bytes_split;
            total.underflow += done.underflow_backward + done.underflow_split;
            total.compute += duration(done.compute_s);
        }
        for done in &step.backward {
            let total = self.backward.entry(done.stage).or_default();
            total.bytes_split += done.bytes_split;
            total.underflow += done.underflow_split;
            total.compute += duration(done.compute_s);
        }
    }

    /// Adds an evaluation.
    pub fn evaluated(&mut self, evaluation: Evaluation) {
        self.evaluation = Some(evaluation);
        self.best = Evaluation::better(self.best, evaluation);
    }

    /// The snapshots that nodes keep when they write another one. The last evaluation before it follows the step
    /// `begun`, or none does. The best snapshot is among them if `keep_best` is set.
    pub fn keep(&self, begun: Option<u64>, keep_best: bool) -> Keep {
        let step_of = |evaluation: Option<Evaluation>| evaluation.map(|evaluation| evaluation.step);
        let (best, evaluated) = (step_of(self.best), step_of(self.evaluation));
        keep(Known { common: self.common, keep_best, best, begun, evaluated })
    }

    /// Training speed, in images per second; `None` if no time was spent on training.
    pub fn speed(&self) -> Option<f64> {
        let seconds = self.training.as_secs_f64();
        (seconds > 0.0).then(|| self.samples as f64 / seconds)
    }

    /// The mean of the layers' angles, in degrees; `None` if no layer has an angle.
    pub fn mean_angle(&self) -> Option<f64> {
        let angles: Vec<f64> = self.layers.values().filter_map(|(_, layer)| layer.angle_deg).collect();
        (!angles.is_empty()).then(|| angles.iter().sum::<f64>() / angles.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BackwardTrace, Cut, StageTrace};

    fn step(step: u64, angle: Option<f64>) -> Step {
        let layer = |angle| LayerTrace {
            name: "fc1".into(),
            angle_deg: angle,
            norm_ratio: None,
            norm: None,
            difference: None,
            no_angle: None,
            output_angle_deg: None,
            error_angle_deg: None,
        };
        let stage = StageTrace {
            stage: 0,
            compute_s: Some(0.25),
            wait_s: None,
            send_s: None,
            bytes_forward: 3,
            bytes_backward: 2,
            bytes_split: 5,
            underflow_forward: 9,
            underflow_backward: 1,
            underflow_split: 2,
        };
        let backward = BackwardTrace {
            stage: 1,
            compute_s: Some(0.5),
            wait_s: None,
            send_s: None,
            bytes_split: 1,
            underflow_split: 1,
        };
        Step {
            step,
            epoch: 0,
            samples: Some(10),
            loss: Some(1.0),
            accuracy: None,
            images_per_s: Some(20.0),
            lr: None,
            lr_b: None,
            seconds: Some(0.5),
            stages: vec![stage; 2],
            backward: vec![backward],
            layers: angle.map(|angle| layer(Some(angle))).into_iter().collect(),
        }
    }

    #[test]
    fn a_run_that_goes_on_has_the_sums_of_one_that_was_never_stopped() {
        let steps = [step(1, Some(90.0)), step(2, None), step(3, Some(80.0)), step(4, None)];
        let (held, mut whole) = ([2].into(), Totals::of(0, &BTreeSet::new(), &[], &[], &Past::default()));
        steps.iter().for_each(|step| whole.add(step));
        let mut resumed = Totals::of(2, &held, &steps[..2], &[], &Past::default());
        assert_eq!((resumed.mean_angle(), resumed.common), (Some(90.0), 2));
        steps[2..].iter().for_each(|step| resumed.add(step));
        resumed.common = 0;
        assert_eq!(resumed, whole);
        assert_eq!((whole.steps, whole.samples, whole.speed()), (4, 40, Some(20.0)));
        let compute = Duration::from_secs(1);
        let stage =
            StageTotal { bytes_forward: 12, bytes_backward: 8, bytes_split: 20, underflow: 12, compute };
        let half = BackwardTotal { bytes_split: 4, underflow: 4, compute: 2 * compute };
        assert_eq!(whole.backward, [(1, half)].into());
        assert_eq!((whole.stages, whole.layers["fc1"].1.angle_deg), (vec![stage; 2], Some(80.0)));
    }

    #[test]
    fn the_nodes_of_a_new_cut_begin_at_nothing_and_the_run_does_not() {
        let steps = [step(1, None), step(2, Some(90.0)), step(3, None)];
        let cut = |stages: &[&str]| {
            let stages = stages.iter().map(|name| (*name).to_owned()).collect();
            Cut { stages, ..Cut::default() }
        };
        let past = Past::default().cut_as(0, cut(&["a", "b", "c"])).cut_as(2, cut(&["a", "b"]));
        let totals = Totals::of(3, &BTreeSet::new(), &steps, &[], &past);
        assert_eq!((totals.samples, totals.training), (30, Duration::from_millis(1500)));
        assert_eq!((totals.samples_of_cut, totals.training_of_cut), (10, Duration::from_millis(500)));
        assert_eq!((totals.stages[0].bytes_forward, totals.backward[&1].bytes_split), (3, 1));
        assert_eq!(totals.mean_angle(), Some(90.0), "a layer stays what it is");
    }

    #[test]
    fn a_measurement_without_an_angle_and_an_import_leave_no_older_angle_standing() {
        let mut steps = [step(1, Some(90.0)), step(2, Some(80.0)), step(3, None), step(4, None)];
        steps[2].layers = vec![LayerTrace { angle_deg: None, ..steps[0].layers[0].clone() }];
        let evaluation = |step| Evaluation { step, top1: Some(0.5), ..Evaluation::default() };
        let evaluations = [evaluation(1), evaluation(2)];
        let import = |step: u64| Past { imports: vec![step], ..Past::default() };
        let of = |imported| Totals::of(4, &[1, 2].into(), &steps, &evaluations, &import(imported));
        assert_eq!((of(0).mean_angle(), of(0).layers["fc1"].0), (None, 3));
        let before = |imported| Totals::of(2, &[1].into(), &steps[..2], &evaluations, &import(imported));
        assert_eq!((before(0).mean_angle(), before(1).mean_angle()), (Some(80.0), Some(80.0)));
        assert_eq!((before(2).mean_angle(), before(2).layers.len()), (None, 0), "of other weights");
        assert_eq!(
            before(2).evaluation,
            Some(evaluation(2)),
            "after the import, as lines before it are dropped"
        );
        assert_eq!((of(3).evaluation, of(3).best), (None, Some(evaluation(1))), "the best has its snapshot");
        assert_eq!(Totals::default().speed(), None);
    }
}
