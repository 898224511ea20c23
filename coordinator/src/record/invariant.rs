//! Kolen-Pollack's law, checked in every step: W and B take the same gradients and decay alike, so their difference
//! c = W − B follows a recursion that no datum enters. An update that was lost or doubled breaks it. Under product
//! feedback alignment R takes the gradients of BᵀW, and c = R − BᵀW follows the same recursion.
//!
//! ```text
//! bufₜ = m·bufₜ₋₁ + λₜ·cₜ₋₁        cₜ = cₜ₋₁ − ηₜ·bufₜ        (Nesterov: − ηₜ·(λₜ·cₜ₋₁ + m·bufₜ))
//! ```
//!
//! The law holds in an asynchronous pipeline too, since W and B of a layer are updated together, and the decay is read from
//! both when they are. A stage with a remedy for its delay has a recursion of its own.
//!
//! The recursion is linear and the same for every element, so ‖cₜ‖ = |aₜ|·‖c₀‖ with a₀ = 1. Where W and B are on two
//! hosts, no process knows ‖c‖, and the law is not checked.

use super::past::Past;
use super::step::{LayerTrace, TWO_HOSTS};
use crate::config::{Config, Staleness};
use crate::model::Network;
use crate::rule::Name;
use crate::run_error::{Cause, RunError};
use proto::spec::graph::LayerSpec;
use std::collections::{BTreeMap, BTreeSet};

/// The relative tolerance of ‖c‖ against the law: some times the rounding of f32.
const TOLERANCE: f64 = 1e-4;
/// The share of ‖c₀‖ and of ‖W‖ below which the law is not checked: rounding is all that is left of the difference.
const SHARE: f64 = 0.01;
/// The share of momentum from before an import that may be left when the law is checked again.
const FADED: f64 = 1e-6;

/// The factor aₜ, step by step, from the newest import on. A start with another optimizer changes the recursion, and
/// not what it has come to.
#[derive(Clone, Debug)]
struct Law {
    past: Past,
    staleness: Staleness,
    /// The delay of the stage in updates.
    delay: f64,
    step: u64,
    difference: f64,
    buffer: f64,
}

impl Law {
    fn new(past: Past, staleness: Staleness, delay: f64) -> Self {
        Self { step: past.imported(), past, staleness, delay, difference: 1.0, buffer: 0.0 }
    }

    /// aₜ for t = `step`, which never goes back.
    fn at(&mut self, step: u64) -> f64 {
        while self.step < step {
            let Some(optimizer) = self.past.optimizer(self.step) else { break };
            let optimizer = self.staleness.at_stage(optimizer.clone(), self.delay);
            let gradient = optimizer.decay(self.step) * self.difference;
            self.buffer = optimizer.method.momentum() * self.buffer + gradient;
            let [of_buffer, of_gradient] = optimizer.direction();
            let direction = of_buffer * self.buffer + of_gradient * gradient;
            self.difference -= optimizer.lr * optimizer.schedule.factor(self.step) * direction;
            self.step += 1;
        }
        self.difference
    }
}

/// The law of every layer under Kolen-Pollack or product feedback alignment.
#[derive(Clone, Debug)]
pub struct Invariant {
    /// A law for each delay of a stage.
    laws: Vec<Law>,
    layers: BTreeMap<String, Watched>,
    /// ‖c‖ in words of each further layer, whose W and B are on two hosts.
    split: Vec<&'static str>,
    /// The updates up to which no measurement counts: those before the newest import, and those in which momentum from
    /// before it still moves W and B apart.
    from: u64,
    /// ‖c₀‖ of each layer, from its first measurement.
    begun: BTreeMap<String, f64>,
}

/// A watched layer.
#[derive(Clone, Copy, Debug)]
struct Watched {
    /// ‖c‖ in words.
    what: &'static str,
    /// The place of its law.
    law: usize,
}

