//! One result, however it is cut: networks in one stage and in many, on every lane, train to the same bits.

use bytes::Bytes;
use layer_node::layer::Settings;
use layer_node::stage::{Stage, Values};
use layer_node::torch;
use proto::graph::{self, INPUT, Init, LayerSpec, Op, Window};
use proto::lane::{Action, Lane, Phase};
use proto::message::Value;
use proto::optimizer::{Method, OptimizerSpec, Schedule};
use proto::rule::{Coefficients, RuleSpec};
use proto::seed;
use proto::stage::StageSpec;
use proto::tensor::TensorData;
use rand_distr::{Distribution, StandardNormal};
use std::collections::BTreeMap;
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Tensor};

/// Samples of the microbatches, so M is 3; one alone takes torch's other convolution.
const SIZES: [i64; 3] = [4, 1, 3];
const N: u32 = 8;
const STEPS: u64 = 3;
const MOMENTUM: f64 = 0.9;
const LR: f64 = 0.05;
const DECAY: f64 = 0.01;
const NORM: Op = Op::BatchNorm { eps: 1e-5, momentum: 0.1, gamma: 1.0 };

fn conv(out: u32, kernel: u32, stride: u32, padding: u32, bias: bool) -> Op {
    Op::Conv2d { out, kernel, stride, padding, bias, init: Init::FanIn }
}

fn linear(out: u32) -> Op {
    Op::Linear { out, bias: true, init: Init::FanIn }
}

fn window(kernel: u32, stride: u32, padding: u32) -> Window {
    Window { kernel, stride, padding }
}

fn layer(name: &str, inputs: &str, op: Op) -> LayerSpec {
    let inputs = inputs.split(' ').map(str::to_owned).collect();
    LayerSpec { name: name.into(), inputs, op, rule: RuleSpec::Backprop }
}

/// A plain convolutional network.
fn plain() -> Vec<LayerSpec> {
    vec![
        layer("conv1", "input", conv(8, 3, 1, 1, true)),
        layer("relu1", "conv1", Op::Relu),
        layer("conv2", "relu1", conv(16, 3, 2, 1, false)),
        layer("norm2", "conv2", NORM),
        layer("relu2", "norm2", Op::Relu),
        layer("pool2", "relu2", Op::MaxPool(window(3, 2, 1))),
        layer("flat", "pool2", Op::Flatten),
        layer("head", "flat", linear(10)),
    ]
}

/// A stem and a block that halves the planes, its skip through a 1×1 convolution.
fn residual() -> Vec<LayerSpec> {
    vec![
        layer("stem", "input", conv(8, 3, 1, 1, false)),
        layer("norm0", "stem", NORM),
        layer("relu0", "norm0", Op::Relu),
        layer("conv1", "relu0", conv(16, 3, 2, 1, false)),
        layer("norm1", "conv1", NORM),
        layer("relu1", "norm1", Op::Relu),
        layer("conv2", "relu1", conv(16, 3, 1, 1, false)),
        layer("norm2", "conv2", NORM),
        layer("down", "relu0", conv(16, 1, 2, 0, false)),
        layer("norm3", "down", NORM),
        layer("sum", "norm2 norm3", Op::Add),
        layer("relu2", "sum", Op::Relu),
        layer("pool", "relu2", Op::AvgPool(window(0, 1, 0))),
        layer("flat", "pool", Op::Flatten),
        layer("head", "flat", linear(10)),
    ]
}

/// Values with up to four consumers, and the network's input needed late.
fn tangled() -> Vec<LayerSpec> {
    vec![
        layer("a", "input", conv(8, 3, 1, 1, false)),
        layer("b", "a", conv(8, 3, 1, 1, false)),
        layer("c", "a b", Op::Add),
        layer("d", "input", conv(8, 1, 1, 0, true)),
        layer("e", "c a a d", Op::Add),
        layer("f", "e", Op::AvgPool(window(2, 2, 0))),
        layer("g", "f", Op::Flatten),
        layer("h", "g", linear(10)),
    ]
}

