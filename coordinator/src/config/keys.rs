//! The table of every key: what it takes, what it is by default, and what it is for. It is what unknown
//! keys and wrong values are measured against, where defaults come from, and what the reference prints.

use std::sync::LazyLock;

use proto::lane::MAX_MICROBATCHES;
use proto::spec::stage::MAX_MICROBATCH;

use super::allowed::Allowed::{self, *};
use super::zoo;

/// What a key is when nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unset {
    /// This value, in TOML.
    Is(&'static str),
    /// What these words say; code elsewhere follows them.
    Follows(&'static str),
}

/// One key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// The dotted name.
    pub(crate) path: String,
    /// What it takes.
    pub(crate) allowed: Allowed,
    /// What it is by default.
    pub(crate) unset: Unset,
    /// What it is for, in one line.
    pub(crate) doc: &'static str,
}

/// Every key but those of `[[layer]]`, in the order of the reference. Keys of a layer's own rule stand
/// under the name [`ANY_LAYER`].
pub(crate) static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let key = |(path, allowed, unset, doc): Row| Key { path: String::from(path), allowed, unset, doc };
    let within = |table: &'static str, rows: &'static [Row]| {
        rows.iter().map(move |&row| Key { path: format!("{table}.{}", row.0), ..key(row) })
    };
    let own = |mut row: Key| {
        row.unset = if row.path.ends_with(".name") { Unset::Follows("`rule.name`") } else { row.unset };
        row
    };
    let backward = |mut row: Key| {
        row.unset = if row.path.ends_with(".weight_decay") { Is("0.0") } else { Follows("as `optimizer`") };
        row
    };
    let head = TOP.iter().map(|&row| key(row));
    let rules = within("rule", RULE).chain(within("rule", RULE_COURSE));
    let rules = rules.chain(within("rule.layers.LAYER", RULE).map(own));
    let optimizers = within("optimizer", OPTIMIZER).chain(within("optimizer_b", OPTIMIZER).map(backward));
    head.chain(rules).chain(optimizers).chain(REST.iter().map(|&row| key(row))).collect()
});

/// What stands for a layer's name in the keys of its own rule.
pub(crate) const ANY_LAYER: &str = "LAYER";
/// What the keys of layers' own rules begin with.
pub(super) const OWN_RULES: &str = "rule.layers.";

use Unset::{Follows, Is};

type Row = (&'static str, Allowed, Unset, &'static str);

const SMALL: Allowed = Whole(1, 65_536);
/// Microbatches as many and as large as can be.
const BATCH: Allowed = Whole(1, MAX_MICROBATCHES as i64 * MAX_MICROBATCH as i64);
const MANY: Allowed = Whole(1, i64::MAX);

const TOP: &[Row] = &[
    ("seed", Whole(0, i64::MAX), Is("0"), "decides initial weights, shuffling and augmentation"),
    ("model.name", Words(zoo::NAMES), Is("\"custom\""), "the network; `custom` is the list of `[[layer]]`s"),
    (
        "model.classes",
        Whole(1, 1 << 24),
        Follows("those of `data.kind`; `idx` must say"),
        "values of the network's output",
    ),
    (
        "model.width",
        SMALL,
        Follows("64"),
        "channels of a model's first stage, or features of `mlp`'s; not for `custom`",
    ),
    ("model.image", SMALL, Follows("the data's"), "side of the (square) images"),
    ("model.channels", SMALL, Follows("the data's"), "channels of the images"),
];

