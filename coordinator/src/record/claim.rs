//! The claim of a folder: a process makes or opens the folder and locks it, and looks into it only then. What it finds
//! stays true, because every other process must have the lock before it writes.

use super::files::{lock, lock_shared, unwritable};
use super::names::{CONFIG, EVALUATIONS, IDENTITY, METRICS, SWEEP};
use crate::run_error::RunError;
use proto::disk::cannot;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of the runs and sweeps that have a name.
pub(super) const RUNS: &str = "runs";

/// The place of a run's or a sweep's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// This folder.
    At(PathBuf),
    /// A folder `runs/STEM-N`.
    Stem(&'a str),
}

impl<'a> Place<'a> {
    /// The place that the flags name, or one of `stem` without them.
    ///
    /// # Errors
    /// A name that is a path.
    pub fn of(name: Option<&str>, run_dir: Option<&Path>, stem: &'a str) -> Result<Self, RunError> {
        match (name, run_dir) {
            (_, Some(path)) => Ok(Place::At(path.to_owned())),
            (Some(name), None) => named(name).map(Place::At),
            (None, None) => Ok(Place::Stem(stem)),
        }
    }
}

/// The folder of the run or sweep called `name`.
///
/// # Errors
/// A name that is a path.
pub fn named(name: &str) -> Result<PathBuf, RunError> {
    if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
        let why = format!("'{name}' cannot name a run: --run-dir takes a path");
        return Err(RunError::configuration(why));
    }
    Ok(Path::new(RUNS).join(name))
}

/// A numbered folder of `stem`, as in `runs/STEM-7`.
pub(super) fn numbered(stem: &str, number: u64) -> PathBuf {
    Path::new(RUNS).join(format!("{stem}-{number}"))
}

/// The contents of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// No run and no sweep: the folder is new, or a start that died left it before it wrote a run's `config.toml`.
    Nothing,
    /// A run.
    Run,
    /// A sweep.
    Sweep,
    /// A file of a run, but no whole run.
    Part(&'static str),
}

/// A folder that this process has locked, until every copy of the handle is closed. The system releases the lock when
/// the process ends, however it ends.
#[derive(Debug)]
pub struct Claim {
    /// The folder.
    pub path: PathBuf,
    /// The contents of the folder when it was locked.
    pub holds: Holds,
    /// The handle that holds the lock.
    pub owned: Arc<File>,
}

impl Claim {
    /// Makes the folder if it is not there, and claims it for a `what`: a run or a sweep.
    ///
    /// # Errors
    /// A folder that another process has locked, or that cannot be made or opened.
    pub fn make(path: PathBuf, what: &str) -> Result<Self, RunError> {
        fs::create_dir_all(&path).map_err(|error| unwritable(&path, &error))?;
        Self::open(path, what)
    }

    /// Claims a folder that is there.
    ///
    /// # Errors
    /// A folder that another process has locked, or that cannot be opened.
    pub fn open(path: PathBuf, what: &str) -> Result<Self, RunError> {
        Self::attempt(&path)?.ok_or_else(|| taken(&path, what))
    }

    /// Makes and claims the first `runs/STEM-N` that no process has taken before.
    ///
    /// # Errors
    /// A folder that cannot be made or opened.
    pub fn free(stem: &str) -> Result<Self, RunError> {
        Self::first_free((1..).map(|number| numbered(stem, number)))
    }

    fn first_free(paths: impl Iterator<Item = PathBuf>) -> Result<Self, RunError> {
        for path in paths {
            let parent = path.parent().unwrap_or(Path::new(""));
            fs::create_dir_all(parent).map_err(|error| unwritable(parent, &error))?;
            match fs::create_dir(&path) {
                // This process made the folder, and yet another process may have begun a run of that name in it.
                Ok(()) => match Self::attempt(&path)? {
                    Some(claim) if claim.holds == Holds::Nothing => return Ok(claim),
                    _ => {}
                },
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(unwritable(&path, &error)),
            }
        }
        Err(RunError::internal("there are no names left for a run"))
    }

    /// Fails where the folder holds a run, a sweep or a part of a run, so that no new run can begin in it.
    ///
    /// # Errors
    /// What the folder holds, in one sentence.
    pub fn check_free(&self) -> Result<(), RunError> {
        let place = self.path.display();
        let why = match self.holds {
            Holds::Nothing => return Ok(()),
            Holds::Run => format!(
                "there is a run in {place} already: choose another --name or --run-dir, or go on with --resume auto"
            ),
            Holds::Sweep => format!("there is a sweep in {place}: choose another --name or --run-dir"),
            Holds::Part(file) => part(&self.path, file),
        };
        Err(RunError::configuration(why))
    }

    /// Claims a folder that is there; `None` if another process has locked it.
    pub(super) fn attempt(path: &Path) -> Result<Option<Self>, RunError> {
        let folder = File::open(path).map_err(|error| unopened(path, &error, "choose another --run-dir"))?;
        // On a file system without locks the user must make sure that no two processes use the folder.
        if matches!(lock(&folder), Ok(false)) {
            return Ok(None);
        }
        Ok(Some(Self { holds: look(path), path: path.to_owned(), owned: Arc::new(folder) }))
    }
}

