//! The table of the kinds of layers and of the keys of a `[[layer]]`.

use super::allowed::Allowed::{self, *};

/// The kinds of layers, and what each computes.
pub(super) const KINDS: [(&str, &str); 9] = [
    ("conv2d", "convolution with square windows; has W and B"),
    ("linear", "y = x Wᵀ; takes vectors; has W and B"),
    ("bias", "adds one number per channel"),
    (
        "batch_norm",
        "normalises each channel over the microbatch and its positions, then scales and shifts it",
    ),
    ("relu", "max(0, x)"),
    ("max_pool", "the largest element of each square window"),
    ("avg_pool", "the mean of each square window, or of the whole plane"),
    ("flatten", "one vector per sample"),
    ("add", "the sum of two or more values of one shape"),
];
/// The kinds' names.
pub(super) const NAMES: &[&str] = &{
    let mut names = [""; KINDS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = KINDS[at].0;
        at += 1;
    }
    names
};

/// One key of a `[[layer]]`.
pub(super) struct LayerKey {
    /// Its name.
    pub(super) name: &'static str,
    /// The kinds that have it; empty for all.
    pub(super) kinds: &'static [&'static str],
    /// What it takes.
    pub(super) allowed: Allowed,
    /// What it is by default, in words.
    pub(super) unset: &'static str,
    /// What it is for, in one line.
    pub(super) doc: &'static str,
}

const WINDOW: Allowed = Whole(1, 65_536);
const OUT: Allowed = Whole(1, 1 << 24);

/// Every key of a `[[layer]]`, in the order of the reference.
pub(super) const LAYER_KEYS: [LayerKey; 13] = [
    key("kind", &[], Words(NAMES), "required", "what the layer computes"),
    key("name", &[], Text, "kind and count: `conv1`", "names the layer and its value; unique"),
    key("input", &[], Text, "the layer before", "the value that it takes: a layer's name, or `input`"),
    key("inputs", &[], List(&Text), "`[input]`", "the values that it takes, where there are several"),
    key("out", &["conv2d", "linear"], OUT, "required", "channels or features of its value"),
    key(
        "kernel",
        &["conv2d", "max_pool", "avg_pool"],
        WINDOW,
        "required; `avg_pool`: the plane",
        "side of the window",
    ),
    key("stride", &["conv2d", "max_pool", "avg_pool"], WINDOW, "`1`; pools: `kernel`", "step of the window"),
    key("padding", &["conv2d", "max_pool", "avg_pool"], Whole(0, 65_536), "`0`", "padding on each side"),
    key(
        "bias",
        &["conv2d", "linear"],
        Switch,
        "`conv2d`: `false`; `linear`: `true`",
        "adds one number per channel",
    ),
    key("init_std", &["conv2d", "linear"], Positive, INIT, "deviation of the normal that draws W and B"),
    key("eps", &["batch_norm"], Positive, "`1e-5`", "added to the variance"),
    key("momentum", &["batch_norm"], Share, "`0.1`", "weight of a microbatch in the running statistics"),
    key("gamma", &["batch_norm"], Finite, "`1.0`", "the scale at the start"),
];
const INIT: &str = "√(1/fan_in) / 0.8796; the last `linear`: `0.01`";

const fn key(
    name: &'static str,
    kinds: &'static [&'static str],
    allowed: Allowed,
    unset: &'static str,
    doc: &'static str,
) -> LayerKey {
    LayerKey { name, kinds, allowed, unset, doc }
}
