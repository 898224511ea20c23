//! A valid stage with layers, rules and optimizers of many kinds.

use proto::spec::begin::Begin;
use proto::spec::graph::Value;
use proto::spec::graph::{Init, LayerSpec, Op, Window};
use proto::spec::optimizer::{Method, OptimizerSpec, Schedule, Shape};
use proto::spec::rule::{Alignment, Coefficients, Mirror, Noise, Primitive, RuleSpec};
use proto::spec::stage::StageSpec;
use proto::wire;

pub fn stage() -> wire::Stage {
    let method = Method::Sgd { momentum: 0.9, nesterov: true };
    let schedule = Schedule { warmup: 2, shape: Shape::Step { boundaries: vec![3, 5], factor: 0.1 } };
    let optimizer = OptimizerSpec {
        method,
        weight_decay: 1e-4,
        clip: 1.0,
        schedule: schedule.clone(),
        weight_decay_schedule: schedule,
        ..OptimizerSpec::sgd(0.1)
    };
    let method = Method::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8 };
    let schedule = Schedule { warmup: 0, shape: Shape::Cosine { total: 9 } };
    let optimizer_backward = OptimizerSpec { method, schedule, ..OptimizerSpec::sgd(0.1) };
    let inputs = vec![Value { name: "input".into(), shape: vec![3, 6, 6] }];
    StageSpec {
        run: "run".into(),
        stages: 2,
        outputs: vec!["norm".into(), "classes".into()],
        optimizer,
        optimizer_backward,
        seed: 1,
        max_microbatch: 4,
        max_microbatches: 2,
        begin: Some(Begin { run: "other".into(), updates: 3, optimizer: true, backward_is_weight: true }),
        keep_snapshots: 2,
        loss_scale: 1024.0,
        ..StageSpec::alone(layers(), inputs)
    }
    .into()
}

fn layers() -> Vec<LayerSpec> {
    let mirror = Mirror { noise: Noise::Uniform, sigma: 1.0, batch: 8, every: 1, delay: 4 };
    let learned = RuleSpec::Learned {
        name: "custom".into(),
        task: true,
        coefficients: Coefficients::new(&[(Primitive::Amp, 1e-3)]),
        alignment: Alignment {
            mirror: Some(mirror),
            update_noise: 0.1,
            per_position: true,
            ..Alignment::default()
        },
    };
    let conv = Op::Conv2d { out: 4, kernel: 3, stride: 1, padding: 1, bias: true, init: Init::FanIn };
    let window = Window { kernel: 2, stride: 2, padding: 0 };
    let linear = Op::Linear { out: 5, bias: false, init: Init::Normal(0.01) };
    let layer = LayerSpec::new;
    vec![
        LayerSpec { rule: learned, ..layer("conv", &["input"], conv) },
        layer("norm", &["conv"], Op::BatchNorm { eps: 1e-5, momentum: 0.1, gamma: 1.0 }),
        layer("relu", &["norm"], Op::Relu),
        layer("sum", &["relu", "norm"], Op::Add),
        layer("max", &["sum"], Op::MaxPool(window)),
        layer("mean", &["max"], Op::AvgPool(Window { kernel: 0, ..window })),
        layer("vector", &["mean"], Op::Flatten),
        layer("classes", &["vector"], linear),
    ]
}
