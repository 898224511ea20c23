//! Checks of the keys of the asynchronous schedule against others.

use super::optimizer::{Method, Optimizer};
use super::tree::Tree;
use super::{Config, ConfigError};

/// Checks all keys of the asynchronous schedule; `tree` says where they were set.
pub(super) fn check(config: &Config, tree: &Tree) -> Result<(), ConfigError> {
    sizes(config, tree)?;
    remedies(config, tree)
}

/// Checks the keys of `[pipeline]`.
fn sizes(config: &Config, tree: &Tree) -> Result<(), ConfigError> {
    let refuse = |key: &str, why: String| Err(ConfigError::new(format!("'{key}' {} {why}", tree.place(key))));
    let (pipeline, batch) = (&config.pipeline, config.train.batch);
    if !config.is_asynchronous() {
        return match pipeline.update_every {
            Some(every) if every != pipeline.microbatches => refuse(
                "pipeline.update_every",
                format!(
                    "is {every}, and 'pipeline.schedule' is \"{}\", under which an update follows every minibatch: set \
                     'pipeline.microbatches', or the schedule \"asynchronous\"",
                    pipeline.schedule
                ),
            ),
            Some(_) | None => Ok(()),
        };
    }
    if pipeline.recompute {
        let why = "is true, and 'pipeline.schedule' is \"asynchronous\": a forward pass that is computed again would see newer \
                   weights than the first one, so set it to false";
        return refuse("pipeline.recompute", why.into());
    }
    let microbatches = pipeline.microbatches;
    if !batch.is_multiple_of(microbatches) {
        let why = format!(
            "is {batch}, which 'pipeline.microbatches', {microbatches}, does not divide: under 'pipeline.schedule' \
             \"asynchronous\" all microbatches have as many samples"
        );
        return refuse("train.batch", why);
    }
    Ok(())
}

/// Checks `[staleness]` against the schedule and the optimizers.
fn remedies(config: &Config, tree: &Tree) -> Result<(), ConfigError> {
    let refuse = |key: &str, why: String| {
        let key = format!("staleness.{key}");
        Err(ConfigError::new(format!("'{key}' {} {why}", tree.place(&key))))
    };
    let (staleness, schedule) = (&config.staleness, config.pipeline.schedule);
    if let Some(key) = staleness.first_set().filter(|_| !config.is_asynchronous()) {
        let why = format!(
            "is a remedy for delays, and under 'pipeline.schedule' \"{schedule}\" there are none: leave it out, or set the \
             schedule \"asynchronous\""
        );
        return refuse(key, why);
    }
    let steps = [("optimizer", &config.optimizer), ("optimizer_b", &config.optimizer_b)];
    let without = |fits: fn(&Optimizer) -> bool| {
        steps.iter().find(|(_, optimizer)| !fits(optimizer)).map(|(table, _)| *table)
    };
    let has_momentum = |optimizer: &Optimizer| optimizer.name == Method::Sgd && optimizer.momentum > 0.0;
    if let Some(table) = without(has_momentum).filter(|_| staleness.compensate_spikes) {
        let why = format!("is for \"sgd\" with momentum, and '{table}' is not that: set '{table}.momentum'");
        return refuse("compensate_spikes", why);
    }
    let has_nesterov = |optimizer: &Optimizer| {
        optimizer.name == Method::Sgd && optimizer.momentum > 0.0 && optimizer.nesterov
    };
    match without(has_nesterov).filter(|_| staleness.look_ahead) {
        Some(table) => refuse(
            "look_ahead",
            format!(
                "is for Nesterov's momentum, and '{table}' has none: set '{table}.nesterov' and its momentum"
            ),
        ),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, parse};

    fn said(sets: &[&str]) -> String {
        let text = "pipeline.schedule = 'asynchronous'\n[[layer]]\nkind = 'flatten'\n[[layer]]\nkind = 'linear'\nout = 10";
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let parsed = parse(text, "c.toml", &sets, &Environment::empty());
        parsed.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_remedy_without_a_delay_or_without_momentum_is_refused() {
        assert_eq!(said(&["staleness.look_ahead=true", "staleness.shrink=0.5"]), "");
        let flushed = said(&["pipeline.schedule=gpipe", "staleness.shrink=0.5"]);
        assert!(
            flushed.contains("'staleness.shrink' in --set is a remedy for delays, and under"),
            "{flushed}"
        );
        let plain = said(&["optimizer.nesterov=false", "staleness.look_ahead=true"]);
        assert!(plain.contains("is for Nesterov's momentum, and 'optimizer' has none"), "{plain}");
        let adam = said(&["optimizer.name=adam", "staleness.compensate_spikes=true"]);
        assert!(adam.contains("is for \"sgd\" with momentum, and 'optimizer' is not that"), "{adam}");
    }
}
