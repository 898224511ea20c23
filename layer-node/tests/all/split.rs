//! Tests of stages whose W and B are two halves: they train to the same bits as together, and neither half has what the
//! other keeps.

use crate::common::{self, build, lane, nesterov, random_f32, slice, under, value};
use crate::networks::{pooled, residual, tangled};
use bytes::Bytes;
use layer_node::layer::{MirrorStep, Shown};
use layer_node::settings::Settings;
use layer_node::stage::{BackwardHalf, OtherHalf, StageError, Whole};
use proto::lane::Action;
use proto::microbatch::{MicrobatchId, Phase};
use proto::spec::graph::{INPUT, LayerSpec};
use proto::spec::optimizer::Schedule;
use proto::spec::rule::{
    Alignment, Centering, Coefficients, Magnitude, Mirror, Noise, Primitive, Product, RuleSpec, Transfer,
};
use proto::spec::stage::{Half, StageSpec};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

/// 1F1B with three microbatches, of which up to two are between F and G.
const LANE: &str = "F0 F1 E0 G0 F2 E1 G1 E2 G2 U";
const SIZES: [i64; 3] = [4, 1, 3];
const N: u32 = 8;
const STEPS: u64 = 3;
const DELAY: u64 = 2;

/// The backward half in the same process, for one microbatch.
struct Near<'a> {
    half: &'a mut BackwardHalf,
    spec: &'a StageSpec,
    m: MicrobatchId,
}

impl Near<'_> {
    fn layer(&mut self, name: &str) -> usize {
        self.half.layers().iter().position(|layer| layer.name() == name).unwrap()
    }
}

/// What a layer shows has the tensors of its parcel, and no other.
fn check(shown: &Shown, parcel: Option<&proto::spec::split::Parcel>) {
    let values = parcel.map_or(&[][..], |parcel| &parcel.content.values);
    let tensors: Vec<&Tensor> = [&shown.x, &shown.y].into_iter().flatten().collect();
    assert_eq!(tensors.len(), values.len(), "{values:?}");
    for (tensor, value) in tensors.iter().zip(values) {
        let shape: Vec<u64> = tensor.size()[1..].iter().map(|&size| size as u64).collect();
        assert_eq!(shape, value.shape, "{}", value.name);
    }
}

impl OtherHalf for Near<'_> {
    fn show(&mut self, layer: &str, shown: Shown) -> Result<(), StageError> {
        let at = self.layer(layer);
        check(&shown, self.spec.crossings()?[at].sample.as_ref());
        self.half.layers()[at].begin(self.m, shown);
        Ok(())
    }

    fn carry(&mut self, layer: &str, error: Tensor) -> Result<Option<Tensor>, StageError> {
        let at = self.layer(layer);
        let crossing = &self.spec.crossings()?[at];
        if crossing.error.is_none() {
            return Ok(None);
        }
        Ok(self.half.layers()[at].error(self.m, error, crossing.returned.is_some())?)
    }

    fn mirror(&mut self, layer: &str, step: MirrorStep, noise: Shown) -> Result<(), StageError> {
        let at = self.layer(layer);
        check(&noise, self.spec.crossings()?[at].noise.as_ref());
        let settings = self.half.settings().clone();
        Ok(self.half.layers()[at].mirror(step, &noise, &settings)?)
    }
}

/// The bits after some steps: outputs, and the tensors of each half.
#[derive(PartialEq, Debug)]
struct Found {
    outputs: Vec<Bytes>,
    forward: BTreeMap<String, Bytes>,
    backward: BTreeMap<String, Bytes>,
}

fn bits(state: BTreeMap<String, &mut Tensor>) -> BTreeMap<String, Bytes> {
    state.into_iter().map(|(name, tensor)| (name, common::bits(tensor))).collect()
}

