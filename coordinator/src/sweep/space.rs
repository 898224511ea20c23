//! The space of trials: which trials there are, and the settings of each. The settings are a pure function of the
//! sweep, the trial's number, and the results that the trial may know.

use super::ledger::Record;
use super::primitives::Subset;
use super::range::Range;
use super::score::Objective;
use super::spec::{MAX_TRIALS, Method, Spec};
use super::tpe::{self, Observation, uniform};
use crate::config::{self, ConfigError};
use std::collections::BTreeMap;
use toml::Value;

/// Keys with their values.
pub type Settings = BTreeMap<String, Value>;

/// All trials of a sweep.
#[derive(Clone, Debug)]
pub struct Plan {
    method: Method,
    seed: u64,
    objective: Objective,
    startup: usize,
    parallel: usize,
    arms: Vec<Arm>,
    /// The arm of each trial, and the trial's index within the arm.
    trials: Vec<(usize, usize)>,
}

/// A separate search: a case, a combination of primitives, or the single search of a sweep without them.
#[derive(Clone, Debug)]
struct Arm {
    case: Option<String>,
    subset: Option<Subset>,
    fixed: Settings,
    dimensions: Vec<Dimension>,
}

#[derive(Clone, Debug)]
struct Dimension {
    key: String,
    range: Range,
    whole: bool,
}

impl Dimension {
    fn new(key: String, range: &Range) -> Self {
        Self { whole: config::is_whole(&key), key, range: range.clone() }
    }
}

impl Plan {
    /// The trials of `spec`. The first trials of all arms come before the second trials, so that a sweep that is
    /// stopped half-way has tried every arm.
    ///
    /// # Errors
    /// A grid over a span without points, or too many trials.
    pub fn new(spec: &Spec) -> Result<Self, ConfigError> {
        let arms = arms(spec);
        let sizes = arms.iter().map(|arm| arm.size(spec)).collect::<Result<Vec<usize>, _>>()?;
        let all = sizes.iter().fold(0usize, |sum, size| sum.saturating_add(*size));
        if all > MAX_TRIALS {
            return Err(ConfigError::new(format!("the sweep has {all} trials: {MAX_TRIALS} are the most")));
        }
        let longest = sizes.iter().copied().max().unwrap_or(0);
        let of_draw = |draw: usize| {
            let sizes = sizes.iter().enumerate();
            sizes.filter(move |(_, size)| draw < **size).map(move |(arm, _)| (arm, draw))
        };
        let trials = (0..longest).flat_map(of_draw).collect();
        let Spec { method, seed, objective, startup_trials: startup, parallel, .. } = *spec;
        Ok(Self { method, seed, objective, startup, parallel, arms, trials })
    }

    /// The number of first trials whose settings do not depend on results.
    pub fn foreseen(&self) -> usize {
        let even = |(_, draw): &&(usize, usize)| self.method != Method::Tpe || *draw < self.startup;
        self.trials.iter().take_while(even).count()
    }

    /// The first trial of every arm.
    pub fn firsts(&self) -> impl Iterator<Item = usize> {
        (0..self.trials.len()).filter(|trial| self.trials[*trial].1 == 0)
    }

    /// The number of trials.
    pub fn len(&self) -> usize {
        self.trials.len()
    }

    /// The primitives of a trial, in a sweep over their matrix.
    pub fn subset(&self, trial: usize) -> Option<&Subset> {
        self.arms[self.trials[trial].0].subset.as_ref()
    }

    /// The case of a trial, in a sweep with cases.
    pub fn case(&self, trial: usize) -> Option<&String> {
        self.arms[self.trials[trial].0].case.as_ref()
    }