const RULE: &[Row] = &[
    ("name", Words(crate::rule::NAMES), Is("\"backprop\""), "how B learns; it decides the defaults below"),
    ("amp", Finite, Follows("the rule's"), "coefficient of −Σ mean(z∘y): B's output should agree with W's"),
    (
        "null",
        Finite,
        Follows("the rule's"),
        "coefficient of Σ mean(r²): what B sends back of y should be small",
    ),
    ("sparse", Finite, Follows("the rule's"), "coefficient of Σ mean(z²): B's output should be small"),
    ("self", Finite, Follows("the rule's"), "coefficient of −ΣW∘B: B should point where W does; reads W"),
    ("decay", Finite, Follows("the rule's"), "coefficient of ΣB²"),
    ("task", Switch, Follows("the rule's"), "whether W's own task gradient is added to B's"),
    (
        "magnitude",
        Words(&["uniform", "redrawn", "fixed"]),
        Follows("`uniform`"),
        "`sign_symmetry`: the size of B's elements is one for all (uSF), drawn anew after every update (brSF), or kept (frSF)",
    ),
    (
        "input",
        Words(&["activation", "noise"]),
        Follows("`noise` for `weight_mirror`"),
        "what amp, null and sparse take for x: what comes in, or the layer's own noise in mirror steps",
    ),
    ("noise", Words(&["normal", "uniform"]), Follows("`normal`"), "the distribution of that noise"),
    ("noise_sigma", Positive, Follows("1"), "its standard deviation"),
    (
        "noise_batch",
        Whole(1, MAX_MICROBATCH as i64),
        Follows("a microbatch's"),
        "samples of noise in a mirror step",
    ),
    (
        "mirror_every",
        Whole(0, i64::MAX),
        Follows("1"),
        "updates between mirror steps; 0 for none once training has begun",
    ),
    ("mirror_delay", Whole(0, 1_000_000), Follows("0"), "mirror steps before the first update"),
    (
        "centering",
        Words(&["none", "sample", "batch"]),
        Follows("`none`"),
        "takes each sample's mean, or each feature's over the microbatch, off the x of amp, null and sparse",
    ),
    (
        "activation",
        Words(&["none", "relu", "tanh"]),
        Follows("`none`"),
        "applied to y and z in amp, null and sparse",
    ),
    (
        "update_noise",
        NotNegative,
        Follows("0"),
        "after each step B also moves by learning rate times normal noise of this deviation",
    ),
];

/// The course of the coefficients, one for all layers.
const RULE_COURSE: &[Row] = &[
    (
        "schedule",
        Words(&["constant", "cosine", "step"]),
        Is("\"constant\""),
        "the course of a factor on the five coefficients",
    ),
    ("warmup_epochs", NotNegative, Is("0.0"), "epochs over which that factor rises linearly"),
    (
        "boundaries",
        List(&Positive),
        Is("[30.0, 60.0, 80.0]"),
        "epochs at which `step` multiplies it by `factor`",
    ),
    ("factor", Positive, Is("0.1"), "what each boundary multiplies it by (`step`)"),
];

const OPTIMIZER: &[Row] = &[
    ("name", Words(&["sgd", "adam"]), Is("\"sgd\""), "what turns a gradient into a step"),
    ("lr", NotNegative, Is("0.1"), "learning rate where the schedule's factor is 1"),
    ("momentum", Fraction, Is("0.9"), "weight of the past (`sgd`)"),
    ("nesterov", Switch, Is("true"), "look one step ahead (`sgd` with momentum)"),
    ("weight_decay", NotNegative, Is("1e-4"), "λ: λ·p is added to the gradient of conv and linear matrices"),
    ("beta1", Fraction, Is("0.9"), "weight of the past in the mean (`adam`)"),
    ("beta2", Fraction, Is("0.999"), "weight of the past in the square (`adam`)"),
    ("eps", Positive, Is("1e-8"), "added to the root (`adam`)"),
    ("schedule", Words(&["constant", "cosine", "step"]), Is("\"cosine\""), "the learning rate's course"),
    ("warmup_epochs", NotNegative, Is("0.0"), "epochs over which the learning rate rises linearly"),
    (
        "boundaries",
        List(&Positive),
        Is("[30.0, 60.0, 80.0]"),
        "epochs at which `step` multiplies by `factor`",
    ),
    ("factor", Positive, Is("0.1"), "what each boundary multiplies the learning rate by (`step`)"),
];

