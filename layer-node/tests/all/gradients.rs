//! Tests of every kind of layer, alone and in a residual network, against autograd and finite differences in float64.

use crate::common::{NORM, build, conv, id, lane as lane_of, layer, linear, random, value, window};
use crate::networks::residual;
use layer_node::stage::{Stage, Whole};
use proto::lane::Action;
use proto::microbatch::Phase;
use proto::spec::graph::{self, INPUT, LayerSpec, Op, Value};
use proto::spec::optimizer::OptimizerSpec;
use proto::spec::stage::StageSpec;
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// Tensors by name: `conv.weight` of the state; of microbatch m the inputs `x/m`, outputs `y/m`, and the
/// errors `error y/m` and `error x/m`; after a step `gradient conv.weight`.
type Named = BTreeMap<String, Tensor>;

/// The samples of each microbatch, and the lane.
const LANES: [(&[i64], &str); 2] = [(&[4], "F0 E0 G0 U"), (&[2, 4, 3], "F0 F1 E0 G0 F2 E1 G1 E2 G2 U")];

/// The description of a stage, which sends its last layer's value above.
struct Net {
    layers: Vec<LayerSpec>,
    inputs: Vec<Value>,
}

impl Net {
    /// One layer on inputs of `shapes`.
    fn one(op: Op, shapes: &[&[u64]]) -> Self {
        let names: Vec<String> = (0..shapes.len()).map(|i| format!("x{i}")).collect();
        let inputs = names.iter().zip(shapes).map(|(name, shape)| value(name, shape)).collect();
        Self { layers: vec![layer("one", &names.join(" "), op)], inputs }
    }

    /// A small residual network on values named `input`.
    fn residual(input: &str) -> Self {
        Self { layers: residual(input, [4, 6], 5), inputs: vec![value(input, &[3, 7, 6])] }
    }

    /// A stage with plain SGD of learning rate 1: an update moves the trained tensors by −gradient.
    fn stage(&self, kind: Kind) -> Stage {
        let spec = StageSpec {
            optimizer: OptimizerSpec::sgd(1.0),
            ..StageSpec::alone(self.layers.clone(), self.inputs.clone())
        };
        build(&spec, kind)
    }

    /// Random numbers for all given tensors: the state, and the inputs and errors of microbatches.
    fn given(&self, sizes: &[i64]) -> Named {
        let shapes = graph::infer_shapes(&self.inputs, &self.layers).unwrap();
        let y = Value { name: "error y".into(), ..shapes.last().unwrap().clone() };
        let mut given = Named::new();
        for (name, tensor) in self.stage(Kind::Double).state().0 {
            given.insert(name.clone(), random(&name, &tensor.size()));
        }
        for (m, &size) in sizes.iter().enumerate() {
            for Value { name, shape } in self.inputs.iter().chain([&y]) {
                let shape: Vec<i64> =
                    [size].into_iter().chain(shape.iter().map(|&side| side as i64)).collect();
                let name = format!("{name}/{m}");
                given.insert(name.clone(), random(&name, &shape));
            }
        }
        given
    }

    fn values(&self, given: &Named, m: u32) -> Vec<(String, Tensor)> {
        let value =
            |input: &Value| (input.name.clone(), given[&format!("{}/{m}", input.name)].shallow_clone());
        self.inputs.iter().map(value).collect()
    }

