//! Doubts about a run: settings that are allowed but cannot have the effect that their names promise. A doubt is one
//! sentence, and the run goes on.

mod rules;
#[cfg(test)]
mod tests;

use crate::config::{Config, LearningRateSchedule, Shape};
use crate::model::Network;
use proto::spec::graph::Op;

/// A doubt.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubt {
    /// The topic of the doubt. Doubts of different runs about one topic differ only in their numbers.
    pub topic: Topic,
    /// The sentence: the setting, its effect, and the remedy.
    pub sentence: String,
}

/// The topic of a doubt; each sentence has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// W does not learn.
    FrozenW,
    /// B does not learn, although its rule would let it.
    FrozenB,
    /// The decay of W overshoots.
    OvershootW,
    /// The warm-up is longer than the run.
    Warmup,
    /// A boundary of a step schedule lies after the run's end.
    Boundary,
    /// The run ends before its first snapshot is due.
    Snapshot,
    /// A batch norm sees single samples.
    Norm,
    /// A minibatch is larger than the data.
    Batch,
    /// The network has a single class.
    OneClass,
    /// Classes have no sample.
    Labels,
    /// Kolen-Pollack without a decay.
    KolenPollack,
    /// Product feedback alignment without a decay.
    Product,
    /// A fixed B was drawn almost zero.
    Faint,
    /// The options of a rule with a fixed B let B learn.
    NamedFixed,
    /// The run has no mirror step.
    NoMirrorStep,
    /// The coefficients lead B away from W.
    Coefficients(Lead),
}

/// The place to which coefficients lead B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// Away from W.
    Away,
    /// To infinity, since a term that should hold B drives it.
    Driven,
    /// Beyond its goal with every step.
    Overshoot,
    /// To zero, since nothing pulls it.
    Zero,
    /// To infinity, since nothing holds it.
    Unheld,
    /// To another size than W's.
    Size,
}

/// The facts of a run's training data.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Samples.
    pub samples: usize,
    /// Classes that have a sample.
    pub labels: usize,
    /// Minibatches in an epoch.
    pub minibatches: u64,
}

/// The doubts about a run with this configuration. The network and the facts are `None` where the data decides them
/// and was not read.
pub fn doubts(config: &Config, network: Option<&Network>, facts: Option<&Facts>) -> Vec<Doubt> {
    let updates = facts.map(|facts| config.train.steps(facts.minibatches));
    let rules = rules::of(config, network, updates);
    let of_data = facts.map(|facts| data(config, facts)).unwrap_or_default();
    let all = [
        rates(config),
        overshoot(config),
        courses(config, facts),
        norms(config, network, facts),
        of_data,
        rules,
    ];
    all.concat()
}

/// A doubt, as a list to which others may be added.
fn doubt(topic: Topic, sentence: String) -> Vec<Doubt> {
    vec![Doubt { topic, sentence }]
}

fn rates(config: &Config) -> Vec<Doubt> {
    let mut found = Vec::new();
    if config.optimizer.lr == 0.0 {
        let why = "'optimizer.lr' is 0, so that W, biases and norms stay as they are: set it above 0";
        found.extend(doubt(Topic::FrozenW, why.into()));
    }
    if config.optimizer_b.lr == 0.0 && rules::learn(config) {
        let why = "'optimizer_b.lr' is 0, so that no B learns, whatever its rule: set it above 0, or choose the rule \
                   \"feedback_alignment\"";
        found.extend(doubt(Topic::FrozenB, why.into()));
    }
    found
}

fn overshoot(config: &Config) -> Vec<Doubt> {
    let w = &config.optimizer;
    let (pull, limit) = (w.rate(config.step().samples) * w.weight_decay, w.steady_below());
    if pull < limit {
        return Vec::new();
    }
    let why = format!(
        "'optimizer.lr' times 'optimizer.weight_decay' is {}, and from {} on the decay overshoots, so that W grows with \
         every step: lower one of them",
        round(pull),
        round(limit)
    );
    doubt(Topic::OvershootW, why)
}