const REST: &[Row] = &[
    (
        "pipeline.stages",
        Stages,
        Is("\"per_layer\""),
        "where the network is cut into stages, one process each",
    ),
    (
        "pipeline.microbatches",
        Whole(1, MAX_MICROBATCHES as i64),
        Is("4"),
        "parts of a minibatch; part of the result",
    ),
    ("pipeline.schedule", Words(SCHEDULES), Is("\"one_f_one_b\""), "the order of a stage's actions"),
    (
        "pipeline.ahead",
        Whole(0, 10_000),
        Is("1"),
        "stages' worth of forwards beyond the network's own; 1 for the loss",
    ),
    (
        "pipeline.recompute",
        Switch,
        Is("false"),
        "keep only a stage's inputs and compute the rest again: less memory, more time, the same bits",
    ),
    ("train.epochs", MANY, Is("4"), "passes over the training data"),
    ("train.batch", BATCH, Is("128"), "samples in a minibatch, in training and evaluation"),
    ("train.max_steps", MANY, Follows("no limit"), "minibatches after which training ends early"),
    (
        "train.remainder",
        Words(&["split", "drop"]),
        Is("\"split\""),
        "an epoch's last, short minibatch: used or left out",
    ),
    ("train.label_smoothing", Fraction, Is("0.0"), "share of the target spread evenly over the classes"),
    ("data.kind", Words(DATA), Is("\"fashion_mnist\""), "the data set's format"),
    ("data.path", Text, Follows("the kind's folder, see above"), "the folder with the data set's files"),
    ("data.limit", MANY, Follows("all"), "training samples used"),
    ("data.test_limit", MANY, Follows("all"), "test samples used"),
    (
        "data.mean",
        List(&Finite),
        Follows("the kind's; `idx`: of the data"),
        "mean per channel, pixels being 0 to 1",
    ),
    (
        "data.std",
        List(&Positive),
        Follows("the kind's; `idx`: of the data"),
        "standard deviation per channel",
    ),
    ("data.augment", Switch, Follows("true for CIFAR"), "shifted crops and flips of the training images"),
    (
        "snapshot.every_steps",
        Whole(0, i64::MAX),
        Is("0"),
        "minibatches between snapshots; 0: only at the end",
    ),
    ("snapshot.keep_last", Whole(2, 1000), Is("2"), "newest snapshots that a node keeps"),
    (
        "snapshot.best",
        Switch,
        Is("false"),
        "snapshots at every epoch's end too, of which the one with the best test accuracy is kept as well",
    ),
    ("metrics.layers_every", MANY, Is("50"), "minibatches between measurements of the layers' B against W"),
    (
        "alarm.kolen_pollack",
        Switch,
        Is("false"),
        "ends the run (exit code 5) when ‖W − B‖ leaves Kolen-Pollack's law: an update was lost or doubled",
    ),
    ("node.threads", Whole(1, 1024), Is("1"), "threads of each local node; part of the result"),
    ("network.connect_deadline", Seconds, Is("10.0"), "how long a node may take to be reached"),
    (
        "network.message_deadline",
        Seconds,
        Is("300.0"),
        "how long a connected node may be silent when it should speak",
    ),
    (
        "network.wire",
        Words(&["f32", "bf16", "f16"]),
        Is("\"f32\""),
        "number format between neighbours; with f16, error signals below 3e-8 become 0, since nothing scales the loss",
    ),
];

const SCHEDULES: &[&str] = &["gpipe", "one_f_one_b"];
const DATA: &[&str] = &["fashion_mnist", "idx", "cifar10", "cifar100"];

/// The table's row for `path`, which may be a key of a layer's own rule.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    let row = |path: &str| KEYS.iter().find(|key| key.path == path);
    match own_rule(path) {
        Some((_, key)) => row(&format!("rule.layers.{ANY_LAYER}.{key}")),
        None => row(path),
    }
}

/// The keys that a rule can have, in `[rule]` and in `[rule.layers.LAYER]`.
pub(super) fn of_rule() -> impl Iterator<Item = &'static str> {
    RULE.iter().map(|row| row.0)
}

/// A layer and a key of its own rule, where `path` is one. Layers' names may have dots.
pub(crate) fn own_rule(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix(OWN_RULES)?.rsplit_once('.')
}
