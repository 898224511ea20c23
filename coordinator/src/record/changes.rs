//! The changes of a run's configuration by a start that goes on.

use super::difference::Difference;
use super::end::End;
use crate::config::{Config, ConfigError};

/// The changes by one start.
#[derive(Debug)]
pub struct Changes {
    /// The configuration of the run before.
    pub began: Config,
    /// The text of the run's configuration with the changed keys, if there are any.
    pub(super) config: Option<String>,
    end: Option<End>,
    /// The keys that change the numbers of the steps to come.
    numbers: Vec<Difference>,
}

impl Changes {
    /// The changes from `began` to `now`, which may go on with that run; `end` is the end of the run, if it moves. Keys of
    /// the data stay: `run.json` keeps the mark of the data as the run began to read them.
    ///
    /// # Errors
    /// A value that TOML cannot hold.
    pub fn of(began: Config, now: &Config, end: Option<End>) -> Result<Self, ConfigError> {
        let numbers = Difference::of_numbers(&began, now)?;
        let changed = Config { data: began.data.clone(), ..now.clone() };
        let (before, after) = (began.to_toml()?, changed.to_toml()?);
        Ok(Self { config: (before != after).then_some(after), began, end, numbers })
    }

    /// The messages about them.
    pub fn told(&self) -> Vec<String> {
        let end = self.end.map(End::told);
        end.into_iter().chain(self.numbers.iter().map(Difference::of_steps_to_come)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};

    #[test]
    fn the_configuration_gets_the_changed_keys_but_those_of_the_data() {
        let config = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let text = "[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"linear\"\nout = 10";
            config::parse(text, "c.toml", &sets, &Environment::empty()).unwrap()
        };
        let began = config(&["data.test_limit=7"]);
        let same = Changes::of(began.clone(), &config(&["data.path=elsewhere"]), None).unwrap();
        assert_eq!((same.told().len(), same.config), (0, None));
        let now = config(&["pipeline.stages=2", "network.wire=bf16", "data.test_limit=9"]);
        let end = Some(End { here: 9, there: 5 });
        let changes = Changes::of(began.clone(), &now, end).unwrap();
        let kept = config::parse(changes.config.as_deref().unwrap(), "c.toml", &[], &Environment::empty());
        let kept = kept.unwrap();
        assert_eq!((&kept.pipeline, &kept.network, kept.data), (&now.pipeline, &now.network, began.data));
        let told = changes.told();
        assert_eq!(told[0], "the run ends after step 9 now, and no longer after step 5");
        assert!(told[1].starts_with("network.wire is \"bf16\" from here on") && told.len() == 2, "{told:?}");
    }
}