fn rule(name: &str, task: bool, coefficients: Coefficients) -> RuleSpec {
    RuleSpec::Learned { name: name.into(), task, coefficients, alignment: Default::default() }
}

fn rules() -> [RuleSpec; 5] {
    let none = Coefficients::default();
    let all = Coefficients { amp: 1e-3, null: 1e-4, sparse: 1e-3, self_: 2e-2, decay: 1e-2 };
    [
        RuleSpec::Backprop,
        rule("feedback_alignment", false, none),
        rule("symmetric_alignment", false, Coefficients { self_: 2e-2, decay: 1e-2, ..none }),
        rule("kolen_pollack", true, Coefficients { decay: DECAY / 2.0, ..none }),
        rule("custom", true, all),
    ]
}

/// A way to order the actions of stage `s` of `n`.
type Order = fn(s: u32, n: u32) -> Vec<Action>;

/// F0 F1 F2 E0 G0 E1 G1 E2 G2 U
fn gpipe(_: u32, _: u32) -> Vec<Action> {
    let m = SIZES.len() as u32;
    let back = (0..m).flat_map(|m| [Action::Error(m), Action::Gradient(m)]);
    (0..m).map(Action::Forward).chain(back).chain([Action::Update]).collect()
}

/// The same with all errors sent before the first gradient: F0 F1 F2 E0 E1 E2 G0 G1 G2 U
fn late(_: u32, _: u32) -> Vec<Action> {
    let m = SIZES.len() as u32;
    let all = |action: fn(u32) -> Action| (0..m).map(action);
    all(Action::Forward)
        .chain(all(Action::Error))
        .chain(all(Action::Gradient))
        .chain([Action::Update])
        .collect()
}

/// The last stages F0 F1 E0 G0 F2 E1 G1 E2 G2 U, those below further ahead.
fn one_f_one_b(s: u32, n: u32) -> Vec<Action> {
    let m = SIZES.len() as u32;
    let warm = (n - s + 1).min(m);
    let steady = |i: u32| {
        let next = (warm + i < m).then_some(Action::Forward(warm + i));
        [Action::Error(i), Action::Gradient(i)].into_iter().chain(next)
    };
    (0..warm).map(Action::Forward).chain((0..m).flat_map(steady)).chain([Action::Update]).collect()
}

/// Through bytes and back, as between processes.
fn wire(values: Values) -> Values {
    let through = |(name, tensor): (String, Tensor)| {
        let bytes = torch::bytes_of(&tensor, Kind::Float).unwrap();
        let shape = tensor.size().iter().map(|&side| side as u64).collect();
        let data = TensorData::new(proto::tensor::Kind::F32, shape, vec![bytes]).unwrap();
        (name, torch::tensor_from(&data, Kind::Float, Device::Cpu).unwrap())
    };
    values.into_iter().map(through).collect()
}

/// Normal numbers of the stream `parts`, in f32.
fn random(parts: [&str; 2], shape: &[i64]) -> Tensor {
    let mut rng = seed::rng(7, &parts);
    let mut draw = || -> f64 { StandardNormal.sample(&mut rng) };
    let values: Vec<f32> = (0..shape.iter().product::<i64>()).map(|_| draw() as f32).collect();
    Tensor::from_slice(&values).reshape(shape)
}

/// Microbatch `m` of step `step`, and what its output should have been.
fn sample(step: u64, m: u32) -> (Tensor, Tensor) {
    let (which, size) = (format!("{step}/{m}"), SIZES[m as usize]);
    (random(["x", &which], &[size, 3, 8, 8]), random(["target", &which], &[size, 10]))
}

/// The gradient of Σ (y − target)² / 2N.
fn loss_error(y: &Tensor, target: &Tensor) -> Tensor {
    (y - target) / f64::from(N)
}

fn settings(kind: Kind) -> Settings {
    let method = Method::Sgd { momentum: MOMENTUM, nesterov: true };
    let optimizer = OptimizerSpec { method, lr: LR, weight_decay: DECAY, schedule: Schedule::default() };
    let optimizer_backward = OptimizerSpec { weight_decay: 0.0, ..optimizer.clone() };
    Settings { device: Device::Cpu, kind, seed: 3, optimizer, optimizer_backward }
}

