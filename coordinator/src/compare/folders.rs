//! The runs of a comparison: folders of runs as they are, and of sweeps the trials that trained to their end.

use crate::plural::plural;
use crate::report::Run;
use crate::run_error::RunError;
use crate::sweep::{self, EndedTrials};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A run, and what its sweep calls its case.
#[derive(Debug)]
pub struct Member {
    /// The run; its name tells it from the others.
    pub run: Run,
    /// The name of the trial's case, or its combination of primitives.
    pub name: Option<String>,
}

/// The runs of all folders in order, each once, and a sentence for each sweep of which trials are left out.
///
/// # Errors
/// A folder that is neither a run's nor a sweep's, a file that cannot be read, or a sweep without a whole trial.
pub fn read(folders: &[PathBuf]) -> Result<(Vec<Member>, Vec<String>), RunError> {
    let (mut members, mut remarks, mut known) = (Vec::new(), Vec::new(), Known::default());
    for folder in folders {
        match (known.is_new(folder), sweep::is_sweep(folder)) {
            (true, true) => trials(folder, &mut known, &mut members, &mut remarks)?,
            (true, false) => members.push(Member { run: run(folder)?, name: None }),
            (false, _) => {}
        }
    }
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for Member { run, .. } in &mut members {
        let time = times.entry(run.name.clone()).or_default();
        *time += 1;
        if *time > 1 {
            run.name = format!("{} ({time})", run.name);
        }
    }
    Ok((members, remarks))
}

fn run(folder: &Path) -> Result<Run, RunError> {
    Run::read(folder).map_err(RunError::configuration)
}

/// The folders that were read: a run that counted twice would narrow the range of its case.
#[derive(Default)]
struct Known(BTreeSet<PathBuf>);

impl Known {
    fn is_new(&mut self, folder: &Path) -> bool {
        self.0.insert(folder.canonicalize().unwrap_or_else(|_| folder.to_owned()))
    }
}

fn trials(
    folder: &Path,
    known: &mut Known,
    members: &mut Vec<Member>,
    remarks: &mut Vec<String>,
) -> Result<(), RunError> {
    let EndedTrials { whole, left_out } = sweep::ended(folder)?;
    let named = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = named.file_name().unwrap_or(named.as_os_str()).to_string_lossy().into_owned();
    if whole.is_empty() {
        let why = match left_out.as_slice() {
            [] => "no trial has begun".to_owned(),
            left_out => left_out.join(", "),
        };
        return Err(RunError::configuration(format!(
            "the sweep in {} has no trial that trained to its end ({why}): go on with it by --resume, or leave it out",
            folder.display()
        )));
    }
    let used = plural(whole.len() as u64, "trial");
    for trial in whole.into_iter().filter(|trial| known.is_new(&trial.folder)) {
        let mut run = run(&trial.folder)?;
        run.name = format!("{name}/{}", run.name);
        members.push(Member { run, name: trial.name });
    }
    if !left_out.is_empty() {
        remarks.push(format!("Of the sweep {name} {used} stand here; left out: {}.", left_out.join(", ")));
    }
    Ok(())
}