fn train(spec: &StageSpec, kind: Kind) -> Found {
    let mut stage = build(spec, kind);
    let half = StageSpec { half: Half::Backward, ..spec.clone() };
    let mut backward = BackwardHalf::new(&half, Settings::of(&half, Device::Cpu, kind)).unwrap();
    let split = spec.is_split();
    let mut outputs = Vec::new();
    let nothing = MicrobatchId { step: 0, index: 0 };
    for done in 0..DELAY {
        match split {
            false => stage.align(done, &mut Whole).unwrap(),
            true => stage.align(done, &mut Near { half: &mut backward, spec, m: nothing }).unwrap(),
        }
    }
    for step in 0..STEPS {
        let mut above = BTreeMap::new();
        for &action in lane(LANE).starting_at(step).actions() {
            let m = match action {
                Action::Forward(m) | Action::Error(m) | Action::Gradient(m) => m,
                Action::Update(_) => nothing,
            };
            let mut near = Near { half: &mut backward, spec, m };
            let other: &mut dyn OtherHalf = if split { &mut near } else { &mut Whole };
            match action {
                Action::Forward(m) => {
                    let x = random_f32(&format!("{step}/{}", m.index), &[SIZES[m.index as usize], 3, 8, 8]);
                    let y =
                        stage.forward(m, vec![(INPUT.into(), x.to_kind(kind))], Phase::Train, other).unwrap();
                    outputs.push(common::bits(&y[0].1));
                    above.insert(m, y);
                }
                Action::Error(m) => {
                    let error = above.remove(&m).unwrap().into_iter();
                    let error = error.map(|(name, y)| (name, y / f64::from(N) * spec.loss_scale)).collect();
                    stage.error(m, error, other).unwrap();
                }
                Action::Gradient(m) => {
                    stage.gradient(m, N).unwrap();
                    if split {
                        backward.gradient(m, N).unwrap();
                    }
                }
                Action::Update(_) => update(&mut stage, &mut backward, spec),
            }
        }
    }
    Found { outputs, forward: bits(stage.state().0), backward: bits(backward.state().0) }
}

/// U of both halves. The noise of W's half waits until B's half has stepped, as on a link.
fn update(stage: &mut layer_node::stage::Stage, backward: &mut BackwardHalf, spec: &StageSpec) {
    if !spec.is_split() {
        return stage.update(&mut Whole).unwrap();
    }
    let mut sent = Vec::new();
    stage.update(&mut Queue(&mut sent)).unwrap();
    let mut sent = sent.into_iter().peekable();
    backward
        .update(|layer, settings, updates| {
            let step = MirrorStep::AfterUpdate(updates);
            assert_eq!(sent.peek().is_some_and(|(name, ..)| name == layer.name()), layer.is_due(step));
            match sent.next_if(|(name, ..)| name == layer.name()) {
                Some((_, sent, noise)) => {
                    assert_eq!(sent, step);
                    Ok(layer.mirror(step, &noise, settings)?)
                }
                None => Ok(()),
            }
        })
        .unwrap();
}

/// The noise of an update, in order.
struct Queue<'a>(&'a mut Vec<(String, MirrorStep, Shown)>);

impl OtherHalf for Queue<'_> {
    fn show(&mut self, layer: &str, _: Shown) -> Result<(), StageError> {
        unreachable!("{layer} shows samples in F")
    }

    fn carry(&mut self, layer: &str, _: Tensor) -> Result<Option<Tensor>, StageError> {
        unreachable!("{layer} has errors in E")
    }

    fn mirror(&mut self, layer: &str, step: MirrorStep, noise: Shown) -> Result<(), StageError> {
        self.0.push((layer.to_owned(), step, noise));
        Ok(())
    }
}

/// The rules that do not read W, with every option of theirs.
fn rules() -> Vec<RuleSpec> {
    let mirror = Mirror { noise: Noise::Normal, sigma: 1.0, batch: 5, every: 2, delay: DELAY };
    let coefficients = Coefficients::new(&[
        (Primitive::Amp, 1e-3),
        (Primitive::Null, 1e-4),
        (Primitive::Sparse, 1e-3),
        (Primitive::Decay, 1e-2),
    ]);
    let custom = |task, coefficients, alignment| RuleSpec::Learned {
        name: "custom".into(),
        task,
        coefficients,
        alignment,
    };
    let plain = Alignment::default;
    vec![
        RuleSpec::learned("feedback_alignment", false, Coefficients::default()),
        RuleSpec::learned("kolen_pollack", true, Coefficients::new(&[(Primitive::Decay, 1e-2)])),
        RuleSpec::Product(Product { ratio: 1.0, decay: 1e-2, schedule: Schedule::default() }),
        RuleSpec::Product(Product { ratio: 1.5, decay: 1e-2, schedule: Schedule::default() }),
        custom(false, coefficients, plain()),
        custom(false, Coefficients::new(&[(Primitive::Sparse, 1e-3)]), plain()),
        custom(true, coefficients, Alignment { centering: Centering::Batch, ..plain() }),
        custom(
            false,
            coefficients,
            Alignment {
                centering: Centering::Sample,
                transfer: Transfer::Tanh,
                per_position: true,
                update_noise: 1e-3,
                ..plain()
            },
        ),
        custom(false, coefficients, Alignment { mirror: Some(mirror), ..plain() }),
        custom(
            true,
            coefficients,
            Alignment { mirror: Some(mirror), centering: Centering::Batch, update_noise: 1e-3, ..plain() },
        ),
    ]
}