    /// The tensors that the stage computes from `given` on `lane`, in `kind`.
    fn ours(&self, given: &Named, lane: &str, kind: Kind) -> Named {
        let lane = lane_of(lane);
        let mut stage = self.loaded(given, kind);
        let mut found = Named::new();
        for &action in lane.actions() {
            match action {
                Action::Forward(m) => {
                    let x = self.values(given, m.index).into_iter().map(|(name, x)| (name, x.to_kind(kind)));
                    let y = stage.forward(m, x.collect(), Phase::Train, &mut Whole).unwrap().remove(0).1;
                    found.insert(format!("y/{}", m.index), y);
                }
                Action::Error(m) => {
                    let error = given[&format!("error y/{}", m.index)].to_kind(kind);
                    let errors = stage
                        .error(m, vec![(self.layers.last().unwrap().name.clone(), error)], &mut Whole)
                        .unwrap();
                    let named = |(name, error)| (format!("error {name}/{}", m.index), error);
                    found.extend(errors.into_iter().map(named));
                }
                Action::Gradient(m) => stage.gradient(m, 9).unwrap(),
                Action::Update(_) => stage.update(&mut Whole).unwrap(),
            }
        }
        for (name, after) in stage.state().0 {
            let (name, value) = match trained(&name) {
                true => (format!("gradient {name}"), &given[&name] - &*after),
                false => (name, after.copy()),
            };
            found.insert(name, value);
        }
        found
    }

    fn loaded(&self, given: &Named, kind: Kind) -> Stage {
        let mut stage = self.stage(kind);
        stage.state().0.iter_mut().for_each(|(name, tensor)| tensor.copy_(&given[name]));
        stage
    }

    /// The same tensors by autograd.
    fn autograd(&self, given: &Named, microbatches: u32) -> Named {
        let mut found = Named::new();
        let leaf = |(name, tensor): (&String, &Tensor)| {
            let differentiated = trained(name) && !name.starts_with("error");
            (name.clone(), tensor.copy().set_requires_grad(differentiated))
        };
        let leaves: Named = given.iter().map(leaf).collect();
        for m in 0..microbatches {
            let mut values: BTreeMap<String, Tensor> = self.values(&leaves, m).into_iter().collect();
            for layer in &self.layers {
                let y = apply(layer, &leaves, &values);
                values.insert(layer.name.clone(), y);
            }
            let y = &values[&self.layers.last().unwrap().name];
            (y * &leaves[&format!("error y/{m}")]).sum(Kind::Double).backward();
            found.insert(format!("y/{m}"), y.detach());
        }
        for (name, tensor) in leaves.into_iter().filter(|(name, _)| !name.starts_with("error")) {
            match name.split_once('/') {
                // No stage needs the error of the network's input.
                Some((INPUT, _)) => None,
                Some(_) => found.insert(format!("error {name}"), tensor.grad()),
                None if trained(&name) => found.insert(format!("gradient {name}"), tensor.grad()),
                None => found.insert(name, tensor),
            };
        }
        found
    }

    /// The same tensors by central differences of the stage's own forward pass, over the one microbatch of `given`.
    fn differences(&self, given: &Named) -> Named {
        const H: f64 = 1e-6;
        let mut stage = self.loaded(given, Kind::Double);
        let mut loss = |values: Vec<(String, Tensor)>, changed: Option<(&String, &Tensor)>| {
            if let Some((name, tensor)) = changed {
                stage.state().0.get_mut(name).unwrap().copy_(tensor);
            }
            let y = stage.forward(id(0), values, Phase::Train, &mut Whole).unwrap().remove(0).1;
            stage.abandon();
            (y * &given["error y/0"]).sum(Kind::Double).double_value(&[])
        };
        let mut found = Named::new();
        for (name, tensor) in given.iter().filter(|(name, _)| trained(name) && !name.starts_with("error")) {
            let (moved, input) = (tensor.copy(), name.split_once('/').map(|(input, _)| input));
            let mut at = |i: i64, value: f64| {
                let _ = moved.view([-1]).get(i).fill_(value);
                let mut values = self.values(given, 0);
                match input {
                    Some(input) => {
                        values.iter_mut().find(|(x, _)| x == input).unwrap().1 = moved.shallow_clone()
                    }
                    None => return loss(values, Some((name, &moved))),
                }
                loss(values, None)
            };
            let slope = |i: i64| {
                let value = tensor.view([-1]).double_value(&[i]);
                let difference = at(i, value + H) - at(i, value - H);
                at(i, value);
                difference / (2.0 * H)
            };
            let slopes: Vec<f64> = (0..tensor.numel() as i64).map(slope).collect();
            let what = if input.is_some() { "error" } else { "gradient" };
            found.insert(format!("{what} {name}"), Tensor::from_slice(&slopes).reshape(tensor.size()));
        }
        found
    }

