//! The files from which a sweep follows: its own and its base configuration, read and checked.

use super::SweepOptions;
use super::common;
use super::space::{Plan, Settings};
use super::spec::{Method, Spec};
use crate::config::{self, Environment};
use crate::record::named;
use crate::run_error::RunError;
use proto::disk::cannot;
use std::path::{Path, PathBuf};

/// A sweep, before it has a folder.
pub struct Sources {
    /// The sweep's file, with the flags above it.
    pub spec: Spec,
    /// The trials.
    pub plan: Plan,
    /// The text of the base configuration.
    pub base: String,
    /// The settings that all trials share, beyond the base configuration.
    pub common: Settings,
}

impl Sources {
    /// Reads the sweep that `options` name.
    ///
    /// # Errors
    /// The first fault, or the first trial's error if no trial can run.
    pub fn read(options: SweepOptions<'_>, environment: &Environment<'_>) -> Result<Self, RunError> {
        let spec = load(options)?;
        let plan = Plan::new(&spec).map_err(RunError::configuration)?;
        let base = config::read_file(&spec.base).map_err(|error| {
            let doing = "cannot read the configuration from which the trials start,";
            RunError::configuration(cannot(doing, &spec.base, &error, "set 'base' to another file"))
        })?;
        let common = common::settings(&spec, &plan, &base, environment)?;
        Ok(Self { spec, plan, base, common })
    }

    /// The sweep's folder: `run_dir`, or else `runs/NAME`.
    ///
    /// # Errors
    /// A name that is a path.
    pub fn path(&self, run_dir: Option<&Path>) -> Result<PathBuf, RunError> {
        run_dir.map_or_else(|| named(&self.spec.name), |path| Ok(path.to_owned()))
    }

    /// The doubts about the trials, each in one sentence.
    pub fn doubts(&self, environment: &Environment<'_>) -> Vec<String> {
        common::doubts(&self.spec, &self.plan, &self.base, environment)
    }

    /// As [`Sources::read`], for a sweep of which each trial runs by itself: a trial has the cores of its host alone, so
    /// its settings are those of the trial with the same number where `parallel` is 1.
    ///
    /// # Errors
    /// A sweep whose trials depend on each other's results, or an error of [`Sources::read`].
    pub fn read_independent(
        options: SweepOptions<'_>,
        environment: &Environment<'_>,
    ) -> Result<Self, RunError> {
        let sources = Self::read(SweepOptions { parallel: Some(1), ..options }, environment)?;
        let why = match (sources.spec.method, sources.spec.stopping()) {
            (Method::Tpe, _) => {
                "'method' is \"tpe\", which chooses the settings of a trial by the results of others: \
                 set it to \"grid\" or \"random\""
            }
            (_, Some(_)) => {
                "[stop] stops a trial by the losses of others: leave it out, or set stop.median = false"
            }
            _ => return Ok(sources),
        };
        let file = options.config.display();
        Err(RunError::configuration(format!(
            "the trials of {file} cannot run each by itself, as --trial, --collect and --manifests need it; {why}"
        )))
    }
}

fn load(options: SweepOptions<'_>) -> Result<Spec, RunError> {
    let mut spec = Spec::load(options.config).map_err(RunError::configuration)?;
    spec.parallel = options.parallel.unwrap_or(spec.parallel);
    spec.cores = options.cores.or(spec.cores);
    spec.set.extend(config::assignments(options.set).map_err(RunError::configuration)?);
    let file = options.config.display().to_string();
    spec.check(&file).map_err(RunError::configuration)?;
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"linear\"\nout = 10";
    const SWEEP: &str = "base = \"base.toml\"\nmethod = \"random\"\ntrials = 8\nseed = 3\nparallel = 2\ncores = 8\n\
                         [space]\noptimizer.lr = { low = 0.001, high = 1, scale = \"log\" }";

    fn read(sweep: &str, independent: bool) -> Result<Sources, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("base.toml"), BASE).unwrap();
        let config = &folder.path().join("sweep.toml");
        std::fs::write(config, sweep).unwrap();
        let (run_dir, parallel, cores, set, resume) = (None, None, None, &[][..], false);
        let options = SweepOptions { config, run_dir, parallel, cores, set, resume };
        let read = if independent { Sources::read_independent } else { Sources::read };
        read(options, &Environment::empty()).map_err(|failure| failure.sentence)
    }

    #[test]
    fn a_trial_by_itself_has_the_settings_of_its_number_where_trials_run_one_after_another() {
        let independent = read(SWEEP, true).unwrap();
        let one_by_one = read(&SWEEP.replace("parallel = 2", "parallel = 1"), false).unwrap();
        assert_eq!(independent.common, one_by_one.common);
        assert_eq!(independent.spec, Spec { base: independent.spec.base.clone(), ..one_by_one.spec });
        assert_ne!(independent.common, read(SWEEP, false).unwrap().common, "two trials share the cores");
        // No trial before it has to be looked at.
        for number in [5, 0, 7] {
            assert_eq!(independent.plan.propose(number, &[]), one_by_one.plan.propose(number, &[]));
        }
    }

    #[test]
    fn every_sweep_among_the_examples_is_read_without_a_doubt() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples"));
        for (name, trials) in
            [("compare-rules", 8), ("rules", 30), ("primitives", 31 * 12), ("sweep", 31 * 2)]
        {
            let config = &folder.join(format!("{name}.toml"));
            let (run_dir, parallel, cores, set, resume) = (None, None, None, &[][..], false);
            let options = SweepOptions { config, run_dir, parallel, cores, set, resume };
            let sources = Sources::read(options, &Environment::empty()).unwrap();
            assert_eq!(sources.plan.len(), trials, "{name}");
            assert_eq!(sources.doubts(&Environment::empty()), [""; 0], "{name}");
        }
    }

    #[test]
    fn trials_that_need_the_results_of_others_cannot_run_each_by_itself() {
        let stop = format!("{SWEEP}\n[stop]\nafter_steps = 4");
        let cases = [
            (
                SWEEP.replace("random", "tpe"),
                "sweep.toml cannot run each by itself, ",
                "by the results of others",
            ),
            (stop.clone(), "sweep.toml cannot run each by itself, ", "by the losses of others"),
        ];
        for (sweep, refused, why) in cases {
            assert!(read(&sweep, false).is_ok());
            let sentence = read(&sweep, true).map(|_| ()).unwrap_err();
            assert!(sentence.contains(refused) && sentence.contains(why), "{sentence}");
        }
        assert!(read(&format!("{stop}\nmedian = false"), true).is_ok());
    }
}
