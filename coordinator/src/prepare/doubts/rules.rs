//! Doubts about rules: coefficients that lead B away from W, and rules that other settings keep from working.

use super::{Doubt, Lead, Topic, doubt, round};
use crate::config::Config;
use crate::model::Network;
use crate::rule::{Name, listed};
use proto::spec::graph::{Init, LayerSpec, Op};
use proto::spec::rule::{Alignment, Coefficients, Effect, Magnitude, Primitive, RuleSpec, Transfer};

/// How many times larger or smaller than W a settled B may be.
const FAR: f64 = 100.0;
/// The standard deviation below which a fixed B makes the errors that it sends vanish.
const FAINT: f64 = 1e-6;

/// One rule and the layers that have it.
struct Ruled<'a> {
    /// The table of the rule.
    table: String,
    rule: &'a RuleSpec,
    /// The layers, each with the number of positions of its output; empty if the network is not known.
    layers: Vec<(&'a LayerSpec, u64)>,
}

/// Whether some rule trains B.
pub(super) fn learn(config: &Config) -> bool {
    config.rule.layers.values().chain([&config.rule.all]).any(RuleSpec::trains)
}

/// The doubts about the rules of a run of so many updates, if their number is known.
pub(super) fn of(config: &Config, network: Option<&Network>, updates: Option<u64>) -> Vec<Doubt> {
    let ruled = ruled(config, network);
    let decays = config.optimizer.weight_decay != 0.0;
    let mut found = Vec::new();
    if !decays && ruled.iter().any(|ruled| Name::KolenPollack.is(ruled.rule)) {
        let why = "'optimizer.weight_decay' is 0, so that W − B never shrinks under \"kolen_pollack\" and B never comes to \
                   agree with W: set it above 0, as in 5e-4";
        found.extend(doubt(Topic::KolenPollack, why.into()));
    }
    if !decays && ruled.iter().any(|ruled| ruled.rule.product().is_some()) {
        let why = "'optimizer.weight_decay' is 0, so that R − BᵀW never shrinks under \"product_feedback_alignment\" and B·R \
                   never comes to agree with W: set it above 0, as in 5e-4";
        found.extend(doubt(Topic::Product, why.into()));
    }
    for ruled in &ruled {
        found.extend(faint(ruled));
        let RuleSpec::Learned { task, coefficients, alignment, .. } = ruled.rule else { continue };
        found.extend(named_fixed(ruled));
        found.extend(no_mirror_step(ruled, alignment, updates));
        if ruled.rule.trains() {
            found.extend(coefficients_lead(ruled, *task, coefficients, alignment, config));
        }
    }
    found
}

fn ruled<'a>(config: &'a Config, network: Option<&'a Network>) -> Vec<Ruled<'a>> {
    let weights: Vec<(&LayerSpec, u64)> = network.map(weights).unwrap_or_default();
    let of = |table: String, rule, has: &dyn Fn(&str) -> bool| {
        let layers = weights.iter().filter(|(layer, _)| has(&layer.name)).copied().collect();
        Ruled { table, rule, layers }
    };
    let own = config.rule.layers.iter();
    let own = own.map(|(name, rule)| of(format!("rule.layers.{name}"), rule, &|layer| layer == name));
    let all = of("rule".into(), &config.rule.all, &|layer| !config.rule.layers.contains_key(layer));
    [all].into_iter().chain(own).filter(|ruled| network.is_none() || !ruled.layers.is_empty()).collect()
}

/// The weight layers, each with the number of positions of its output.
fn weights(network: &Network) -> Vec<(&LayerSpec, u64)> {
    let values = network.values().unwrap_or_default();
    let layers = network.layers.iter().zip(&values).filter(|(layer, _)| layer.op.is_weight());
    layers.map(|(layer, value)| (layer, value.shape.iter().skip(1).product())).collect()
}

/// Doubts about a B that stays as it was drawn, and was drawn almost zero.
fn faint(ruled: &Ruled) -> Vec<Doubt> {
    let fixed = match ruled.rule {
        RuleSpec::Backprop => false,
        RuleSpec::SignSymmetry { magnitude } => *magnitude != Magnitude::Uniform,
        RuleSpec::Learned { .. } | RuleSpec::Product(_) => !ruled.rule.trains(),
    };
    let deviation = |layer: &LayerSpec| match layer.op {
        Op::Conv2d { init: Init::Normal(std), .. } | Op::Linear { init: Init::Normal(std), .. } => Some(std),
        _ => None,
    };
    let drawn = ruled
        .layers
        .iter()
        .find_map(|(layer, _)| Some((layer, deviation(layer).filter(|std| *std < FAINT)?)));
    match drawn {
        Some((layer, std)) if fixed => {
            let why = format!(
                "'init_std' of the layer '{}' is {std}, and its B stays as it was drawn, so that the errors below it \
                 vanish: leave 'init_std' out",
                layer.name
            );
            doubt(Topic::Faint, why)
        }
        _ => Vec::new(),
    }
}

/// Doubts about a feedback alignment whose B learns.
fn named_fixed(ruled: &Ruled) -> Vec<Doubt> {
    if !(Name::FeedbackAlignment.is(ruled.rule) && ruled.rule.trains()) {
        return Vec::new();
    }
    let table = &ruled.table;
    let why = format!(
        "'{table}.name' is \"feedback_alignment\", whose B stays as it was drawn, but the coefficients or the task beside \
         it let B learn: call the rule \"custom\", or leave them out"
    );
    doubt(Topic::NamedFixed, why)
}

