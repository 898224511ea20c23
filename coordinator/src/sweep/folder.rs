//! A sweep's folder: its file, its ledger, and a run folder per trial.

use super::common::DATA_PATH;
use super::ledger::Ledger;
use super::spec::Spec;
use crate::console::remark;
use crate::record::files::{unwritable, write};
use crate::record::{Claim, Holds, SWEEP};
use crate::run_error::RunError;
use proto::disk::cannot;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::{Table, Value};

/// The folder of a sweep: `runs/NAME`, or the folder that the caller names.
pub struct SweepFolder {
    path: PathBuf,
    /// The folder itself, locked: one process at a time works on a sweep.
    _owned: Arc<File>,
}

impl SweepFolder {
    /// Begins a sweep in the folder, with `base`, the text of its base configuration, and `data`, the folder of its
    /// data; or, to `resume`, opens the folder of a sweep with the same file. A sweep that is resumed where there is
    /// none yet begins. The last item of the result is the folder of the data that the sweep began with.
    ///
    /// # Errors
    /// A folder that another process has, or that holds a run or, unless resumed, a sweep; or, to resume, the folder
    /// of another sweep.
    pub fn open(
        path: PathBuf,
        spec: &Spec,
        base: &str,
        data: Option<&str>,
        resume: bool,
    ) -> Result<(Self, Ledger, Option<String>), RunError> {
        let Claim { path, holds, owned } = Claim::make(path, "sweep")?;
        let folder = Self { path, _owned: owned };
        let place = folder.path.display();
        let data = match (holds, resume) {
            (Holds::Sweep, false) => Err(RunError::configuration(format!(
                "there is a sweep in {place} already: choose another --run-dir, or go on with --resume"
            ))),
            (Holds::Sweep, true) => folder.check(spec, base),
            (Holds::Nothing, _) => {
                if resume {
                    remark(format_args!("beginning the sweep in {place}, where there is none yet\n"));
                }
                folder.fill(spec, base, data)
            }
            (Holds::Run | Holds::Part(_), _) => Err(RunError::configuration(format!(
                "there is a run in {place}: choose another --run-dir, or another 'name' in the sweep's file"
            ))),
        }?;
        let ledger = Ledger::open(folder.path.join("trials.jsonl"))?;
        Ok((folder, ledger, data))
    }

    fn fill(&self, spec: &Spec, base: &str, data: Option<&str>) -> Result<Option<String>, RunError> {
        for folder in [self.path.join("trials"), self.path.join("logs")] {
            fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
        }
        write(&self.base(), base.as_bytes())?;
        let mut kept = Spec { base: "base.toml".into(), ..spec.clone() };
        kept.set.extend(data.map(|data| (DATA_PATH.to_owned(), Value::from(data))));
        write(&self.spec(), toml::to_string(&kept).map_err(RunError::internal)?.as_bytes())?;
        Ok(data.map(str::to_owned))
    }

    /// Refuses a sweep that differs from the sweep in the folder, and returns the folder of the data of the latter.
    fn check(&self, spec: &Spec, base: &str) -> Result<Option<String>, RunError> {
        let kept = Spec::load(&self.spec()).map_err(RunError::configuration)?;
        let known = fs::read_to_string(self.base()).map_err(|error| {
            RunError::configuration(cannot("cannot read", &self.base(), &error, "begin the sweep anew"))
        })?;
        let other = match differs(&kept, spec)? {
            Some(key) => format!("'{key}' is not as in {}", self.spec().display()),
            None if known != base => {
                format!("{} is not as in {}", spec.base.display(), self.base().display())
            }
            None => return Ok(kept.set.get(DATA_PATH).and_then(Value::as_str).map(str::to_owned)),
        };
        Err(RunError::configuration(format!(
            "{other}: go on with a sweep as it was begun, or choose another --run-dir"
        )))
    }

    fn spec(&self) -> PathBuf {
        self.path.join(SWEEP)
    }

    /// The sweep's own copy of its base configuration.
    pub fn base(&self) -> PathBuf {
        self.path.join("base.toml")
    }

    /// The run folder of a trial.
    pub fn trial(&self, number: usize) -> PathBuf {
        self.path.join("trials").join(trial_name(number))
    }

