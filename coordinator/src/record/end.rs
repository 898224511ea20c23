//! The end of a resumed run: it may move as long as the steps done so far keep their bits.

use super::difference::Difference;
use crate::config::Config;
use crate::run_error::RunError;
use proto::spec::optimizer::Schedule;
use std::path::Path;

/// The end of a run that is resumed: where its configuration puts it, and where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The last step, under the configuration at hand.
    pub here: u64,
    /// The last step, under the configuration in the run's folder.
    pub there: u64,
}

impl End {
    /// The end of a run that began with `began` and goes on with `now` after `done` steps, if a key of the end
    /// differs. An epoch has `per_epoch` minibatches, and `file` is the run's own configuration.
    ///
    /// # Errors
    /// An end before the steps that are done, or an end by which these steps would have been others.
    pub fn moved(
        began: &Config,
        now: &Config,
        per_epoch: u64,
        done: u64,
        file: &Path,
    ) -> Result<Option<Self>, RunError> {
        let Some(key) = Difference::of_end(began, now).map_err(RunError::configuration)? else {
            return Ok(None);
        };
        let end = Self { here: now.train.steps(per_epoch), there: began.train.steps(per_epoch) };
        let told = key.told(file);
        if end.here < done {
            return Err(RunError::configuration(format!(
                "{told}, but the run has made {done} steps, and this end is step {}: give a later end, or go back with --resume STEP to a snapshot before it",
                end.here
            )));
        }
        if let Some((key, what)) = end.bent(began, now, per_epoch, done) {
            return Err(RunError::configuration(format!(
                "{told}, and under {key} = \"cosine\" the end decides the {what} of every step, so the {done} steps so far would have been others: begin a new run with this end from the state of this one (--from), and with --set {key}=constant or step if its end may move later"
            )));
        }
        Ok(Some(end))
    }

    /// The key of the first schedule that would have given a step before `done` another factor, and what that factor is on.
    fn bent(
        self,
        began: &Config,
        now: &Config,
        per_epoch: u64,
        done: u64,
    ) -> Option<(&'static str, &'static str)> {
        let schedules = |config: &Config, end: u64| {
            let Config { optimizer: w, optimizer_b: b, rule, .. } = config;
            let (of_w, of_b) = (w.decay.course(), b.decay.course());
            [&w.schedule, &b.schedule, &rule.course, &of_w, &of_b]
                .map(|schedule| schedule.spec(per_epoch, end))
        };
        let (there, here) = (schedules(began, self.there), schedules(now, self.here));
        let mut keys = KEYS.into_iter().zip(there.iter().zip(&here));
        keys.find(|(_, (there, here))| !agree(there, here, done)).map(|(key, _)| key)
    }

    /// The message about the end.
    pub fn told(self) -> String {
        let Self { here, there } = self;
        match here == there {
            true => format!(
                "the run ends after step {here} as before, since it ends at the first of train.epochs and train.max_steps"
            ),
            false => format!("the run ends after step {here} now, and no longer after step {there}"),
        }
    }
}

/// The keys of schedules, each with what the factor is on.
const KEYS: [(&str, &str); 5] = [
    ("optimizer.schedule", "rate"),
    ("optimizer_b.schedule", "rate"),
    ("rule.schedule", "rate"),
    ("optimizer.weight_decay_schedule", "weight decay"),
    ("optimizer_b.weight_decay_schedule", "weight decay"),
];

/// Whether two schedules have the same factor in each of the first `done` steps.
fn agree(one: &Schedule, other: &Schedule, done: u64) -> bool {
    one == other || (0..done).all(|updates| one.factor(updates) == other.factor(updates))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};

    const BEGAN: &str = "train.epochs=2 train.max_steps=15 optimizer.warmup_epochs=0.5 optimizer.schedule=";

    fn moved(schedule: &str, sets: &str, done: u64) -> Result<Option<[u64; 2]>, String> {
        let config = |sets: String| {
            let sets: Vec<String> = sets.split(' ').map(str::to_owned).collect();
            let text = "[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"linear\"\nout = 10";
            config::parse(text, "c.toml", &sets, &Environment::empty()).unwrap()
        };
        let (began, now) =
            (config(format!("{BEGAN}{schedule}")), config(format!("{BEGAN}{schedule} {sets}")));
        let moved = End::moved(&began, &now, 10, done, Path::new("f"));
        moved.map(|end| end.map(|end| [end.there, end.here])).map_err(|failure| failure.sentence)
    }

    #[test]
    fn an_end_moves_where_the_steps_so_far_stay_what_they_are() {
        for schedule in ["constant", "step optimizer.boundaries=[1,1.7]"] {
            assert_eq!(moved(schedule, "seed=3", 15), Ok(None), "another key is not the end");
            assert_eq!(moved(schedule, "train.max_steps=18", 15), Ok(Some([15, 18])));
            assert_eq!(moved(schedule, "train.max_steps=1000", 15), Ok(Some([15, 20])));
            assert_eq!(moved(schedule, "train.epochs=9", 15), Ok(Some([15, 15])), "max_steps is first");
            assert_eq!(moved(schedule, "train.max_steps=12", 12), Ok(Some([15, 12])), "an earlier end");
            let early = moved(schedule, "train.max_steps=12", 13).unwrap_err();
            assert!(
                early.starts_with("'train.max_steps' is 12 here and 15 in f, but the run has made 13 steps"),
                "{early}"
            );
        }
    }

    #[test]
    fn a_cosine_bends_the_steps_so_far() {
        assert_eq!(moved("cosine", "train.max_steps=18", 1), Ok(Some([15, 18])), "a cosine begins at 1");
        assert_eq!(moved("cosine", "train.epochs=9", 15), Ok(Some([15, 15])), "the end stays");
        for sets in ["train.max_steps=18", "train.max_steps=12"] {
            let bent = moved("cosine", sets, 12).unwrap_err();
            assert!(
                bent.contains("under optimizer.schedule = \"cosine\"") && bent.contains("12 steps so far"),
                "{bent}"
            );
        }
        // B alone follows a cosine.
        let bent = moved("constant optimizer_b.schedule=cosine", "train.max_steps=18", 15).unwrap_err();
        assert!(bent.contains("under optimizer_b.schedule = \"cosine\""), "{bent}");
        let decay = "constant optimizer.weight_decay_schedule=cosine";
        let bent = moved(decay, "train.max_steps=18", 15).unwrap_err();
        let said = "under optimizer.weight_decay_schedule = \"cosine\" the end decides the weight decay of every step";
        assert!(bent.contains(said), "{bent}");
    }
}
