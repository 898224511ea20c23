//! Tests of doubts: a table of runs that cannot work, and runs that can.

use super::{Doubt, Facts, doubts};
use crate::config::{Config, Environment, load, parse};
use std::path::Path;

/// A small network of three weight layers, for images of 8×8.
const NET: &str = "data.kind = 'idx'\nmodel.classes = 4\nmodel.image = 8\nmodel.channels = 1\ntrain.batch = 20\n\
                   [[layer]]\nkind = 'conv2d'\nout = 4\nkernel = 3\npadding = 1\n[[layer]]\nkind = 'batch_norm'\n\
                   [[layer]]\nkind = 'flatten'\n[[layer]]\nkind = 'linear'\nout = 16\n[[layer]]\nkind = 'relu'\n\
                   [[layer]]\nkind = 'linear'\nout = 4";
/// 200 samples of 4 classes in minibatches of 20.
const FACTS: Facts = Facts { samples: 200, labels: 4, minibatches: 10 };

fn config(net: &str, sets: &str) -> Config {
    let sets: Vec<String> = sets.split_whitespace().map(str::to_owned).collect();
    parse(net, "net.toml", &sets, &Environment::empty()).unwrap_or_else(|why| panic!("{sets:?}: {why}"))
}

fn sentences(config: &Config, facts: Option<&Facts>) -> Vec<String> {
    let network = config.network(config.input_shape().unwrap()).unwrap();
    let found: Vec<Doubt> = doubts(config, Some(&network), facts);
    found.into_iter().map(|doubt| doubt.sentence).collect()
}

#[test]
fn a_run_that_cannot_work_is_doubted_in_one_sentence() {
    let table = [
        (
            "rule.name=kolen_pollack optimizer.weight_decay=0",
            "'optimizer.weight_decay' is 0, so that W − B never shrinks",
        ),
        (
            "rule.layers.conv1.name=kolen_pollack optimizer.weight_decay=0",
            "'optimizer.weight_decay' is 0, so that W",
        ),
        (
            "rule.name=product_feedback_alignment optimizer.weight_decay=0",
            "'optimizer.weight_decay' is 0, so that R − BᵀW never shrinks",
        ),
        ("optimizer.lr=0", "'optimizer.lr' is 0, so that W, biases and norms stay"),
        ("rule.name=symmetric_alignment optimizer_b.lr=0", "'optimizer_b.lr' is 0, so that no B learns"),
        (
            "optimizer.lr=1e5 optimizer.weight_decay=1e-4",
            "'optimizer.lr' times 'optimizer.weight_decay' is 10, and from 1.36 on",
        ),
        (
            "optimizer.lr=1e4 optimizer.lr_batch=2 optimizer.weight_decay=1e-4",
            "'optimizer.lr' times 'optimizer.weight_decay' is 10, and from 1.36 on",
        ),
        (
            "rule.name=symmetric_alignment rule.decay=10 rule.self=20",
            "'optimizer_b.lr' times the decay of B, 2 · 'rule.decay' + 'optimizer_b.weight_decay', is 2, and from 1.36 on",
        ),
        (
            "rule.name=custom rule.decay=10 rule.self=20 optimizer_b.momentum=0 optimizer_b.lr=0.1",
            "is 2, and from 2 on it overshoots",
        ),
        ("rule.name=custom rule.decay=0.1", "nothing in [rule] pulls B to W"),
        ("rule.name=symmetric_alignment rule.decay=0", "nothing in [rule] holds B"),
        (
            "rule.layers.linear1.name=custom rule.layers.linear1.amp=0.1",
            "nothing in [rule.layers.linear1] holds B",
        ),
        (
            "rule.name=symmetric_alignment rule.self=-0.04",
            "'rule.self' is -0.04, and below 0 it drives B away from W",
        ),
        ("rule.name=symmetric_alignment rule.decay=-1", "'rule.decay' is -1, and below 0 it makes B grow"),
        (
            "rule.name=symmetric_alignment rule.self=1e-5 rule.decay=0.1",
            "B of the layer 'conv1' settles near 0.00005 · W, so that the errors below it vanish",
        ),
        (
            "rule.name=weight_mirror rule.amp=1 rule.layers.conv1.name=backprop rule.decay=1e-3",
            "B of the layer 'linear1' settles near 500 · W, so that the errors below it are as many times too large",
        ),
        ("rule.name=weight_mirror rule.noise_sigma=1e-3", "settles near 0.000032 · W"),
        (
            "rule.name=weight_mirror rule.mirror_every=1000",
            "'rule.mirror_every' is 1000, and the run has 40 updates",
        ),
        (
            "rule.name=feedback_alignment rule.self=0.2 rule.decay=0.1",
            "\"feedback_alignment\", whose B stays as it was drawn",
        ),
        (
            "rule.name=feedback_alignment rule.task=true",
            "\"feedback_alignment\", whose B stays as it was drawn",
        ),
        ("optimizer.warmup_epochs=5", "'optimizer.warmup_epochs' is 5, and the run has 4 epochs"),
        (
            "optimizer.warmup_epochs=1 train.max_steps=5",
            "'optimizer.warmup_epochs' is 1, and the run has 0.5 epochs",
        ),
        ("rule.name=symmetric_alignment optimizer_b.warmup_epochs=9", "'optimizer_b.warmup_epochs' is 9"),
        ("rule.name=symmetric_alignment rule.warmup_epochs=9", "'rule.warmup_epochs' is 9"),
        (
            "optimizer.schedule=step",
            "'optimizer.schedule' is \"step\" with a boundary at 30 epochs, and the run has 4",
        ),
        ("optimizer.schedule=step optimizer.boundaries=[1,7]", "a boundary at 7 epochs, and the run has 4"),
        (
            "optimizer.weight_decay_schedule=step optimizer.weight_decay_boundaries=[1,7]",
            "'optimizer.weight_decay_schedule' is \"step\" with a boundary at 7 epochs",
        ),
        ("snapshot.every_steps=50", "'snapshot.every_steps' is 50, and the run has 40 steps"),
        ("pipeline.microbatches=20", "the batch_norm 'batch_norm1' normalises each sample by itself"),
    ];
    for (sets, said) in table {
        let found = sentences(&config(NET, sets), Some(&FACTS));
        assert!(matches!(found.as_slice(), [only] if only.contains(said)), "{sets}: {found:?}");
    }
    let faint = NET.replace("out = 16", "out = 16\ninit_std = 1e-9");
    let found = sentences(&config(&faint, "rule.name=feedback_alignment"), Some(&FACTS));
    assert!(matches!(found.as_slice(), [only] if only.contains("errors below it vanish")), "{found:?}");
    let of_data = [
        (
            Facts { labels: 3, ..FACTS },
            "the network has 4 classes, and the training samples have 3 different labels",
        ),
        (
            Facts { samples: 12, minibatches: 1, ..FACTS },
            "'train.batch' is 20, and there are 12 training samples",
        ),
    ];
    for (facts, said) in of_data {
        let found = sentences(&config(NET, ""), Some(&facts));
        assert!(matches!(found.as_slice(), [only] if only.contains(said)), "{found:?}");
    }
    let one = NET.replace("out = 4\n", "out = 1\n").replace("classes = 4", "classes = 1");
    let one = format!("{}1", one.strip_suffix('4').unwrap());
    let found = sentences(&config(&one, ""), Some(&Facts { labels: 1, ..FACTS }));
    assert!(matches!(found.as_slice(), [only] if only.contains("'model.classes' is 1")), "{found:?}");
}