    /// The file of a trial's output.
    pub fn log(&self, number: usize) -> PathBuf {
        self.path.join("logs").join(format!("{}.log", trial_name(number)))
    }

    /// The record of a trial that ran by itself.
    pub fn record(&self, number: usize) -> PathBuf {
        self.path.join("records").join(format!("{}.json", trial_name(number)))
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a page of the sweep, such as `table.md`.
    pub fn write(&self, page: &str, text: &str) -> Result<(), RunError> {
        write(&self.path.join(page), text.as_bytes())
    }
}

/// The name that a trial's files and folders begin with.
pub fn trial_name(number: usize) -> String {
    format!("trial-{number:03}")
}

/// The first key in which two sweeps differ; the paths of the base configuration and of the data do not count.
fn differs(kept: &Spec, asked: &Spec) -> Result<Option<String>, RunError> {
    let table = |spec: &Spec| {
        let mut spec = Spec { base: PathBuf::new(), ..spec.clone() };
        spec.set.remove(DATA_PATH);
        Table::try_from(spec)
    };
    let (kept, asked) = (table(kept).map_err(RunError::internal)?, table(asked).map_err(RunError::internal)?);
    let all = kept.keys().chain(asked.keys());
    let at = |table: &Table, key: &String| table.get(key).cloned().unwrap_or(Value::Boolean(false));
    Ok({ all }.find(|key| at(&kept, key) != at(&asked, key)).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str =
        "base = \"b\"\nmethod = \"random\"\ntrials = 3\nname = \"s\"\n[space]\nseed = { values = [1, 2] }";

    #[test]
    fn a_sweep_goes_on_as_it_was_begun_or_not_at_all() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("sweep");
        let open = |text: &str, base: &str, resume| {
            let spec = Spec::parse(text, "sweep.toml").unwrap();
            SweepFolder::open(path.clone(), &spec, base, Some("/data"), resume)
                .map(|(.., data)| assert_eq!(data.as_deref(), Some("/data")))
                .map_err(|failure| failure.sentence)
        };
        open(SPEC, "seed = 1", true).unwrap();
        assert!(open(SPEC, "seed = 1", false).unwrap_err().contains("--resume"));
        open(SPEC, "seed = 1", true).unwrap();
        open(&SPEC.replace("\"b\"", "\"moved\""), "seed = 1", true).unwrap();
        open(&SPEC.replace("[space]", "set.data.path = \"/moved\"\n[space]"), "seed = 1", true).unwrap();
        let why = open(&SPEC.replace("trials = 3", "trials = 4"), "seed = 1", true).unwrap_err();
        assert!(why.contains("'trials' is not as in"), "{why}");
        let why = open(&SPEC.replace("trials = 3", "trials = 3\ncores = 2"), "seed = 1", true).unwrap_err();
        assert!(why.contains("'cores' is not as in"), "{why}");
        assert!(open(SPEC, "seed = 2", true).unwrap_err().contains("base.toml"));
    }
    #[test]
    fn of_two_sweeps_that_begin_at_once_in_a_folder_only_one_writes() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("sweep");
        for round in 0..10 {
            let path = path.join(round.to_string());
            let specs = [3, 4].map(|trials| SPEC.replace("trials = 3", &format!("trials = {trials}")));
            let opened: Vec<_> = std::thread::scope(|scope| {
                let open = |text: &str| {
                    let spec = Spec::parse(text, "sweep.toml").unwrap();
                    SweepFolder::open(path.clone(), &spec, "seed = 1", None, false)
                };
                let callers: Vec<_> = specs.iter().map(|text| scope.spawn(move || open(text))).collect();
                callers.into_iter().map(|caller| caller.join().unwrap()).collect()
            });
            let refused: Vec<_> = opened.iter().filter_map(|opened| opened.as_ref().err()).collect();
            let [refused] = &refused[..] else { panic!("{} are refused", refused.len()) };
            assert!(refused.sentence.starts_with("another coordinator works on the sweep in "), "{refused}");
            let kept = Spec::load(&path.join(SWEEP)).unwrap().trials;
            assert_eq!(kept, Some(if opened[0].is_ok() { 3 } else { 4 }));
        }
    }
}