    /// The results that a trial may know: those of its own arm that have certainly ended when it begins, whatever
    /// the durations of trials and whenever the sweep was killed.
    pub fn known<'a>(
        &'a self,
        trial: usize,
        records: impl Iterator<Item = &'a Record> + 'a,
    ) -> impl Iterator<Item = &'a Record> + 'a {
        let arm = self.trials[trial].0;
        records.filter(move |record| {
            let mine = self.trials.get(record.trial).is_some_and(|(other, _)| *other == arm);
            mine && record.trial + self.parallel <= trial
        })
    }

    /// The settings of a trial, given the `known` results.
    pub fn propose(&self, trial: usize, known: &[&Record]) -> Settings {
        let (arm, draw) = self.trials[trial];
        let arm = &self.arms[arm];
        let subset = arm.subset.as_ref().map(Subset::to_string);
        let stream = subset.or_else(|| arm.case.clone()).unwrap_or_default();
        let mut rng = proto::seed::rng(self.seed, &["sweep", &stream, &draw.to_string()]);
        let at = match self.method {
            Method::Grid => arm.combination(draw),
            Method::Tpe if known.len() >= self.startup => {
                let ranges: Vec<&Range> = arm.dimensions.iter().map(|dimension| &dimension.range).collect();
                let history: Vec<_> = known.iter().filter_map(|record| self.observe(arm, record)).collect();
                tpe::propose(&ranges, &history, &mut rng)
            }
            Method::Random | Method::Tpe => {
                arm.dimensions.iter().map(|one| one.range.coordinate(uniform(&mut rng))).collect()
            }
        };
        let tried = arm.dimensions.iter().zip(at);
        let tried = tried.map(|(one, at)| (one.key.clone(), one.range.value(at, one.whole)));
        arm.fixed.clone().into_iter().chain(tried).collect()
    }

    fn observe(&self, arm: &Arm, record: &Record) -> Option<Observation> {
        let place = |one: &Dimension| one.range.locate(record.settings.get(&one.key)?);
        let at = arm.dimensions.iter().map(place).collect::<Option<_>>()?;
        Some(Observation { at, score: self.objective.score(record) })
    }
}

fn arms(spec: &Spec) -> Vec<Arm> {
    let space = || spec.space.iter().map(|(key, range)| Dimension::new(key.clone(), range));
    let Some(primitives) = &spec.primitives else {
        let arm = |case, fixed| Arm { case, subset: None, fixed, dimensions: space().collect() };
        let cases = spec.cases.iter().map(|case| arm(Some(case.name.clone()), case.set.clone()));
        return if spec.cases.is_empty() { vec![arm(None, Settings::new())] } else { cases.collect() };
    };
    let arm = |subset: Subset| {
        let members = subset.members().iter();
        let own = members.map(|one| Dimension::new(format!("rule.{one}"), &primitives.range(*one)));
        let (dimensions, fixed) = (own.chain(space()).collect(), subset.settings());
        Arm { case: None, dimensions, fixed, subset: Some(subset) }
    };
    primitives.subsets().into_iter().map(arm).collect()
}

impl Arm {
    /// The number of the arm's trials.
    fn size(&self, spec: &Spec) -> Result<usize, ConfigError> {
        let budget = spec.primitives.as_ref().map_or(spec.trials, |primitives| primitives.trials_per_subset);
        if let Some(budget) = budget {
            return Ok(budget);
        }
        self.dimensions.iter().try_fold(1usize, |product, one| {
            let why = || {
                let key = &one.key;
                ConfigError::new(format!("'{key}' is tried on a grid: its range needs points, or values"))
            };
            Ok(product.saturating_mul(one.range.grid_size().ok_or_else(why)?))
        })
    }