/// The network in stages that begin at layer 0 and at each of `cuts`.
fn stages(layers: &[LayerSpec], cuts: &[usize], kind: Kind) -> Vec<Stage> {
    let input = Value { name: INPUT.into(), shape: vec![3, 8, 8] };
    let values: Vec<Value> =
        std::iter::once(input.clone()).chain(graph::infer_shapes(&[input], layers).unwrap()).collect();
    let bounds: Vec<usize> = [0].iter().chain(cuts).copied().chain([layers.len()]).collect();
    let Settings { seed, optimizer, optimizer_backward, .. } = settings(kind);
    let stage = |(index, ends): (usize, &[usize])| {
        let find = |name: &str| values.iter().find(|value| value.name == name).unwrap().clone();
        let spec = StageSpec {
            run: "transparency".into(),
            incarnation: 0,
            index: index as u32,
            stages: bounds.len() as u32 - 1,
            layers: layers[ends[0]..ends[1]].to_vec(),
            inputs: graph::crossing(layers, ends[0]).into_iter().map(find).collect(),
            outputs: graph::crossing(layers, ends[1]).into_iter().map(str::to_owned).collect(),
            optimizer: optimizer.clone(),
            optimizer_backward: optimizer_backward.clone(),
            seed,
            max_microbatch: N,
            max_microbatches: N,
            wire: proto::tensor::Kind::F32,
            restore: None,
            keep_snapshots: 1,
            recompute: false,
        };
        Stage::new(&spec, settings(kind)).unwrap()
    };
    bounds.windows(2).enumerate().map(stage).collect()
}

/// Runs one step: every stage follows its lane as far as what it waits for has come; the loss answers at
/// once. Returns the network's outputs.
fn step(stages: &mut [Stage], order: Order, step: u64) -> Vec<Tensor> {
    let n = stages.len();
    let lane = |s: usize| Lane::new(Phase::Train, order(s as u32, n as u32)).unwrap();
    let lanes: Vec<Lane> = (0..n).map(lane).collect();
    let mut at = vec![0; n];
    // What waits at the foot of stage s (n: at the loss), and at its head.
    let mut up: BTreeMap<(usize, u32), Values> = BTreeMap::new();
    let mut down: BTreeMap<(usize, u32), Values> = BTreeMap::new();
    for m in 0..SIZES.len() as u32 {
        up.insert((0, m), vec![(INPUT.to_owned(), sample(step, m).0)]);
    }
    let mut outputs = Vec::new();
    while at.iter().zip(&lanes).any(|(&at, lane)| at < lane.actions().len()) {
        let before = at.clone();
        for (s, stage) in stages.iter_mut().enumerate() {
            let Some(&action) = lanes[s].actions().get(at[s]) else { continue };
            match action {
                Action::Forward(m) => {
                    let Some(inputs) = up.remove(&(s, m)) else { continue };
                    let above = wire(stage.forward(m, wire(inputs), Phase::Train).unwrap());
                    if s + 1 == n {
                        let (name, y) = &above[0];
                        down.insert((s, m), vec![(name.clone(), loss_error(y, &sample(step, m).1))]);
                        outputs.push(y.shallow_clone());
                    } else {
                        up.insert((s + 1, m), above);
                    }
                }
                Action::Error(m) => {
                    let Some(errors) = down.remove(&(s, m)) else { continue };
                    let below = wire(stage.error(m, wire(errors)).unwrap());
                    if s > 0 {
                        down.insert((s - 1, m), below);
                    }
                }
                Action::Gradient(m) => stage.gradient(m, N).unwrap(),
                Action::Update => stage.update().unwrap(),
            }
            at[s] += 1;
        }
        assert_ne!(at, before, "the lanes wait for each other");
    }
    outputs
}

fn bits(tensor: &Tensor) -> Bytes {
    torch::bytes_of(&tensor.copy(), Kind::Float).unwrap()
}