fn spec(layers: &[LayerSpec], recompute: bool) -> StageSpec {
    let optimizer = nesterov(0.05, 1e-2);
    StageSpec {
        optimizer: optimizer.clone(),
        optimizer_backward: optimizer,
        seed: 3,
        recompute,
        max_microbatch: 4,
        max_microbatches: 3,
        ..slice(layers, value(INPUT, &[3, 8, 8]), 0..layers.len())
    }
}

/// Checks that halves of `whole` train to its bits, with every weight layer split, and with every second one.
fn check_halves(whole: &StageSpec, kind: Kind) {
    let (together, rule) = (train(whole, kind), &whole.layers[0].rule);
    for every in [1, 2] {
        let mut halves = whole.clone();
        let weights = halves.layers.iter_mut().filter(|layer| layer.op.is_weight());
        weights.step_by(every).for_each(|layer| layer.split = true);
        let names: Vec<_> =
            halves.layers.iter().filter(|layer| layer.split).map(|layer| layer.name.clone()).collect();
        let found = train(&halves, kind);
        assert_eq!(found.outputs, together.outputs, "{rule:?} in {kind:?}");
        let of_b = |layer: &String| ["weight_backward", "feedback"].map(|of| format!("{layer}.{of}"));
        let is_b = |name: &String| names.iter().flat_map(of_b).any(|b| name.starts_with(&b));
        assert!(!found.forward.keys().any(is_b), "the host of W has no B");
        assert!(
            found.backward.keys().all(is_b),
            "the host of B has no W, no momentum of W, no bias and no norm"
        );
        let all: BTreeMap<_, _> = found.forward.into_iter().chain(found.backward).collect();
        assert!(all == together.forward, "{rule:?} in {kind:?}");
    }
}

#[test]
fn halves_train_to_the_bits_of_the_whole_and_keep_nothing_of_each_other() {
    for (at, rule) in rules().iter().enumerate() {
        let network = [residual(INPUT, [4, 8], 5), tangled(), pooled()][at % 3].clone();
        let whole = spec(&under(rule, network), at % 2 == 1);
        [Kind::Float, Kind::BFloat16].into_iter().for_each(|kind| check_halves(&whole, kind));
    }
}

/// The errors are 1024 times as large, and the gradients of the task, in W's half and in B's, are as they were; what B
/// learns from x and y has no error in it.
#[test]
fn a_loss_scale_changes_no_bit() {
    let self_ = Coefficients::new(&[(Primitive::Self_, 1e-2), (Primitive::Decay, 1e-2)]);
    let read_w = [
        RuleSpec::Backprop,
        RuleSpec::SignSymmetry { magnitude: Magnitude::Fixed },
        RuleSpec::learned("symmetric_alignment", false, self_),
    ];
    for (at, rule) in rules().iter().chain(&read_w).enumerate() {
        let network = [residual(INPUT, [4, 8], 5), tangled(), pooled()][at % 3].clone();
        let mut whole = spec(&under(rule, network), false);
        whole.optimizer.clip = 0.5;
        for split in [false, true] {
            if rule.reads().weight && split {
                continue;
            }
            whole.layers.iter_mut().for_each(|layer| layer.split = split && layer.op.is_weight());
            let scaled = StageSpec { loss_scale: 1024.0, ..whole.clone() };
            assert!(train(&scaled, Kind::Float) == train(&whole, Kind::Float), "{rule:?}, split: {split}");
        }
    }
}