    /// A combination of the grid, the last dimension changing first.
    fn combination(&self, index: usize) -> Vec<f64> {
        let mut left = index;
        let mut at: Vec<f64> = self
            .dimensions
            .iter()
            .rev()
            .map(|one| {
                let size = one.range.grid_size().unwrap_or(1);
                let point = one.range.grid_point(left % size);
                left /= size;
                point
            })
            .collect();
        at.reverse();
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::ledger::Status;
    use crate::sweep::ledger::tests::record;
    use proto::spec::rule::Primitive;

    fn plan(text: &str) -> Plan {
        Plan::new(&Spec::parse(&format!("base = \"b\"\n{text}"), "sweep.toml").unwrap()).unwrap()
    }

    #[test]
    fn a_grid_is_every_combination_once() {
        let plan = plan(
            "method = \"grid\"\n[space]\n\"optimizer.lr\" = { low = 0.1, high = 0.3, points = 3 }\n\"optimizer.name\" = { values = [\"sgd\", \"adam\"] }",
        );
        assert_eq!(plan.len(), 6);
        let show = |trial| {
            let settings = plan.propose(trial, &[]);
            format!("{} {}", settings["optimizer.lr"], settings["optimizer.name"])
        };
        let tried: Vec<String> = (0..6).map(show).collect();
        assert_eq!(tried[..3], ["0.1 \"sgd\"", "0.1 \"adam\"", "0.2 \"sgd\""]);
        assert_eq!(tried[5], "0.3 \"adam\"");
    }

    #[test]
    fn random_draws_lie_within_and_follow_seed_and_number_alone() {
        let text = |seed| {
            format!(
                "method = \"random\"\ntrials = 50\nseed = {seed}\n[space]\n\"optimizer.lr\" = {{ low = 0.001, high = 1, scale = \"log\" }}\n\"train.batch\" = {{ low = 8, high = 64 }}"
            )
        };
        let draws = |seed| (0..50).map(|trial| plan(&text(seed)).propose(trial, &[])).collect::<Vec<_>>();
        let (once, again) = (draws(1), draws(1));
        assert_eq!(once, again);
        assert_ne!(once, draws(2));
        let small = once.iter().filter(|settings| {
            let lr = settings["optimizer.lr"].as_float().unwrap();
            assert!((0.001..=1.0).contains(&lr));
            assert!((8..=64).contains(&settings["train.batch"].as_integer().unwrap()));
            lr < 0.0316
        });
        assert!((15..=35).contains(&small.count()), "half of the draws lie below the middle of the scale");
    }

    #[test]
    fn a_trial_knows_only_what_has_surely_ended() {
        let plan = plan(
            "method = \"tpe\"\ntrials = 20\nparallel = 2\nstartup_trials = 3\n[space]\n\"optimizer.lr\" = { low = 0.001, high = 1 }",
        );
        let records: Vec<Record> =
            (0..10).map(|trial| record(trial, Status::Done, Some(0.5 + trial as f64 / 100.0))).collect();
        let known = |trial| plan.known(trial, records.iter()).map(|record| record.trial).collect::<Vec<_>>();
        assert_eq!(known(1), [0usize; 0]);
        assert_eq!(known(5), [0, 1, 2, 3], "4 may still be running beside it");
        let propose =
            |trial, know: usize| plan.propose(trial, &records.iter().take(know).collect::<Vec<_>>());
        assert_eq!(propose(4, 0), propose(4, 2), "the first trials are drawn evenly");
        assert_ne!(propose(4, 0), propose(4, 3));
    }

    #[test]
    fn a_case_is_tried_with_the_whole_space() {
        let plan = plan(
            "method = \"grid\"\n[space]\nseed = { values = [0, 1] }\n[[case]]\nname = \"a\"\nset.train.batch = 8\n[[case]]\nname = \"b\"",
        );
        let tried = (0..plan.len()).map(|trial| {
            let settings = plan.propose(trial, &[]);
            (plan.case(trial).unwrap().as_str(), settings["seed"].as_integer().unwrap(), settings.len())
        });
        assert_eq!(tried.collect::<Vec<_>>(), [("a", 0, 2), ("b", 0, 1), ("a", 1, 2), ("b", 1, 1)]);
    }

    #[test]
    fn the_examples_are_sweeps_of_runs_that_can_be() {
        for file in ["sweep.toml", "rules.toml", "primitives.toml"] {
            let path = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples")).join(file);
            let spec = Spec::load(&path).unwrap();
            let plan = Plan::new(&spec).unwrap();
            assert!(plan.len() > 20, "{file}");
            for trial in 0..plan.len() {
                let settings = spec.set.clone().into_iter().chain(plan.propose(trial, &[]));
                let overrides: Vec<String> = settings.map(|(key, value)| format!("{key}={value}")).collect();
                let config = config::load(&spec.base, &overrides, &config::Environment::empty());
                config.unwrap_or_else(|why| panic!("trial {trial} of {file}: {why}"));
            }
        }
    }

    #[test]
    fn the_matrix_goes_round_all_its_combinations() {
        let plan = plan(
            "method = \"random\"\n[primitives]\ntrials_per_subset = 2\namp = { low = 0.5, high = 0.6 }\n[space]\n\"optimizer.lr\" = { values = [0.1] }",
        );
        let all = (1 << Primitive::COUNT) - 1;
        assert_eq!(plan.len(), 2 * all);
        let subset = |trial| plan.subset(trial).unwrap().to_string();
        assert_eq!([subset(0), subset(all - 1)], [subset(all), subset(2 * all - 1)]);
        assert_eq!(subset(all), "amp");
        let settings = plan.propose(all, &[]);
        let amp = settings["rule.amp"].as_float().unwrap();
        assert!((0.5..=0.6).contains(&amp));
        assert_ne!(plan.propose(0, &[])["rule.amp"], settings["rule.amp"]);
        assert_eq!(settings["rule.self"], Value::Float(0.0));
        assert_eq!(settings["optimizer.lr"], Value::Float(0.1));
        let spec = "base = \"b\"\nmethod = \"grid\"\n[primitives]\nsubsets = [[\"amp\"]]";
        let why = Plan::new(&Spec::parse(spec, "s").unwrap()).unwrap_err().to_string();
        assert!(why.contains("'rule.amp' is tried on a grid"), "{why}");
    }
}
