//! The drains of an asynchronous pipeline, in words: they follow from the configuration alone.

use crate::config::Config;

/// One sentence on the drains of a run under `config`; `None` where every step is flushed.
pub fn drains(config: &Config) -> Option<String> {
    let every = |steps: u64, key: &str| match steps {
        0 => None,
        1 => Some(format!("after every step ({key})")),
        steps => Some(format!("after every {steps} steps ({key})")),
    };
    let planned = [
        Some("at the end of every epoch".to_owned()),
        every(config.train.evaluate_every, "train.evaluate_every"),
        every(config.snapshot.every_steps, "snapshot.every_steps"),
    ];
    let planned: Vec<String> = planned.into_iter().flatten().collect();
    let told = match planned.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => return None,
    };
    config.is_asynchronous().then(|| {
        format!(
            "the pipeline drains {told}; drains are part of the result, and only their states are saved and resumed"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

    #[test]
    fn every_reason_to_drain_is_named_with_its_key() {
        let said = |sets: &[&str]| {
            let text = "[[layer]]\nkind = 'flatten'\n[[layer]]\nkind = 'linear'\nout = 10";
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            drains(&parse(text, "c.toml", &sets, &Environment::empty()).unwrap()).unwrap_or_default()
        };
        assert_eq!(said(&["snapshot.every_steps=3"]), "");
        let free = "pipeline.schedule=asynchronous";
        assert!(said(&[free]).starts_with("the pipeline drains at the end of every epoch; drains are"));
        let all = said(&[free, "snapshot.every_steps=1", "train.evaluate_every=9"]);
        let due = "at the end of every epoch, after every 9 steps (train.evaluate_every) and after every step \
                   (snapshot.every_steps); drains";
        assert!(all.contains(due), "{all}");
    }
}