/// Keeps other processes from writing to the run in `path` for as long as the handle lives, without writing anything:
/// a folder on a read-only file system can be locked like this, and several readers share it.
///
/// # Errors
/// A folder that another process has claimed, or that cannot be opened.
pub fn share(path: &Path) -> Result<File, RunError> {
    let folder =
        File::open(path).map_err(|error| unopened(path, &error, "give --run the folder of a run"))?;
    match lock_shared(&folder) {
        Ok(false) => Err(taken(path, "run")),
        Ok(true) | Err(_) => Ok(folder),
    }
}

fn look(path: &Path) -> Holds {
    let there = |name: &str| path.join(name).exists();
    let begun = |name: &str| fs::metadata(path.join(name)).is_ok_and(|file| file.len() > 0);
    // A sweep writes `sweep.toml` last, and a run `config.toml` after `run.json`.
    match (there(IDENTITY), there(CONFIG)) {
        _ if there(SWEEP) => Holds::Sweep,
        (true, true) => Holds::Run,
        (false, true) => Holds::Part(CONFIG),
        (_, false) => {
            [METRICS, EVALUATIONS].into_iter().find(|name| begun(name)).map_or(Holds::Nothing, Holds::Part)
        }
    }
}

fn taken(path: &Path, what: &str) -> RunError {
    RunError::configuration(format!(
        "another coordinator works on the {what} in {}: wait for its end, or end it first",
        path.display()
    ))
}

/// The sentence for a folder that holds the `file` of a run, and no whole run.
pub(super) fn part(folder: &Path, file: &str) -> String {
    format!(
        "{} holds {file}, but no whole run: bring its run.json and config.toml back, or choose another --name or --run-dir",
        folder.display()
    )
}

/// The failure for a folder in which no run can go on.
pub fn no_run(path: &Path) -> RunError {
    let place = path.display();
    RunError::configuration(format!("there is no run in {place} to go on with: leave out --resume"))
}

fn unopened(path: &Path, error: &io::Error, elsewhere: &str) -> RunError {
    RunError::configuration(cannot("cannot open", path, error, elsewhere))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The free folders of `stem` in `runs`.
    fn stems(runs: &Path) -> impl Iterator<Item = PathBuf> {
        let runs = runs.to_owned();
        (1..).map(move |number| runs.join(format!("x-{number}")))
    }

    #[test]
    fn unnamed_callers_at_once_get_a_folder_each() {
        let temporary = tempfile::tempdir().unwrap();
        let runs = temporary.path().join("deep/runs");
        // The second folder was made by hand, and the third holds a run.
        fs::create_dir_all(runs.join("x-2")).unwrap();
        for _ in 0..10 {
            let claims: Vec<Claim> = std::thread::scope(|scope| {
                let callers: Vec<_> =
                    (0..8).map(|_| scope.spawn(|| Claim::first_free(stems(&runs)).unwrap())).collect();
                callers.into_iter().map(|caller| caller.join().unwrap()).collect()
            });
            let folders: BTreeSet<_> = claims.iter().map(|claim| claim.path.clone()).collect();
            assert_eq!(folders.len(), 8, "{folders:?}");
            assert!(
                !folders.contains(&runs.join("x-2"))
                    && claims.iter().all(|claim| claim.holds == Holds::Nothing)
            );
        }
    }

    #[test]
    fn what_a_caller_finds_in_a_folder_was_written_before_it_had_the_lock() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("same");
        // The first caller has made the folder, and is delayed before it locks it.
        fs::create_dir(&path).unwrap();
        let overtaking = Claim::make(path.clone(), "run").unwrap();
        assert_eq!(overtaking.holds, Holds::Nothing);
        let why = Claim::make(path.clone(), "run").unwrap_err().sentence;
        assert!(why.starts_with("another coordinator works on the run in "), "{why}");
        assert!(share(&path).unwrap_err().sentence.starts_with("another coordinator works on the run in "));
        for name in [IDENTITY, CONFIG] {
            fs::write(path.join(name), "{}").unwrap();
        }
        drop(overtaking);
        assert_eq!(Claim::make(path.clone(), "run").unwrap().holds, Holds::Run, "the delayed caller sees it");

        let readers = [share(&path).unwrap(), share(&path).unwrap()];
        assert!(Claim::open(path.clone(), "run").is_err(), "a run is not changed while it is read");
        drop(readers);
        assert!(Claim::open(path, "run").is_ok());
    }

    #[test]
    fn a_start_that_died_early_left_nothing_and_a_part_of_a_run_is_no_run() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path();
        assert_eq!(look(path), Holds::Nothing);
        for (name, content, holds) in [
            ("logs", "", Holds::Nothing),
            ("run.writing", "{", Holds::Nothing),
            (METRICS, "", Holds::Nothing),
            (IDENTITY, "{}", Holds::Nothing),
            (METRICS, "{}", Holds::Part(METRICS)),
            (CONFIG, "", Holds::Run),
            (SWEEP, "", Holds::Sweep),
        ] {
            fs::write(path.join(name), content).unwrap();
            assert_eq!(look(path), holds, "{name}");
        }
        fs::remove_file(path.join(SWEEP)).unwrap();
        fs::remove_file(path.join(IDENTITY)).unwrap();
        assert_eq!(look(path), Holds::Part(CONFIG));
    }
}
