//! Checks between keys: combinations of values that are valid one by one and wrong together.

use proto::spec::limits::MAX_MICROBATCH;
use proto::spec::optimizer::MAX_BOUNDARIES;
use proto::spec::precision::Precision;
use proto::spec::rule::RuleSpec;
use proto::tensor::Block;

use super::optimizer::{LearningRateSchedule, Shape};
use super::sections::{CUSTOM, Wire};
use super::split::split;
use super::tree::{Origin, Tree};
use super::{Config, ConfigError, asynchronous, data, network};
use crate::model::zoo;
use crate::rule::Name;

/// Checks all combinations of keys; `tree` says where each key was set.
pub(super) fn whole(config: &Config, tree: &Tree) -> Result<(), ConfigError> {
    let refuse = |key: &str, why: String| Err(ConfigError::new(format!("'{key}' {} {why}", tree.place(key))));
    let (model, train, microbatches) = (&config.model, &config.train, config.pipeline.microbatches);
    let custom = model.name == CUSTOM;
    if custom && model.layers.is_empty() {
        return refuse(
            "model.name",
            "is \"custom\", but there is no [[layer]]: describe the network by them".into(),
        );
    }
    if !custom && !model.layers.is_empty() {
        return refuse("model.name", format!("is \"{}\", but [[layer]]s belong to \"custom\"", model.name));
    }
    if custom && model.width.is_some() {
        return refuse(
            "model.width",
            "says nothing of a custom network: its [[layer]]s have widths of their own".into(),
        );
    }
    if model.last_gamma.is_some() && !zoo::takes_last_gamma(&model.name) {
        let why = format!(
            "is for networks whose blocks end with a norm, and \"{}\" is none: leave it out (a [[layer]] of the kind \
             \"batch_norm\" has its own 'gamma')",
            model.name
        );
        return refuse("model.last_gamma", why);
    }
    data::check(&config.data, tree)?;
    let rules = || std::iter::once(&config.rule.all).chain(config.rule.layers.values());
    if config.alarm.kolen_pollack && !rules().any(Name::has_law) {
        let [one, other] = Name::LAWFUL;
        return refuse(
            "alarm.kolen_pollack",
            format!("watches layers under {one} or {other}, but no rule is one of them"),
        );
    }
    let noisy = |rule: &RuleSpec| matches!(rule, RuleSpec::Learned { alignment, .. } if alignment.update_noise != 0.0);
    if config.alarm.kolen_pollack && rules().any(|rule| Name::KolenPollack.is(rule) && noisy(rule)) {
        let why = "cannot watch layers whose updates of B are noisy: set 'rule.update_noise' to 0";
        return refuse("alarm.kolen_pollack", why.into());
    }
    let exact = config.node.precision == Precision::F32;
    if config.alarm.kolen_pollack && !exact && rules().any(|rule| rule.product().is_some()) {
        let why = format!(
            "cannot watch layers under {} with another 'node.precision' than \"f32\", by which the gradients of W and R are \
             rounded apart",
            Name::ProductFeedbackAlignment
        );
        return refuse("alarm.kolen_pollack", why);
    }
    if config.network.wire == Wire::F16 && train.loss_scale == 1.0 {
        let why = "is 1, and 'network.wire' is \"f16\", in which error signals below 3e-8 become 0: leave it out, which \
                   is 1024, or set 'network.wire' to \"bf16\" or \"f32\"";
        return refuse("train.loss_scale", why.into());
    }
    blocks(config, tree)?;
    if microbatches > train.batch {
        let why = format!("is {microbatches}, more than the {} samples of 'train.batch'", train.batch);
        return refuse("pipeline.microbatches", why);
    }
    if train.batch.div_ceil(microbatches) > MAX_MICROBATCH {
        let why =
            format!("is {}, which makes microbatches of more than {MAX_MICROBATCH} samples", train.batch);
        return refuse("train.batch", why);
    }
    asynchronous::check(config, tree)?;
    let optimizers = [&config.optimizer, &config.optimizer_b];
    schedules("", optimizers.map(|optimizer| optimizer.schedule.clone()), tree)?;
    schedules("weight_decay_", optimizers.map(|optimizer| optimizer.decay.course()), tree)?;
    if custom {
        network::rules(config, &model.layers)?;
        network::cuts(config, &model.layers)?;
        split(config, &model.layers)
    } else {
        Ok(())
    }
}

/// Checks the keys of the 8-bit format; `tree` says where they were set.
fn blocks(config: &Config, tree: &Tree) -> Result<(), ConfigError> {
    let refuse = |key: &str, why: String| Err(ConfigError::new(format!("'{key}' {} {why}", tree.place(key))));
    let links = &config.network;
    if Block::new(links.wire_block).is_none() {
        let sizes = Block::ALL.map(|block| block.size().to_string()).join(", ");
        return refuse("network.wire_block", format!("is {}: it must be one of {sizes}", links.wire_block));
    }
    if links.error_feedback && links.wire != Wire::Int8 {
        let why = format!(
            "is true, and 'network.wire' is \"{}\": only \"int8\" has residuals that can be fed back",
            links.kind()
        );
        return refuse("network.error_feedback", why);
    }
    if links.error_feedback && config.step().microbatches == 1 {
        let why = "is true, and a step has 1 microbatch: a residual goes to the next microbatch of its step, and there \
                   is none";
        return refuse("network.error_feedback", why.into());
    }
    Ok(())
}

/// Checks the schedules of W and of B whose keys begin with `word` in their tables; `tree` says where they were set.
fn schedules(word: &str, [w, b]: [LearningRateSchedule; 2], tree: &Tree) -> Result<(), ConfigError> {
    let [of_w, of_b] = ["optimizer", "optimizer_b"].map(|table| format!("{table}.{word}"));
    boundaries(&of_w, &w.boundaries, tree)?;
    boundaries(&of_b, &b.boundaries, tree)?;
    // Unset keys of `optimizer_b` follow `optimizer`, so boundaries in `optimizer` may serve B's schedule alone.
    steps(&of_w, &[w.schedule, b.schedule], tree)?;
    steps(&of_b, &[b.schedule], tree)
}

/// Checks the boundaries of a step schedule whose keys begin with `prefix`; `tree` says where they were set.
pub(super) fn boundaries(prefix: &str, boundaries: &[f64], tree: &Tree) -> Result<(), ConfigError> {
    let key = format!("{prefix}boundaries");
    let refuse = |why: String| Err(ConfigError::new(format!("'{key}' {} {why}", tree.place(&key))));
    if !boundaries.is_sorted_by(|a, b| a < b) {
        return refuse(format!("is {boundaries:?}: it must ascend"));
    }
    if boundaries.len() > MAX_BOUNDARIES {
        return refuse(format!("has {} boundaries, more than {MAX_BOUNDARIES}", boundaries.len()));
    }
    Ok(())
}

/// Refuses a flag that sets keys of the step schedule, which begin with `prefix`, when none of `courses` is a step schedule. In a file these
/// keys may stand beside any schedule, as they do in the resolved configuration of every run.
pub(super) fn steps(prefix: &str, courses: &[Shape], tree: &Tree) -> Result<(), ConfigError> {
    let keys = ["boundaries", "factor"].map(|key| format!("{prefix}{key}"));
    let flag = keys.iter().find(|key| tree.origin(key) == Some(Origin::Flag));
    match (flag, courses) {
        (Some(key), [course, ..]) if !courses.contains(&Shape::Step) => Err(ConfigError::new(format!(
            "'{key}' in --set counts only with {prefix}schedule = \"step\" (it is \"{course}\")"
        ))),
        _ => Ok(()),
    }
}