impl Invariant {
    /// The law of `network`'s layers, where `config` asks for it, in a run with this past. `delays` has the delay of the stage
    /// of each layer in updates, by the layer's name, where it is not 0.
    pub fn of(
        config: &Config,
        network: &Network,
        past: Past,
        delays: &BTreeMap<String, f64>,
    ) -> Option<Self> {
        let layers = network.layers.iter();
        let layers = layers.filter(|layer| layer.op.is_weight() && Name::has_law(&layer.rule));
        let (split, whole): (Vec<&LayerSpec>, Vec<&LayerSpec>) = layers.partition(|layer| layer.split);
        let split = split.into_iter().map(in_words).collect();
        let (mut laws, mut watched) = (Vec::<Law>::new(), BTreeMap::new());
        for layer in whole {
            let delay = delays.get(&layer.name).copied().unwrap_or(0.0);
            let law = laws.iter().position(|law| law.delay == delay).unwrap_or_else(|| {
                laws.push(Law::new(past.clone(), config.staleness.clone(), delay));
                laws.len() - 1
            });
            watched.insert(layer.name.clone(), Watched { what: in_words(layer), law });
        }
        config.alarm.kolen_pollack.then(|| Self { split, ..Self::new(&past, laws, watched) })
    }

    fn new(past: &Past, laws: Vec<Law>, layers: BTreeMap<String, Watched>) -> Self {
        let import = past.imported();
        let momenta = past.optimizers.iter().map(|(_, optimizer)| optimizer.method.momentum());
        let momentum = if import > 0 { momenta.fold(0.0, f64::max) } else { 0.0 };
        let fading = if momentum > 0.0 { (FADED.ln() / momentum.ln()).ceil() as u64 } else { 0 };
        Self { laws, layers, split: Vec::new(), from: import + fading, begun: BTreeMap::new() }
    }

    /// Whether the measurements after `step` count.
    pub fn watches(&self, step: u64) -> bool {
        step > self.from
    }

    /// The sentences on where the law is not checked: before an import moved its beginning, and in layers whose W and B
    /// are on two hosts.
    pub fn limits(&self) -> Vec<String> {
        let import = self.laws.first().map_or(0, |law| law.past.imported());
        let begins = (import > 0 && !self.layers.is_empty()).then(|| {
            format!(
                "weights were imported after step {import}: Kolen-Pollack's law begins anew there, and is checked after step {}",
                self.from
            )
        });
        let split = (!self.split.is_empty()).then(|| {
            let (split, plural) = (self.split.len(), if self.split.len() == 1 { "" } else { "s" });
            let unknown: BTreeSet<&str> = self.split.iter().copied().collect();
            let unknown = unknown.into_iter().collect::<Vec<_>>().join(" or ");
            format!(
                "Kolen-Pollack's law is not checked in {split} layer{plural} under pipeline.placement: {TWO_HOSTS}, so no process knows {unknown}"
            )
        });
        begins.into_iter().chain(split).collect()
    }

