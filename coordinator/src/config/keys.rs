//! The table of all keys except those of `[[layer]]`. Unknown keys and wrong values are checked against it,
//! defaults come from it, and the reference prints it.

use std::sync::LazyLock;

use super::allowed::Allowed::Whole;
use super::optimizer::{DecaySchedule, LearningRateSchedule, Optimizer};
use super::rule::keys as rule;
use super::schema::{Key, follows, is};
use super::sections::{Alarm, Data, Links, Metrics, Model, Node, Pipeline, Snapshot, Train};
use super::staleness::Staleness;

/// The keys, in the order of the reference. The keys of a layer's own rule stand under the name [`ANY_LAYER`].
pub(crate) static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let doc = "decides initial weights, shuffling and augmentation";
    let seed = Key { path: "seed".into(), allowed: Whole(0, i64::MAX), unset: is(0), doc };
    let optimizer = |table| {
        [Optimizer::keys(table), LearningRateSchedule::keys(table), DecaySchedule::keys(table)].concat()
    };
    let backward = |mut key: Key| {
        key.unset = if key.name() == "weight_decay" { is(0.0) } else { follows("as `optimizer`") };
        key
    };
    let own = |mut key: Key| {
        key.unset = if key.name() == "name" { follows("`rule.name`") } else { key.unset };
        key
    };
    [
        vec![seed],
        Model::keys("model"),
        rule::of_loss("rule"),
        rule::schedule("rule"),
        rule::of_loss(&format!("{OWN_RULES}{ANY_LAYER}")).into_iter().map(own).collect(),
        Pipeline::keys("pipeline"),
        Staleness::keys("staleness"),
        Train::keys("train"),
        optimizer("optimizer"),
        optimizer("optimizer_b").into_iter().map(backward).collect(),
        Data::keys("data"),
        Snapshot::keys("snapshot"),
        Metrics::keys("metrics"),
        Alarm::keys("alarm"),
        Node::keys("node"),
        Links::keys("network"),
    ]
    .concat()
});

/// The placeholder for a layer's name in the keys of the layer's own rule.
pub(crate) const ANY_LAYER: &str = "LAYER";
/// The prefix of the keys of layers' own rules.
pub(super) const OWN_RULES: &str = "rule.layers.";

/// The row of the key `path`, which may be a key of a layer's own rule.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    let row = |path: &str| KEYS.iter().find(|key| key.path == path);
    match own_rule(path) {
        Some((_, key)) => row(&format!("{OWN_RULES}{ANY_LAYER}.{key}")),
        None => row(path),
    }
}

/// Whether `path` is a key.
pub(crate) fn is_key(path: &str) -> bool {
    find(path).is_some()
}

/// Whether the key takes whole numbers only.
pub(crate) fn is_whole(path: &str) -> bool {
    find(path).is_some_and(|key| matches!(key.allowed, Whole(..)))
}

/// The layer and the key, if `path` is a key of a layer's own rule. Layers' names may contain dots.
pub(super) fn own_rule(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix(OWN_RULES)?.rsplit_once('.')
}

/// Whether keys stand below `path`.
pub(crate) fn is_table(path: &str) -> bool {
    let below = |key: &Key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    let own = path.starts_with(OWN_RULES) && own_rule(path).is_none();
    own || KEYS.iter().any(below)
}
