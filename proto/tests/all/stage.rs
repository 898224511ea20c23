//! Tests of stages from the network: a node refuses, in one sentence, each stage that it could not build or that
//! would cost it too much.

use crate::valid_stage;
use proto::spec::stage::StageSpec;
use proto::wire;
use proto::wire::layer_spec::Op;

/// Changes to a valid stage, and the words of the refusal.
const HOSTILE: [(Break, &str); 39] = [
    (|s| s.layers[1].rule = s.layers[0].rule.clone(), "layer 'norm' has a rule, but no weights"),
    (|s| s.layers[0].rule = None, "no rule in a weight layer"),
    (|s| s.precision = 0, "no precision"),
    (|s| rule(s).terms[0].coefficient = f64::NAN, "coefficients must be finite"),
    (|s| rule(s).mirror.as_mut().unwrap().batch = 0, "mirror steps cannot be of 0 samples"),
    (|s| s.layers[2].inputs[0] = "max".into(), "takes 'max', which no layer before it computes"),
    (|s| s.layers[2].name = "conv".into(), "has the name of another value"),
    (|s| s.layers[2].name = "input".into(), "has the name of another value"),
    (|s| s.wire = 4, "bytes are the network's input alone"),
    (|s| s.input = None, "no mean and deviation of the network's input"),
    (|s| _ = input(s).mean.pop(), "an input of 3 channels has 2 means and 3 deviations"),
    (|s| input(s).deviation[1] = -0.5, "cannot be normalised with mean 0 and deviation -0.5"),
    (|s| s.layers[2].name = "a".repeat(1 << 20), "cannot name a layer"),
    (|s| s.layers[4].op = pool(u32::MAX), "has padding 4294967295 beyond half its kernel"),
    (|s| s.inputs[0].shape = vec![1 << 40, 1 << 40, 1 << 40], "no value can be named 'input' with shape"),
    (|s| s.inputs[0].shape = vec![3, 0, 6], "no value can be named 'input' with shape [3, 0, 6]"),
    (|s| s.inputs[0].shape = vec![1; 1 << 20], "no value can be named 'input' with shape"),
    (|s| s.outputs = vec!["norm".into(); 2], "takes and sends every value once"),
    (|s| s.inputs = vec![s.inputs[0].clone(); 2], "takes and sends every value once"),
    (|s| s.outputs = vec!["norm".into(); 1025], "takes 1 values and sends 1025 is too large"),
    (|s| s.inputs = vec![s.inputs[0].clone(); 1025], "takes 1025 values and sends 2 is too large"),
    (|s| s.layers = vec![s.layers[0].clone(); 4097], "a stage of 4097 layers"),
    (|s| s.layers[3].inputs = vec!["norm".into(); 1025], "layer 'sum' takes 1025 values, more than 1024"),
    (|s| s.outputs[1] = "other".into(), "stage 0 cannot send 'other': it does not know it"),
    (|s| steps(s).boundaries = (0..1 << 16).collect(), "at 65536 boundaries"),
    (|s| steps(s).factor = f64::INFINITY, "a schedule cannot multiply by inf"),
    (|s| optimizer(s).weight_decay_schedule = Some(falling(f64::NAN)), "a schedule cannot multiply by NaN"),
    (|s| product(s).ratio = f64::NAN, "cannot work with a ratio of NaN"),
    (|s| product(s).ratio = 1e300, "cannot work with a ratio of 1000000"),
    (|s| product(s).decay = -1.0, "and a decay of -1"),
    (|s| (product(s).ratio, classes(s).out) = (1024.0, 1 << 28), "too large: lower 'rule.ratio'"),
    (|s| (product(s).ratio, classes(s).out) = (1.0, 5000), "a square B of 5000 rows, and more than 4096"),
    (|s| copied(s).backward_is_weight = true, "B of the layer 'classes' cannot begin as its W"),
    (|s| optimizer(s).clip = f64::NAN, "an optimizer cannot work with"),
    (|s| s.loss_scale = 0.0, "a loss scale of 0 is no power of two"),
    (|s| s.loss_scale = 3.0, "a loss scale of 3 is no power of two"),
    (|s| s.loss_scale = f64::INFINITY, "a loss scale of inf is no power of two"),
    (|s| s.begin.as_mut().unwrap().run = String::new(), "from the state of a run that has a name"),
    (|s| s.begin.as_mut().unwrap().run = "r".repeat(1 << 20), "from the state of a run that has a name"),
];