/// The state as it is drawn.
fn initial(layers: &[LayerSpec], kind: Kind) -> BTreeMap<String, Tensor> {
    stages(layers, &[], kind)[0].state().0.into_iter().map(|(name, tensor)| (name, tensor.copy())).collect()
}

/// The bits of every tensor of the state, and of every output on the way, after `STEPS` steps.
fn trained(layers: &[LayerSpec], cuts: &[usize], order: Order) -> BTreeMap<String, Bytes> {
    tch::set_num_threads(1);
    let mut stages = stages(layers, cuts, Kind::Float);
    let mut found = BTreeMap::new();
    for now in 0..STEPS {
        let outputs = step(&mut stages, order, now);
        found.extend(outputs.iter().enumerate().map(|(m, y)| (format!("y/{now}/{m}"), bits(y))));
    }
    for stage in &mut stages {
        for (name, tensor) in stage.state().0 {
            assert!(tensor.isfinite().all().int64_value(&[]) == 1, "{name} has left the numbers");
            found.insert(name, bits(tensor));
        }
    }
    found
}

/// All ways to cut `layers` layers into stages.
fn all_cuts(layers: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..1u32 << (layers - 1)).map(move |set| (1..layers).filter(|cut| set >> (cut - 1) & 1 == 1).collect())
}

const ORDERS: [(&str, Order); 3] = [("gpipe", gpipe), ("1F1B", one_f_one_b), ("late G", late)];

/// Trains `layers` in one stage, and cut as `cuts` says on lanes of every order in turn: all to the same
/// bits, under every rule.
fn check(layers: Vec<LayerSpec>, cuts: impl Fn() -> Vec<Vec<usize>>) {
    let mut runs = 0;
    for rule in rules() {
        let layers: Vec<_> =
            layers.iter().map(|spec| LayerSpec { rule: rule.clone(), ..spec.clone() }).collect();
        let uncut = trained(&layers, &[], gpipe);
        let seeds: BTreeMap<_, _> =
            initial(&layers, Kind::Float).into_iter().map(|(name, tensor)| (name, bits(&tensor))).collect();
        let still: Vec<_> = seeds.keys().filter(|name| uncut[*name] == seeds[*name]).collect();
        let fixed = |name: &String| rule.name() == "feedback_alignment" && name.contains("_backward");
        assert!(still.iter().all(|name| fixed(name)), "{} leaves {still:?} as drawn", rule.name());
        for (i, cuts) in cuts().into_iter().enumerate() {
            let (lane, order) = ORDERS[i % ORDERS.len()];
            let cut = trained(&layers, &cuts, order);
            let same = |name: &&String| cut.get(*name) != uncut.get(*name);
            let differ: Vec<_> = uncut.keys().chain(cut.keys()).filter(same).collect();
            assert!(differ.is_empty(), "{} cut at {cuts:?}, {lane}: {differ:?}", rule.name());
            runs += 1;
        }
    }
    println!("{runs} cut runs, all with the bits of the uncut one");
}

#[test]
fn a_plain_network_cut_anywhere() {
    let layers = plain();
    let n = layers.len();
    check(layers, || all_cuts(n).collect());
}

#[test]
fn a_tangled_network_cut_anywhere() {
    let layers = tangled();
    let n = layers.len();
    check(layers, || all_cuts(n).collect());
}

/// Once at every place, and at all places at once, on every order of lanes.
#[test]
fn a_residual_network_cut_anywhere() {
    let layers = residual();
    let n = layers.len();
    let cuts = || (1..n).map(|cut| vec![cut]).chain([(1..n).collect()]);
    check(layers, || cuts().flat_map(|cuts| vec![cuts; ORDERS.len()]).collect());
}