    /// Compares the three results, and returns the largest deviations of autograd and of the differences.
    fn check(&self, what: &str) -> [f64; 2] {
        let [whole, parts] = LANES.map(|(sizes, lane)| {
            let given = self.given(sizes);
            let (ours, autograd) =
                (self.ours(&given, lane, Kind::Double), self.autograd(&given, sizes.len() as u32));
            assert_eq!(ours.keys().collect::<Vec<_>>(), autograd.keys().collect::<Vec<_>>(), "{what}");
            worst(&format!("{what}, {lane}"), &ours, &autograd, 1e-10)
        });
        let given = self.given(LANES[0].0);
        let mut differences = self.differences(&given);
        differences.retain(|name, _| !name.starts_with(&format!("error {INPUT}/")));
        [whole.max(parts), worst(what, &self.ours(&given, LANES[0].1, Kind::Double), &differences, 1e-6)]
    }
}

/// Whether autograd gives a gradient for `name`: it gives none for running statistics.
fn trained(name: &str) -> bool {
    !name.contains(".running_")
}

/// A layer's output, written with torch's differentiable functions.
fn apply(layer: &LayerSpec, leaves: &Named, values: &Named) -> Tensor {
    let own = |what: &str| leaves.get(&format!("{}.{what}", layer.name));
    let x = &values[&layer.inputs[0]];
    let twice = |side: u32| [i64::from(side); 2];
    match layer.op {
        Op::Conv2d { stride, padding, .. } => {
            x.conv2d(own("weight").unwrap(), own("bias"), twice(stride), twice(padding), [1, 1], 1)
        }
        Op::Linear { .. } => x.linear(own("weight").unwrap(), own("bias")),
        Op::Bias => {
            let b = own("bias").unwrap();
            if x.dim() == 4 { x + b.reshape([1, -1, 1, 1]) } else { x + b }
        }
        Op::BatchNorm { eps, momentum, .. } => {
            let [gamma, beta, mean, var] = ["weight", "bias", "running_mean", "running_var"].map(own);
            x.batch_norm(gamma, beta, mean, var, true, momentum, eps, false)
        }
        Op::Relu => x.relu(),
        Op::MaxPool(w) if w.kernel == 0 => x.amax([2i64, 3].as_slice(), true),
        Op::MaxPool(w) => x.max_pool2d(twice(w.kernel), twice(w.stride), twice(w.padding), [1, 1], false),
        Op::AvgPool(w) if w.kernel == 0 => x.mean_dim([2i64, 3].as_slice(), true, Kind::Double),
        Op::AvgPool(w) => x.avg_pool2d(twice(w.kernel), twice(w.stride), twice(w.padding), false, true, None),
        Op::Flatten => x.reshape([x.size()[0], -1]),
        Op::Add => layer.inputs[1..].iter().fold(x.shallow_clone(), |sum, input| sum + &values[input]),
    }
}

/// The largest |a − b| / max(1, max|b|) over all of `right`, which must not exceed `tolerance`.
fn worst(what: &str, ours: &Named, right: &Named, tolerance: f64) -> f64 {
    let off = |(name, right): (&String, &Tensor)| {
        let ours = &ours[name];
        assert_eq!(ours.size(), right.size(), "{what}: {name}");
        let off = (ours - right).abs().max().double_value(&[]) / right.abs().max().double_value(&[]).max(1.0);
        assert!(off <= tolerance, "{what}: {name} is off by {off:e}");
        off
    };
    right.iter().map(off).fold(0.0, f64::max)
}