/// Doubts about schedules and intervals that are longer than the run.
fn courses(config: &Config, facts: Option<&Facts>) -> Vec<Doubt> {
    let length = match facts {
        Some(facts) => config.train.steps(facts.minibatches) as f64 / facts.minibatches as f64,
        None => config.train.epochs as f64,
    };
    let [w, b] = [&config.optimizer.schedule, &config.optimizer_b.schedule];
    let mut found = course("optimizer.", w, length);
    if b != w && rules::learn(config) {
        found.extend(course("optimizer_b.", b, length));
    }
    found.extend(course("optimizer.weight_decay_", &config.optimizer.decay.course(), length));
    found.extend(course("rule.", &config.rule.course, length));
    let every = config.snapshot.every_steps;
    if let Some(facts) = facts
        && every > config.train.steps(facts.minibatches)
    {
        let updates = config.train.steps(facts.minibatches);
        let why = format!(
            "'snapshot.every_steps' is {every}, and the run has {updates} steps, so that its only snapshot is that of its \
             end: lower it"
        );
        found.extend(doubt(Topic::Snapshot, why));
    }
    found
}

/// Doubts about the schedule whose keys begin with `prefix`, for a run of `length` epochs.
fn course(prefix: &str, schedule: &LearningRateSchedule, length: f64) -> Vec<Doubt> {
    let mut found = Vec::new();
    let (warmup, epochs) = (schedule.warmup_epochs, round(length));
    if warmup > length {
        let why = format!(
            "'{prefix}warmup_epochs' is {warmup}, and the run has {epochs} epochs, so that it ends before its warm-up \
             does: shorten the warm-up"
        );
        found.extend(doubt(Topic::Warmup, why));
    }
    let late = schedule.boundaries.iter().find(|boundary| **boundary >= length);
    if let (Shape::Step, Some(late)) = (schedule.schedule, late) {
        let why = format!(
            "'{prefix}schedule' is \"step\" with a boundary at {late} epochs, and the run has {epochs}, so that the \
             boundary never comes: set '{prefix}boundaries' within the run"
        );
        found.extend(doubt(Topic::Boundary, why));
    }
    found
}

/// Doubts about batch norms whose every microbatch is a single sample.
fn norms(config: &Config, network: Option<&Network>, facts: Option<&Facts>) -> Vec<Doubt> {
    let is_norm = |op: &Op| matches!(op, Op::BatchNorm { .. });
    let norm = network.and_then(|network| network.layers.iter().find(|layer| is_norm(&layer.op)));
    let samples = facts.map_or(usize::MAX, |facts| facts.samples).min(config.train.batch as usize);
    let microbatches = config.pipeline.microbatches as usize;
    match norm {
        Some(norm) if samples.div_ceil(microbatches) == 1 => {
            let why = format!(
                "'pipeline.microbatches' is {microbatches}, which leaves one sample of {samples} to a microbatch, so that \
                 the batch_norm '{}' normalises each sample by itself: set at most half of 'train.batch'",
                norm.name
            );
            doubt(Topic::Norm, why)
        }
        _ => Vec::new(),
    }
}

/// Doubts about the sizes and the labels of the data.
fn data(config: &Config, facts: &Facts) -> Vec<Doubt> {
    let Facts { samples, labels, .. } = *facts;
    let (batch, classes) = (config.train.batch as usize, config.model.classes as usize);
    let mut found = Vec::new();
    if batch > samples {
        let why = format!(
            "'train.batch' is {batch}, and there are {samples} training samples, so that each step takes all of them: \
             lower it"
        );
        found.extend(doubt(Topic::Batch, why));
    }
    if classes == 1 {
        let why = "'model.classes' is 1, so that the loss is 0 and nothing is learned: set it to the classes of the data";
        found.extend(doubt(Topic::OneClass, why.into()));
    } else if labels < classes {
        let why = format!(
            "the network has {classes} classes, and the training samples have {labels} different labels, so that nothing \
             is learned of the other classes: correct 'model.classes', or train on more of the data"
        );
        found.extend(doubt(Topic::Labels, why));
    }
    found
}

/// A number with three digits.
fn round(number: f64) -> f64 {
    format!("{number:.2e}").parse().unwrap_or(number)
}