/// The residual network as one would write it without us.
fn by_hand(p: &BTreeMap<String, Tensor>, x: &Tensor) -> Tensor {
    let conv = |name: &str, x: &Tensor, stride: i64, padding: i64| {
        let w = &p[&format!("{name}.weight")];
        x.conv2d(w, None::<&Tensor>, [stride, stride], [padding, padding], [1, 1], 1)
    };
    let norm = |name: &str, x: &Tensor| {
        let own =
            ["weight", "bias", "running_mean", "running_var"].map(|what| p.get(&format!("{name}.{what}")));
        let [gamma, beta, mean, var] = own;
        x.batch_norm(gamma, beta, mean, var, true, 0.1, 1e-5, false)
    };
    let stem = norm("norm0", &conv("stem", x, 1, 1)).relu();
    let branch = norm("norm1", &conv("conv1", &stem, 2, 1)).relu();
    let branch = norm("norm2", &conv("conv2", &branch, 1, 1));
    let skip = norm("norm3", &conv("down", &stem, 2, 0));
    let pooled = (branch + skip).relu().mean_dim([2i64, 3].as_slice(), false, None);
    pooled.linear(&p["head.weight"], Some(&p["head.bias"]))
}

/// Weights and running statistics after `steps` steps of torch's own loop: autograd of the mean loss, and
/// torch's SGD with weight decay on the matrices.
fn torch_loop(start: &BTreeMap<String, Tensor>, kind: Kind, steps: u64) -> BTreeMap<String, Tensor> {
    let store = nn::VarStore::new(Device::Cpu);
    let add = |(name, tensor): (&String, &Tensor)| {
        let path = if tensor.dim() > 1 { store.root().set_group(1) } else { store.root() };
        let added = path.add(&name.replace('.', "/"), tensor.copy(), !name.contains("running"));
        (name.clone(), added)
    };
    let own: BTreeMap<_, _> =
        start.iter().filter(|(name, _)| !name.ends_with(".momentum")).map(add).collect();
    let mut optimizer = nn::sgd(MOMENTUM, 0.0, 0.0, true).build(&store, LR).unwrap();
    optimizer.set_weight_decay_group(1, DECAY);
    for step in 0..steps {
        optimizer.zero_grad();
        for m in 0..SIZES.len() as u32 {
            let (x, target) = sample(step, m);
            let y = by_hand(&own, &x.to_kind(kind));
            ((y - target).square().sum(kind) / f64::from(2 * N)).backward();
        }
        optimizer.step();
    }
    own.into_iter().map(|(name, tensor)| (name, tensor.detach())).collect()
}

/// Backprop in one stage, without the wire.
fn backprop(layers: &[LayerSpec], kind: Kind, steps: u64) -> BTreeMap<String, Tensor> {
    let mut stage = stages(layers, &[], kind).remove(0);
    for step in 0..steps {
        for action in gpipe(0, 1) {
            match action {
                Action::Forward(m) => {
                    let (x, target) = sample(step, m);
                    let x = vec![(INPUT.to_owned(), x.to_kind(kind))];
                    let (name, y) = stage.forward(m, x, Phase::Train).unwrap().remove(0);
                    assert!(
                        stage
                            .error(m, vec![(name, loss_error(&y, &target.to_kind(kind)))])
                            .unwrap()
                            .is_empty()
                    );
                    stage.gradient(m, N).unwrap();
                }
                Action::Update => stage.update().unwrap(),
                Action::Error(_) | Action::Gradient(_) => {}
            }
        }
    }
    stage.state().0.into_iter().map(|(name, tensor)| (name, tensor.copy())).collect()
}

/// The rounding of float32 aside, which float64 shows to be all that there is.
#[test]
fn backprop_is_what_torch_does() {
    let layers = residual();
    for (kind, tolerance) in [(Kind::Float, 1e-5), (Kind::Double, 1e-13)] {
        let ours = backprop(&layers, kind, 5);
        let theirs = torch_loop(&initial(&layers, kind), kind, 5);
        let off = |(name, right): (&String, &Tensor)| {
            let norm = |t: &Tensor| t.to_kind(Kind::Double).norm().double_value(&[]);
            let off = norm(&(&ours[name] - right)) / norm(right);
            assert!(off <= tolerance, "{name} is off by {off:e} in {kind:?}");
            off
        };
        println!("{kind:?}: {:.1e} relative", theirs.iter().map(off).fold(0.0, f64::max));
        assert!(theirs.len() > 20, "{:?}", theirs.keys());
    }
}
