//! Tests of an abandoned minibatch: it leaves no trace, and the state stays as of the last update.
//!
//! The bug was found when a coordinator was killed in the middle of a step. The nodes saved their weights as of the
//! last update, but also running statistics that forward passes had moved since. Losses of the resumed run were right
//! to the bit; its evaluations were not.

use crate::common::{NORM, build, conv, id, layer, nesterov, random_f32, state, under, value};
use layer_node::stage::{Stage, Values, Whole};
use proto::microbatch::{MicrobatchId, Phase};
use proto::spec::graph::Op;
use proto::spec::rule::{Coefficients, Primitive, RuleSpec};
use proto::spec::stage::StageSpec;
use tch::Kind;

fn stage() -> Stage {
    let coefficients =
        Coefficients::new(&[(Primitive::Amp, 0.1), (Primitive::Self_, 0.1), (Primitive::Decay, 0.1)]);
    let layers = vec![
        layer("conv", "below", conv(4, 3, 1, 1, true)),
        layer("norm", "conv", NORM),
        layer("bias", "norm", Op::Bias),
    ];
    let layers = under(&RuleSpec::learned("custom", true, coefficients), layers);
    let optimizer = nesterov(0.1, 1e-4);
    let spec = StageSpec {
        optimizer: optimizer.clone(),
        optimizer_backward: optimizer,
        ..StageSpec::alone(layers, vec![value("below", &[3, 5, 5])])
    };
    build(&spec, Kind::Float)
}

fn input(number: u32) -> Values {
    vec![("below".into(), random_f32(&format!("x{number}"), &[4, 3, 5, 5]))]
}

fn step(stage: &mut Stage, number: u32) {
    let outputs = stage.forward(id(0), input(number), Phase::Train, &mut Whole).unwrap();
    stage.error(id(0), outputs, &mut Whole).unwrap();
    stage.gradient(id(0), 4).unwrap();
    stage.update(&mut Whole).unwrap();
}

/// The state stays as of the last update, also where B has not made its part of that update yet.
#[test]
fn an_abandoned_minibatch_does_not_take_the_rest_of_an_update_with_it() {
    let [mut whole, mut torn] = [stage(), stage()];
    step(&mut whole, 1);
    let outputs = torn.forward(id(0), input(1), Phase::Train, &mut Whole).unwrap();
    torn.error(id(0), outputs, &mut Whole).unwrap();
    torn.gradient(id(0), 4).unwrap();
    torn.update_forward().unwrap();
    assert!(torn.is_torn() && torn.owes(), "a state that no step has");
    assert_ne!(state(&mut torn), state(&mut whole));
    torn.forward(MicrobatchId { step: 1, ..id(0) }, input(2), Phase::Train, &mut Whole).unwrap();
    torn.abandon();
    assert!(!torn.is_torn());
    assert_eq!((torn.updates(), state(&mut torn)), (1, state(&mut whole)));
}

#[test]
fn an_abandoned_minibatch_leaves_no_trace() {
    let mut disturbed = stage();
    step(&mut disturbed, 1);
    let before = state(&mut disturbed);
    let outputs = disturbed.forward(id(0), input(2), Phase::Train, &mut Whole).unwrap();
    disturbed.forward(id(1), input(3), Phase::Train, &mut Whole).unwrap();
    disturbed.error(id(0), outputs, &mut Whole).unwrap();
    disturbed.gradient(id(0), 8).unwrap();
    assert_ne!(
        state(&mut disturbed)["norm.running_mean"],
        before["norm.running_mean"],
        "forward passes move it"
    );
    disturbed.abandon();
    assert_eq!(state(&mut disturbed), before);

    let mut undisturbed = stage();
    step(&mut undisturbed, 1);
    step(&mut disturbed, 4);
    step(&mut undisturbed, 4);
    assert_eq!(state(&mut disturbed), state(&mut undisturbed));
}