type Break = fn(&mut wire::Stage);

fn rule(stage: &mut wire::Stage) -> &mut wire::Rule {
    stage.layers[0].rule.as_mut().unwrap()
}

fn input(stage: &mut wire::Stage) -> &mut wire::Input {
    stage.input.as_mut().unwrap()
}

fn pool(padding: u32) -> Option<Op> {
    Some(Op::MaxPool(wire::Pool { kernel: 2, stride: 2, padding }))
}

fn optimizer(stage: &mut wire::Stage) -> &mut wire::Optimizer {
    stage.optimizer.as_mut().unwrap()
}

fn falling(factor: f64) -> wire::LearningRate {
    let step = wire::StepDecay { boundaries: vec![1], factor };
    wire::LearningRate { warmup: 0, shape: Some(wire::learning_rate::Shape::Step(step)) }
}

/// The product of the last layer, which gets one. The stage begins from the seed.
fn product(stage: &mut wire::Stage) -> &mut wire::Product {
    stage.begin = None;
    let rule = stage.layers[7].rule.as_mut().unwrap();
    (rule.transport, rule.product) = (false, Some(wire::Product { ratio: 1.0, decay: 0.1 }));
    rule.product.as_mut().unwrap()
}

fn classes(stage: &mut wire::Stage) -> &mut wire::Linear {
    match stage.layers[7].op.as_mut().unwrap() {
        Op::Linear(linear) => linear,
        other => panic!("the valid stage ends with a dense layer, not with {other:?}"),
    }
}

/// The beginning of a stage whose last layer has a product.
fn copied(stage: &mut wire::Stage) -> &mut wire::Begin {
    let begin = stage.begin.clone();
    _ = product(stage);
    stage.begin = begin;
    stage.begin.as_mut().unwrap()
}

fn steps(stage: &mut wire::Stage) -> &mut wire::StepDecay {
    let schedule = optimizer(stage).schedule.as_mut().unwrap();
    match schedule.shape.as_mut().unwrap() {
        wire::learning_rate::Shape::Step(step) => step,
        other => panic!("the valid stage's learning rate falls in steps, not by {other:?}"),
    }
}

#[test]
fn a_product_and_the_course_of_a_decay_cross_the_wire() {
    let mut stage = valid_stage::stage();
    *product(&mut stage) = wire::Product { ratio: 2.5, decay: 0.5 };
    stage.layers[7].rule.as_mut().unwrap().schedule = Some(falling(0.2));
    optimizer(&mut stage).weight_decay_schedule = None;
    let spec = StageSpec::try_from(stage).unwrap();
    let found = spec.layers[7].rule.product().unwrap();
    assert_eq!((found.ratio, found.decay, found.schedule.factor(1)), (2.5, 0.5, 0.2));
    assert!(spec.optimizer.weight_decay_schedule.is_one(), "absent, it is 1");
    let again = StageSpec::try_from(wire::Stage::from(spec.clone())).unwrap();
    assert_eq!(again, spec);
}

#[test]
fn every_hostile_stage_is_refused_in_a_sentence() {
    StageSpec::try_from(valid_stage::stage()).expect("the unbroken stage is valid");
    for (index, (harm, sentence)) in HOSTILE.into_iter().enumerate() {
        let mut broken = valid_stage::stage();
        harm(&mut broken);
        let refusal = StageSpec::try_from(broken).expect_err(sentence).to_string();
        assert!(refusal.contains(sentence) && refusal.len() < 500, "case {index}: {refusal}");
    }
}