#[test]
fn a_run_that_can_work_is_not_doubted() {
    let plain = [
        "",
        "rule.name=feedback_alignment optimizer_b.lr=0",
        "optimizer_b.lr=0",
        "rule.name=sign_symmetry",
        "rule.name=kolen_pollack",
        "rule.name=product_feedback_alignment",
        "rule.name=product_feedback_alignment rule.ratio=10",
        "rule.name=symmetric_alignment rule.self=0.04 rule.decay=0.02",
        "rule.name=activation_alignment",
        "rule.name=information_alignment",
        "rule.name=weight_mirror",
        "rule.name=weight_mirror rule.per_position=true rule.amp=0.05",
        "optimizer.clip=1",
        "rule.name=custom rule.task=true",
        "rule.name=custom rule.task=true rule.decay=0.1",
        "rule.name=custom rule.null=0.1 rule.self=0.1",
        "rule.name=custom rule.self=0.1 optimizer_b.weight_decay=0.1",
        "rule.name=weight_mirror rule.mirror_every=0 rule.mirror_delay=10",
        "optimizer.warmup_epochs=4 optimizer.schedule=step optimizer.boundaries=[1,3]",
        "optimizer.name=adam optimizer.lr=1e-3 optimizer.weight_decay=1000",
        "pipeline.microbatches=10",
        "train.max_steps=3",
    ];
    for sets in plain {
        let config = config(NET, sets);
        assert_eq!(sentences(&config, Some(&FACTS)), [""; 0], "{sets}");
        assert_eq!(sentences(&config, None), [""; 0], "{sets}");
    }
    let examples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples"));
    for file in ["fashion.toml", "small.toml"] {
        let config = load(&examples.join(file), &[], &Environment::empty()).unwrap();
        let samples = config.data.limit.unwrap_or(60_000);
        let minibatches = samples.div_ceil(config.train.batch as usize) as u64;
        assert_eq!(sentences(&config, Some(&Facts { samples, labels: 10, minibatches })), [""; 0], "{file}");
    }
}
