//! Tests that backprop over five processes equals a plain autograd loop in one process, to float32 rounding.

use coordinator::config::{Environment, load};
use coordinator::data::{Microbatch, microbatches};
use coordinator::prepare::Prepared;
use e2e::Bench;
use layer_node::settings::Settings;
use layer_node::stage::Stage;
use layer_node::state::checkpoint::Snapshot;
use proto::spec::input::InputSpec;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

const KEYS: &str = r#"
[rule]
name = "backprop"
[train]
epochs = 2
batch = 32
label_smoothing = 0.1
[optimizer]
lr = 0.05
momentum = 0.9
nesterov = true
weight_decay = 1e-3
schedule = "cosine"
[pipeline]
microbatches = 3
stages = "per_layer"
"#;

/// The weights that the nodes draw, by name, as leaves of autograd's graph.
fn drawn(prepared: &Prepared) -> BTreeMap<String, Tensor> {
    let whole = prepared.stages("run", 1, None, None).unwrap();
    let mut weights = BTreeMap::new();
    for spec in &whole {
        let mut stage = Stage::new(spec, Settings::of(spec, Device::Cpu, Kind::Float)).unwrap();
        for (name, tensor) in stage.state().0 {
            let trained = !name.contains("running") && !name.ends_with(".momentum");
            if trained {
                weights.insert(name, tensor.copy().set_requires_grad(true));
            }
        }
    }
    weights
}

/// The bench's network, written by hand.
fn forward(w: &BTreeMap<String, Tensor>, x: &Tensor) -> Tensor {
    let conv = |x: &Tensor, name: &str, stride: i64, padding: i64| {
        let bias = w.get(&format!("{name}.bias"));
        x.conv2d(&w[&format!("{name}.weight")], bias, [stride, stride], [padding, padding], [1, 1], 1)
    };
    let norm = |x: &Tensor, name: &str| {
        let (gamma, beta) = (&w[&format!("{name}.weight")], &w[&format!("{name}.bias")]);
        x.batch_norm(Some(gamma), Some(beta), None::<&Tensor>, None::<&Tensor>, true, 0.1, 1e-5, false)
    };
    let stem = norm(&conv(x, "stem", 1, 1), "stem_norm").relu();
    let branch = conv(&conv(&stem, "branch1", 1, 1).relu(), "branch2", 1, 1);
    let pooled = (branch + stem).max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
    let down = norm(&conv(&pooled, "down", 2, 0), "down_norm").relu();
    down.flatten(1, -1).linear(&w["classes.weight"], w.get("classes.bias"))
}

/// The normalised images of `batch`, of one channel.
fn images(input: &InputSpec, batch: &Microbatch) -> Tensor {
    let table = input.table();
    let numbers: Vec<f32> =
        batch.images.concat().into_iter().map(|pixel| table[usize::from(pixel)]).collect();
    Tensor::from_slice(&numbers).reshape(batch.shape.map(|size| size as i64))
}

#[test]
fn five_processes_learn_what_autograd_learns() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let run = bench.trained(&config, "backprop", &[]);

    let path = format!("data.path='{}'", bench.path("").display());
    let prepared = Prepared::new(load(&config, &[path], &Environment::empty()).unwrap()).unwrap();
    let mut weights = drawn(&prepared);
    let mut momenta: BTreeMap<String, Tensor> =
        weights.iter().map(|(name, w)| (name.clone(), w.zeros_like())).collect();
    let [per_epoch, total] = prepared.minibatches();
    let schedule = prepared.config.optimizer.schedule.spec(per_epoch, total);
    let mut losses = Vec::new();
    for step in 0..total {
        let (epoch, index) = prepared.sampler.locate(step);
        let order = prepared.sampler.epoch(epoch);
        let indices = order.minibatch(index).unwrap();
        let mut mean = 0.0;
        for range in microbatches(indices.len(), 3) {
            let batch = prepared.sets.train.load(epoch, &indices[range]).unwrap();
            let x = images(&prepared.input, &batch);
            let labels =
                Tensor::from_slice(&batch.labels.iter().map(|&label| i64::from(label)).collect::<Vec<_>>());
            let share = batch.labels.len() as f64 / indices.len() as f64;
            let loss = forward(&weights, &x).cross_entropy_loss(
                &labels,
                None::<&Tensor>,
                tch::Reduction::Mean,
                -100,
                0.1,
            ) * share;
            loss.backward();
            mean += loss.double_value(&[]);
        }
        losses.push(mean);
        let lr = 0.05 * schedule.factor(step);
        tch::no_grad(|| {
            for (name, w) in &mut weights {
                let decay = if w.dim() > 1 { 1e-3 } else { 0.0 };
                let gradient = w.grad() + &*w * decay;
                let momentum = momenta.get_mut(name).unwrap();
                *momentum = &*momentum * 0.9 + &gradient;
                let _ = w.subtract_(&((gradient + &*momentum * 0.9) * lr));
                w.zero_grad();
            }
        });
    }

    for (line, loss) in run.metrics().iter().zip(&losses) {
        let ours = line["loss"].as_f64().unwrap();
        assert!((ours - loss).abs() < 1e-4 * loss, "step {}: {ours} is not autograd's {loss}", line["step"]);
    }
    let mut compared = 0;
    for stage in 0..5 {
        let state = run.folder.join(format!("state/stage-{stage}"));
        for (name, view) in Snapshot::open(&state, total).unwrap().tensors().unwrap() {
            let Some(theirs) = weights.get(&name) else { continue };
            let ours = Tensor::from_data_size(view.data(), &theirs.size(), Kind::Float);
            let apart = (&ours - theirs).norm().double_value(&[]) / theirs.norm().double_value(&[]).max(1e-3);
            assert!(apart < 1e-4, "{name} is {apart:e} away from autograd's");
            compared += 1;
        }
    }
    assert_eq!(compared, weights.len());
}