/// Every kind of layer on its own, by a name.
fn alone() -> Vec<(&'static str, Net)> {
    let (plane, vector): (&[u64], &[u64]) = (&[2, 6, 5], &[7]);
    let alone = [
        ("conv", conv(3, 3, 1, 1, false), plane),
        ("conv with bias, unpadded", conv(3, 3, 1, 0, true), plane),
        ("conv by 2, a row left over", conv(3, 3, 2, 0, false), plane),
        ("conv by 2, padded, with bias", conv(3, 3, 2, 1, true), plane),
        ("conv by 3, padded by 2", conv(2, 5, 3, 2, false), plane),
        ("conv 1×1", conv(5, 1, 1, 0, false), plane),
        ("conv 1×1 by 2, with bias", conv(5, 1, 2, 0, true), plane),
        ("conv to one pixel", conv(3, 2, 1, 0, true), &[2, 2, 2]),
        ("linear", linear(4, false), vector),
        ("linear with bias", linear(4, true), vector),
        ("bias of planes", Op::Bias, plane),
        ("bias of vectors", Op::Bias, vector),
        ("batch norm of planes", NORM, plane),
        ("batch norm of vectors", NORM, vector),
        ("relu of planes", Op::Relu, plane),
        ("relu of vectors", Op::Relu, vector),
        ("max pool", Op::MaxPool(window(2, 2, 0)), plane),
        ("max pool, windows that overlap, padded", Op::MaxPool(window(3, 2, 1)), plane),
        ("max pool, windows apart", Op::MaxPool(window(2, 3, 0)), plane),
        ("max pool of the whole plane", Op::MaxPool(window(0, 1, 0)), plane),
        ("average pool", Op::AvgPool(window(2, 2, 0)), plane),
        ("average pool, windows that overlap, padded", Op::AvgPool(window(3, 2, 1)), plane),
        ("average pool of the whole plane", Op::AvgPool(window(0, 1, 0)), plane),
        ("flatten", Op::Flatten, plane),
    ];
    let alone = alone.map(|(what, op, shape)| (what, Net::one(op, &[shape])));
    let adds = [("sum of 2", Net::one(Op::Add, &[plane; 2])), ("sum of 3", Net::one(Op::Add, &[vector; 3]))];
    alone.into_iter().chain(adds).collect()
}

#[test]
fn every_layer_alone() {
    for (what, net) in alone() {
        let [autograd, differences] = net.check(what);
        println!("{what}: autograd {autograd:.1e}, finite differences {differences:.1e}");
    }
}

/// Given numbers of bf16, a layer is off by the rounding of what it computes: its output, its errors, and each
/// microbatch's gradient of a matrix. The trained tensors stay f32. The largest difference was 1.1e-2, in the error of a
/// 3×3 convolution on a CPU with AVX2 and without AVX-512.
#[test]
fn every_layer_alone_in_bf16() {
    for (what, net) in alone() {
        for (sizes, lane) in LANES {
            let mut given = net.given(sizes);
            given.values_mut().for_each(|it| *it = it.to_kind(Kind::BFloat16).to_kind(Kind::Double));
            let ours = net.ours(&given, lane, Kind::BFloat16);
            let of_state = |name: &String| !name.contains('/');
            let kept = ours.iter().filter(|(name, _)| !name.contains("gradient") && of_state(name));
            assert!(kept.into_iter().all(|(_, tensor)| tensor.kind() == Kind::Float), "{what}");
            let off = worst(what, &ours, &net.autograd(&given, sizes.len() as u32), 0.018);
            println!("{what}, {lane}: bf16 off by {off:.1e}");
        }
    }
}

#[test]
fn a_value_added_to_itself_gets_both_errors() {
    let mut net = Net::one(Op::Relu, &[&[3]]);
    net.layers.push(layer("sum", "one one x0", Op::Add));
    net.check("a value added to itself");
}

#[test]
fn a_residual_network_as_one_stage() {
    for input in ["below", INPUT] {
        let [autograd, differences] = Net::residual(input).check(input);
        println!("residual on '{input}': autograd {autograd:.1e}, finite differences {differences:.1e}");
    }
}