    /// Checks the measurements after `step`; steps come in ascending order.
    ///
    /// # Errors
    /// A [`Cause::Violation`] that names the layer and the step.
    pub fn check(&mut self, step: u64, layers: &[LayerTrace]) -> Result<(), RunError> {
        if !self.watches(step) {
            return Ok(());
        }
        let laws: Vec<f64> = self.laws.iter_mut().map(|law| law.at(step).abs()).collect();
        for (layer, &Watched { what, law }) in
            layers.iter().filter_map(|layer| Some((layer, self.layers.get(&layer.name)?)))
        {
            // Lines of other releases may lack the difference, and split layers have none.
            let Some(difference) = layer.difference else { continue };
            let law = laws[law];
            let begun = *self.begun.entry(layer.name.clone()).or_insert(difference / law);
            let due = begun * law;
            // The law says nothing if the difference was zero when it began, or has shrunk to zero.
            let checked = due > SHARE * begun.max(layer.norm.unwrap_or(0.0));
            if difference.is_nan() || checked && (difference - due).abs() > TOLERANCE * due {
                return Err(RunError::new(
                    Cause::Violation,
                    format!(
                        "Kolen-Pollack's law is broken in layer '{}' after step {step}: {what} is {difference:.6}, the law says {due:.6}; an update was lost or doubled: go back to a snapshot before it with --resume STEP",
                        layer.name
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// ‖c‖ of a layer in words.
fn in_words(layer: &LayerSpec) -> &'static str {
    match layer.rule.product() {
        Some(_) => "‖R − BᵀW‖",
        None => "‖W − B‖",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use proto::control::LayerMeasure;
    use proto::spec::optimizer::{Method, OptimizerSpec, Schedule, Shape};

    /// W and B of a layer with two weights, and their momentum, under the recursion that is done for both.
    #[derive(Clone)]
    struct Twins {
        weights: [[f64; 2]; 2],
        buffers: [[f64; 2]; 2],
        step: u64,
    }

    impl Twins {
        fn new() -> Self {
            Self { weights: [[3.0, -1.0], [-1.0, 0.5]], buffers: [[0.0; 2]; 2], step: 0 }
        }

        /// Makes one update, on W alone if `lost` is set, and returns ‖W − B‖.
        fn update(&mut self, optimizer: &OptimizerSpec, lost: bool) -> f64 {
            let [of_buffer, of_gradient] = optimizer.direction();
            for side in if lost { 0..1 } else { 0..2 } {
                for (at, rate) in [(0, 1.7), (1, 0.6)] {
                    let task = (self.step as f64 * rate).sin();
                    let gradient = task + optimizer.decay(self.step) * self.weights[side][at];
                    let buffer = &mut self.buffers[side][at];
                    *buffer = optimizer.method.momentum() * *buffer + gradient;
                    let direction = of_buffer * *buffer + of_gradient * gradient;
                    self.weights[side][at] -= optimizer.lr * optimizer.schedule.factor(self.step) * direction;
                }
            }
            self.step += 1;
            let [w, b] = self.weights;
            (w[0] - b[0]).hypot(w[1] - b[1])
        }
    }

    fn optimizer(momentum: f64, nesterov: bool, shape: Shape) -> OptimizerSpec {
        OptimizerSpec {
            method: Method::Sgd { momentum, nesterov },
            weight_decay: 0.05,
            schedule: Schedule { warmup: 5, shape },
            ..OptimizerSpec::sgd(0.1)
        }
    }

    fn layer(difference: f64) -> [LayerTrace; 1] {
        let (name, one) = ("layer".to_owned(), Some(1.0));
        let difference = Some(difference);
        let (no_angle, [output_angle_deg, error_angle_deg]) = (None, [None; 2]);
        [LayerTrace {
            name,
            angle_deg: one,
            norm_ratio: one,
            norm: one,
            difference,
            no_angle,
            output_angle_deg,
            error_angle_deg,
        }]
    }

    fn invariant(past: &Past) -> Invariant {
        of_stage(past, &OFF, 0.0)
    }

    /// The law of a layer whose stage has this delay.
    fn of_stage(past: &Past, staleness: &Staleness, delay: f64) -> Invariant {
        let watched = Watched { what: "‖W − B‖", law: 0 };
        let laws = vec![Law::new(past.clone(), staleness.clone(), delay)];
        Invariant::new(past, laws, BTreeMap::from([("layer".into(), watched)]))
    }

    const OFF: Staleness =
        Staleness { divide_rate: false, shrink: 1.0, look_ahead: false, compensate_spikes: false };

    /// The first of `steps` more updates that breaks the law.
    fn violation(law: &mut Invariant, twins: &mut Twins, steps: u64, lost: Option<u64>) -> Option<u64> {
        (0..steps).find_map(|_| {
            let at = twins.step;
            let Law { past, staleness, delay, .. } = &law.laws[0];
            let optimizer = staleness.at_stage(past.optimizer(at).unwrap().clone(), *delay);
            let difference = twins.update(&optimizer, lost == Some(at));
            law.check(at + 1, &layer(difference)).is_err().then_some(at)
        })
    }

    /// Momentum, with and without Nesterov's.
    const MOMENTA: [(f64, bool); 3] = [(0.0, false), (0.9, false), (0.9, true)];

    #[test]
    fn the_law_holds_under_momentum_and_schedules_and_a_lost_update_breaks_it() {
        for (momentum, nesterov) in MOMENTA {
            for shape in [Shape::Constant, Shape::Cosine { total: 60 }] {
                let past = Past::default().going_on(0, false, optimizer(momentum, nesterov, shape));
                let first = |lost| violation(&mut invariant(&past), &mut Twins::new(), 60, lost);
                assert_eq!((first(None), first(Some(20))), (None, Some(20)));
            }
        }
        let past = Past::default().going_on(0, false, OptimizerSpec::sgd(0.1));
        assert!(invariant(&past).check(1, &layer(f64::NAN)).is_err());
    }

    #[test]
    fn the_law_follows_the_course_of_the_decay() {
        let shapes = [
            Shape::Step { boundaries: vec![15, 30], factor: 0.2 },
            Shape::Cosine { total: 60 },
            Shape::Constant,
        ];
        for (momentum, nesterov) in MOMENTA {
            for shape in &shapes {
                let weight_decay_schedule = Schedule { warmup: 4, shape: shape.clone() };
                let optimizer = optimizer(momentum, nesterov, Shape::Constant);
                let past = |weight_decay_schedule| {
                    let optimizer = OptimizerSpec { weight_decay_schedule, ..optimizer.clone() };
                    Past::default().going_on(0, false, optimizer)
                };
                let scheduled = past(weight_decay_schedule);
                let first = |lost| violation(&mut invariant(&scheduled), &mut Twins::new(), 60, lost);
                assert_eq!((first(None), first(Some(20))), (None, Some(20)), "{shape:?}");
                // A law that does not know the course is broken by a run that follows it.
                let mut ignorant = invariant(&past(Schedule::default()));
                let mut twins = Twins::new();
                let of_run = scheduled.optimizer(0).unwrap();
                let broken = (0..60).any(|step| {
                    let difference = twins.update(of_run, false);
                    ignorant.check(step + 1, &layer(difference)).is_err()
                });
                assert!(broken, "{shape:?}");
            }
        }
    }

    #[test]
    fn the_sentences_name_what_the_rule_compares() {
        let text = "[model]\nname = \"mlp\"\n[rule]\nname = \"product_feedback_alignment\"\n[alarm]\nkolen_pollack = true\n";
        let config = crate::config::parse(text, "c.toml", &[], &Environment::empty()).unwrap();
        let mut network = config.network([1, 8, 8]).unwrap();
        let past = Past::default().going_on(0, false, OptimizerSpec::sgd(0.1));
        let whole = [LayerTrace { name: "fc1".into(), ..layer(f64::NAN)[0].clone() }];
        let broken = Invariant::of(&config, &network, past.clone(), &BTreeMap::new())
            .unwrap()
            .check(1, &whole)
            .unwrap_err();
        assert!(broken.sentence.contains("after step 1: ‖R − BᵀW‖ is NaN"), "{}", broken.sentence);
        network.layers.iter_mut().for_each(|layer| layer.split = layer.op.is_weight());
        let said = Invariant::of(&config, &network, past, &BTreeMap::new()).unwrap().limits();
        assert!(said[0].ends_with("so no process knows ‖R − BᵀW‖"), "{said:?}");
    }

    /// The delay decides the recursion, so a stage is not checked by the law of another one.
    #[test]
    fn the_law_holds_under_the_remedies_for_delays() {
        let all = Staleness { divide_rate: true, shrink: 0.5, look_ahead: true, compensate_spikes: true };
        for staleness in [
            Staleness { divide_rate: true, ..OFF },
            Staleness { look_ahead: true, ..OFF },
            Staleness { compensate_spikes: true, ..OFF },
            all,
        ] {
            let past = Past::default().going_on(0, false, optimizer(0.9, true, Shape::Constant));
            for delay in [0.0, 0.5, 4.0] {
                let first =
                    |lost| violation(&mut of_stage(&past, &staleness, delay), &mut Twins::new(), 60, lost);
                assert_eq!((first(None), first(Some(20))), (None, Some(20)), "{staleness:?} {delay}");
            }
        }
        let past = Past::default().going_on(0, false, optimizer(0.9, true, Shape::Constant));
        let staleness = Staleness { compensate_spikes: true, ..OFF };
        let mut late = of_stage(&past, &staleness, 4.0);
        let mut twins = Twins::new();
        let broken = (1..60)
            .find(|step| late.check(*step, &layer(twins.update(past.optimizer(0).unwrap(), false))).is_err());
        assert!(broken.is_some(), "another stage's steps");
    }

    #[test]
    fn the_law_goes_on_over_another_optimizer() {
        for (momentum, nesterov) in MOMENTA {
            let (shape, mut twins) = (Shape::Step { boundaries: vec![12], factor: 0.5 }, Twins::new());
            let first = optimizer(momentum, nesterov, Shape::Constant);
            let second =
                OptimizerSpec { lr: 0.02, weight_decay: 0.3, ..optimizer(momentum, nesterov, shape) };
            let past = Past::default().going_on(0, false, first);
            assert_eq!(violation(&mut invariant(&past), &mut twins, 10, None), None);
            let past = past.going_on(10, false, second);
            let mut law = invariant(&past);
            // As a resumed run does: the anchor is the first measurement of the history.
            law.check(1, &layer(Twins::new().update(past.optimizer(0).unwrap(), false))).unwrap();
            let mut unharmed = (law.clone(), twins.clone());
            assert_eq!(violation(&mut unharmed.0, &mut unharmed.1, 30, None), None, "{momentum}");
            assert_eq!(violation(&mut law, &mut twins, 30, Some(25)), Some(25), "{momentum}");
        }
    }

    #[test]
    fn imported_weights_begin_the_law_anew_and_a_lost_update_is_seen_again() {
        for (momentum, nesterov) in MOMENTA {
            for sides in [&[0][..], &[1], &[0, 1]] {
                let mut twins = Twins::new();
                // A law that shrinks W − B to less than a hundredth while momentum fades could not be checked again.
                let optimizer = optimizer(momentum, nesterov, Shape::Constant);
                let optimizer = OptimizerSpec { weight_decay: 0.005, ..optimizer };
                let past = Past::default().going_on(0, false, optimizer.clone());
                assert_eq!(violation(&mut invariant(&past), &mut twins, 10, None), None);
                sides.iter().for_each(|side| twins.weights[*side] = [*side as f64 + 0.3, 0.9]);
                let mut stale = twins.clone();
                let mut broken = invariant(&past);
                broken.check(10, &layer(4.0)).unwrap();
                assert!(violation(&mut broken, &mut stale, 9, None).is_some(), "the old law is broken");

                let past = past.going_on(10, true, optimizer);
                let mut law = invariant(&past);
                assert!(!law.watches(10) && law.limits()[0].contains("after step 10"));
                let watched = law.from - 10;
                assert_eq!(watched, if momentum > 0.0 { 132 } else { 0 });
                let mut unharmed = (law.clone(), twins.clone());
                assert_eq!(violation(&mut unharmed.0, &mut unharmed.1, watched + 60, None), None);
                let lost = 10 + watched + 5;
                assert_eq!(violation(&mut law, &mut twins, watched + 60, Some(lost)), Some(lost));
            }
        }
    }

    #[test]
    fn a_difference_of_zero_is_no_violation() {
        let mut law = invariant(&Past::default().going_on(0, false, optimizer(0.9, true, Shape::Constant)));
        for (step, difference) in [(1, 0.0), (2, 0.0), (3, 1e-8)] {
            law.check(step, &layer(difference)).unwrap();
        }
        let unmeasured = LayerTrace { difference: None, ..layer(0.0)[0].clone() };
        law.check(4, &[unmeasured]).unwrap();
    }

    /// Split layers have no difference and raise no alarm; the layers beside them are checked as ever.
    #[test]
    fn layers_on_two_hosts_are_not_checked_and_the_run_says_so() {
        let text =
            "[model]\nname = \"mlp\"\n[rule]\nname = \"kolen_pollack\"\n[alarm]\nkolen_pollack = true\n";
        let config = crate::config::parse(text, "c.toml", &[], &Environment::empty()).unwrap();
        let mut network = config.network([1, 8, 8]).unwrap();
        let past = Past::default().going_on(0, false, OptimizerSpec::sgd(0.1));
        let of = |network: &Network| Invariant::of(&config, network, past.clone(), &BTreeMap::new()).unwrap();
        assert_eq!(of(&network).limits(), [""; 0]);
        let whole = |name: &str| [LayerTrace { name: name.into(), ..layer(f64::NAN)[0].clone() }];
        assert!(of(&network).check(1, &whole("fc1")).is_err());
        network.layers.iter_mut().filter(|layer| layer.name == "fc1").for_each(|layer| layer.split = true);
        let mut law = of(&network);
        let said = law.limits();
        assert!(
            said.len() == 1 && said[0].contains("not checked in 1 layer under pipeline.placement"),
            "{said:?}"
        );
        let split = LayerMeasure {
            name: "fc1".into(),
            angle_deg: f64::NAN,
            norm_ratio: f64::NAN,
            norm: 1.0,
            difference: f64::NAN,
            split: true,
            output_angle_deg: f64::NAN,
            error_angle_deg: f64::NAN,
        };
        law.check(1, &[LayerTrace::from(&split)]).unwrap();
        assert!(law.check(2, &whole("fc2")).is_err());
    }
}