/// Doubts about mirror steps that the run never makes.
fn no_mirror_step(ruled: &Ruled, alignment: &Alignment, updates: Option<u64>) -> Vec<Doubt> {
    match (alignment.mirror, updates) {
        (Some(mirror), Some(updates)) if mirror.delay == 0 && mirror.every > updates => {
            let table = &ruled.table;
            let why = format!(
                "'{table}.mirror_every' is {}, and the run has {updates} updates, so that no mirror step comes and B stays \
                 as it was drawn: lower it, or set '{table}.mirror_delay'",
                mirror.every
            );
            doubt(Topic::NoMirrorStep, why)
        }
        _ => Vec::new(),
    }
}

/// Doubts about the place to which the coefficients lead B.
fn coefficients_lead(
    ruled: &Ruled,
    task: bool,
    c: &Coefficients,
    alignment: &Alignment,
    config: &Config,
) -> Vec<Doubt> {
    let (table, b) = (&ruled.table, &config.optimizer_b);
    let rate = b.rate(config.step().samples);
    let say = |lead, why: String| doubt(Topic::Coefficients(lead), why);
    let below_zero = |effect| c.terms().find(|(one, value)| one.facts().effect == effect && *value < 0.0);
    if let Some((key, value)) = below_zero(Effect::Pulls) {
        return say(
            Lead::Away,
            format!(
                "'{table}.{key}' is {value}, and below 0 it drives B away from W, so that errors go down with the wrong sign: \
             set it above 0"
            ),
        );
    }
    if let Some((key, value)) = below_zero(Effect::Holds) {
        return say(
            Lead::Driven,
            format!(
                "'{table}.{key}' is {value}, and below 0 it makes B grow without bound: set it above 0, or leave it out"
            ),
        );
    }
    let shrink = 2.0 * c.of(Primitive::Decay) + b.weight_decay;
    if rate * shrink >= b.steady_below() {
        let why = format!(
            "'optimizer_b.lr' times the decay of B, 2 · '{table}.decay' + 'optimizer_b.weight_decay', is {}, and from {} on \
             it overshoots, so that B grows with every step: lower one of them",
            round(rate * shrink),
            round(b.steady_below())
        );
        return say(Lead::Overshoot, why);
    }
    let keys = |effect| listed(Primitive::ALL.into_iter().filter(|one| one.facts().effect == effect), "and");
    let has = |effect| c.terms().any(|(one, _)| one.facts().effect == effect);
    match (has(Effect::Pulls), shrink > 0.0 || has(Effect::Holds)) {
        _ if task => Vec::new(),
        (false, _) => say(
            Lead::Zero,
            format!(
                "nothing in [{table}] pulls B to W ({} are 0, task is false), so that B only shrinks, and the errors \
             with it: set '{table}.self' or '{table}.amp' above 0",
                keys(Effect::Pulls)
            ),
        ),
        (true, false) => say(
            Lead::Unheld,
            format!(
                "nothing in [{table}] holds B ({} are 0), so that B grows without bound: set '{table}.decay' above 0",
                keys(Effect::Holds)
            ),
        ),
        (true, true) => far(ruled, c, alignment, shrink),
    }
}

/// Doubts about a B that settles far from the size of W.
fn far(ruled: &Ruled, c: &Coefficients, alignment: &Alignment, shrink: f64) -> Vec<Doubt> {
    let settles = |positions: u64| times_weight(c, alignment, shrink, positions);
    let unknown = [(None, settles(1).filter(|_| alignment.mirror.is_none()))];
    let known = ruled.layers.iter().map(|(layer, positions)| (Some(layer), settles(*positions)));
    let far = |(_, times): &(_, Option<f64>)| times.is_some_and(|times| !(1.0 / FAR..=FAR).contains(&times));
    let Some((layer, Some(times))) = known.chain(unknown).find(far) else { return Vec::new() };
    let (table, whose) =
        (&ruled.table, layer.map_or_else(String::new, |layer| format!(" of the layer '{}'", layer.name)));
    let errors = if times > 1.0 {
        "the errors below it are as many times too large"
    } else {
        "the errors below it vanish"
    };
    let why = format!(
        "by the coefficients in [{table}] B{whose} settles near {} · W, so that {errors}: bring the coefficients that pull B \
         and those that hold it closer together",
        round(times)
    );
    doubt(Topic::Coefficients(Lead::Size), why)
}

/// The factor on W at which B settles, if the factor does not depend on the data. Noise has the same variance in all
/// directions, and in a convolution each position counts.
fn times_weight(c: &Coefficients, alignment: &Alignment, shrink: f64, positions: u64) -> Option<f64> {
    let solved = [Primitive::Amp, Primitive::Sparse, Primitive::Self_, Primitive::Decay];
    if c.terms().any(|(one, _)| !solved.contains(&one)) || alignment.transfer != Transfer::Identity {
        return None;
    }
    let [amp, sparse, self_, _] = solved.map(|one| c.of(one));
    match alignment.mirror {
        Some(mirror) => {
            let positions = if alignment.per_position { 1 } else { positions };
            let variance = mirror.sigma.powi(2) * positions as f64;
            Some((amp * variance + self_) / (2.0 * sparse * variance + shrink))
        }
        None if amp == 0.0 && sparse == 0.0 => Some(self_ / shrink),
        None if self_ == 0.0 && shrink == 0.0 => Some(amp / (2.0 * sparse)),
        None => None,
    }
}
