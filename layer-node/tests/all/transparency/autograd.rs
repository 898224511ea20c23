//! Tests of backprop in one stage against torch's own autograd and optimizer.

use super::training::{DECAY, LR, N, SIZES, initial, input, loss_error, sample, stages};
use crate::common::state;
use crate::networks::residual;
use layer_node::stage::Whole;
use proto::microbatch::{MicrobatchId, Phase};
use proto::spec::graph::{INPUT, LayerSpec};
use proto::spec::input::InputSpec;
use std::collections::BTreeMap;
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Tensor};

/// The residual network, written with torch's functions alone.
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

/// The numbers of `pixels`, in f32.
fn normalised(pixels: &Tensor) -> Tensor {
    let InputSpec { mean, deviation } = input();
    let [mean, deviation] =
        [mean, deviation].map(|of| Tensor::from_slice(&of).to_kind(Kind::Double).view([3, 1, 1]));
    let whole = Tensor::from_slice(&[255.0f64]);
    ((pixels.to_kind(Kind::Double) / whole - mean) / deviation).to_kind(Kind::Float)
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
    let mut optimizer = nn::sgd(0.9, 0.0, 0.0, true).build(&store, LR).unwrap();
    optimizer.set_weight_decay_group(1, DECAY);
    for step in 0..steps {
        optimizer.zero_grad();
        for m in 0..SIZES.len() as u32 {
            let (x, target) = sample(MicrobatchId { step, index: m });
            let y = by_hand(&own, &normalised(&x).to_kind(kind));
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
        for m in (0..SIZES.len() as u32).map(|index| MicrobatchId { step, index }) {
            let (x, target) = sample(m);
            let x = vec![(INPUT.to_owned(), x)];
            let (name, y) = stage.forward(m, x, Phase::Train, &mut Whole).unwrap().remove(0);
            let error = vec![(name, loss_error(&y, &target.to_kind(kind)))];
            assert!(stage.error(m, error, &mut Whole).unwrap().is_empty());
            stage.gradient(m, N).unwrap();
        }
        stage.update(&mut Whole).unwrap();
    }
    state(&mut stage)
}

/// Float64 shows that the differences in float32 are rounding alone.
#[test]
fn backprop_is_what_torch_does() {
    let layers = residual(INPUT, [8, 16], 10);
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
