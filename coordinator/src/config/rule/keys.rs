//! The keys of `[rule]` and `[rule.layers.LAYER]`. Names and words are those of the types in `proto::spec::rule`.

use proto::spec::limits::{MAX_MICROBATCH, MAX_RATIO};
use proto::spec::rule::{Centering, Input, Magnitude, Noise, Primitive, Transfer};
use serde::Serialize;
use toml::Value;

use crate::config::allowed::Allowed::{self, Number, Switch, Whole, Words};
use crate::config::allowed::{FINITE, NOT_NEGATIVE, POSITIVE, one_of};
use crate::config::optimizer::LearningRateSchedule;
use crate::config::schema::{Key, Unset, follows, is};
use crate::config::typed::tags;
use crate::rule::Name;

/// The keys of a rule.
pub(in crate::config) fn of_loss(table: &str) -> Vec<Key> {
    let (key, of_rule) =
        (|name, takes, unset, doc| Key::new(table, name, takes, unset, doc), || follows("the rule's"));
    let name =
        key("name", one_of::<Name>(), is(Name::Backprop), "how B learns; it decides the defaults below");
    let coefficient = |one: Primitive| key(one.word(), FINITE, of_rule(), one.facts().doc);
    let options = vec![
        key("task", Switch, of_rule(), "whether W's own task gradient is added to B's"),
        key("ratio", RATIO, follows("`1`"), ROWS),
        key("magnitude", one_of::<Magnitude>(), usual(Magnitude::default()), MAGNITUDE),
        key("input", Words(tags::<Input>("input")), mostly("`activation`"), INPUT),
        key("noise", one_of::<Noise>(), usual(Noise::default()), "the distribution of that noise"),
        key("noise_sigma", POSITIVE, follows("1"), "its standard deviation"),
        key("noise_batch", SAMPLES, follows("a microbatch's"), "samples of noise in a mirror step"),
        key("mirror_every", Whole(0, i64::MAX), follows("1"), EVERY),
        key("mirror_delay", Whole(0, 1_000_000), follows("0"), "mirror steps before the first update"),
        key("centering", one_of::<Centering>(), mostly("`none`"), CENTERING),
        key("activation", one_of::<Transfer>(), mostly("`none`"), "applied to the y and z of the primitives"),
        key("per_position", Switch, mostly("false"), PER_POSITION),
        key("update_noise", NOT_NEGATIVE, mostly("0"), UPDATE_NOISE),
    ];
    [name].into_iter().chain(Primitive::ALL.map(coefficient)).chain(options).collect()
}

/// The values of `ratio`, of which [`MAX_RATIO`] is the largest.
const RATIO: Allowed = Number("a number above 0, up to 1024", |x| x > 0.0 && x <= MAX_RATIO);
const ROWS: &str = "`product_feedback_alignment`: rows of R for each row of W; with 1, B is orthogonal, and with others it is normal";
const SAMPLES: Allowed = Whole(1, MAX_MICROBATCH as i64);
const MAGNITUDE: &str = "`sign_symmetry`: the size of B's elements is one for all (uSF), drawn anew after every update (brSF), or kept (frSF)";
const INPUT: &str = "what the primitives take for x: what comes in, or the layer's own noise in mirror steps";
const EVERY: &str = "updates between mirror steps; 0 for none once training has begun";
const CENTERING: &str =
    "takes each sample's mean, or each feature's over the microbatch, off the x of the primitives";
const PER_POSITION: &str = "the primitives of x, y and z are means over positions, and no sums: one coefficient then fits every resolution";
const UPDATE_NOISE: &str =
    "after each step B also moves by learning rate times normal noise of this deviation";

/// The keys of the factor on the coefficients, which all layers share.
pub(in crate::config) fn schedule(table: &str) -> Vec<Key> {
    let mut keys = LearningRateSchedule::keys(table);
    keys[0].unset = is(LearningRateSchedule::default().schedule);
    keys[0].doc = "the course of a factor on all coefficients";
    keys
}

/// A default of the rule, which is `word` where the rule has no reason for another.
fn mostly(word: &str) -> Unset {
    follows(&format!("the rule's, {word} in most"))
}

/// A default that holds only under some rules.
fn usual(word: impl Serialize) -> Unset {
    let word = Value::try_from(word).ok();
    follows(&format!("`{}`", word.as_ref().and_then(Value::as_str).unwrap_or_default()))
}
