//! A sweep's folder as a reader finds it: the trials that came to their end, and the count of the others.

use super::folder::trial_name;
use super::ledger::{Record, Status};
use super::spec::Spec;
use super::{primitives::Subset, records, score::Objective};
use crate::record::{SWEEP, lines};
use crate::run_error::RunError;
use proto::disk::cannot;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A trial that trained to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedTrial {
    /// The trial's run folder.
    pub folder: PathBuf,
    /// The name of the trial's case, or its combination of primitives as `amp + decay`.
    pub name: Option<String>,
}

/// The trials of a sweep that a comparison can use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndedTrials {
    /// The trials that trained to their end. In a sweep over the matrix of primitives these are the best trial of each
    /// combination, as in `table.md`.
    pub whole: Vec<EndedTrial>,
    /// How many trials are left out, with the reason in words: `2 diverged`.
    pub left_out: Vec<String>,
}

/// Whether the folder is a sweep's.
pub fn is_sweep(folder: &Path) -> bool {
    folder.join(SWEEP).is_file()
}

/// The trials of the sweep in `folder`. Nothing is written or locked there.
///
/// # Errors
/// A file of the sweep that cannot be read, or is damaged: one sentence that names it.
pub fn ended(folder: &Path) -> Result<EndedTrials, RunError> {
    let objective = Spec::load(&folder.join(SWEEP)).map_err(RunError::configuration)?.objective;
    let begun = begun(&folder.join("trials"))?;
    let mut records = ledger(&folder.join("trials.jsonl"))?;
    for number in &begun {
        if !records.contains_key(number) {
            let alone = folder.join("records").join(format!("{}.json", trial_name(*number)));
            records.extend(records::read(&alone, *number)?.map(|record| (*number, record)));
        }
    }
    Ok(chosen(folder, objective, &begun, &records))
}

/// The numbers of the trials that have a run folder, in order.
fn begun(trials: &Path) -> Result<Vec<usize>, RunError> {
    let entries = match fs::read_dir(trials) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|error| {
            RunError::configuration(cannot("cannot read", trials, &error, "give the folder of another sweep"))
        })?,
    };
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix("trial-")?.parse().ok();
    let mut found: Vec<usize> = entries.filter_map(|entry| number(entry.ok()?)).collect();
    found.sort_unstable();
    Ok(found)
}

/// The records of the ledger; a torn line is skipped.
fn ledger(path: &Path) -> Result<BTreeMap<usize, Record>, RunError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        read => read.map_err(|error| {
            RunError::configuration(cannot("cannot read", path, &error, "give the folder of another sweep"))
        })?,
    };
    let mut records = BTreeMap::new();
    for (number, line) in (1..).zip(lines::split(&text)) {
        let record: Option<Record> = lines::parse(line).map_err(|error| {
            let place = path.display();
            RunError::configuration(format!(
                "line {number} of {place} is not understood ({error}): was it written by another version?"
            ))
        })?;
        records.extend(record.map(|record| (record.trial, record)));
    }
    Ok(records)
}

fn chosen(
    folder: &Path,
    objective: Objective,
    begun: &[usize],
    records: &BTreeMap<usize, Record>,
) -> EndedTrials {
    let mut found = EndedTrials::default();
    for status in [Status::Stopped, Status::Diverged, Status::Failed] {
        let count = records.values().filter(|record| record.status == status).count();
        found.left_out.extend((count > 0).then(|| format!("{count} {}", status.word())));
    }
    let open = begun.iter().filter(|number| !records.contains_key(number)).count();
    found.left_out.extend((open > 0).then(|| format!("{open} not ended")));
    let done = || records.values().filter(|record| record.status == Status::Done);
    let best = best_of_subsets(objective, records.values());
    let stands = |record: &&Record| record.subset.is_none() || best.contains(&record.trial);
    let behind = done().filter(|record| !stands(record)).count();
    found.left_out.extend(
        (behind > 0)
            .then(|| format!("{behind} less good than another of the same combination of primitives")),
    );
    let trial = |record: &Record| EndedTrial {
        folder: folder.join("trials").join(trial_name(record.trial)),
        name: record.case.clone().or(record.subset.as_ref().map(|s| s.to_string().replace('+', " + "))),
    };
    // The trials of a matrix take turns, and the best may be of any turn.
    let first = |record: &&Record| {
        let same = records.values().find(|one| one.subset.is_some() && one.subset == record.subset);
        same.unwrap_or(record).trial
    };
    let mut whole: Vec<&Record> = done().filter(stands).collect();
    whole.sort_by_cached_key(first);
    found.whole = whole.into_iter().map(trial).collect();
    found
}

/// The best trial of each combination of primitives.
fn best_of_subsets<'a>(objective: Objective, records: impl Iterator<Item = &'a Record>) -> Vec<usize> {
    let mut groups: BTreeMap<&Subset, Vec<&Record>> = BTreeMap::new();
    for record in records {
        if let Some(subset) = &record.subset {
            groups.entry(subset).or_default().push(record);
        }
    }
    groups
        .into_values()
        .filter_map(|group| objective.best(group.into_iter()))
        .map(|best| best.trial)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::ledger::tests::record;
    use super::*;

    /// A sweep's folder with these records, and with a trial 9 that has not ended.
    fn folder(records: &[Record]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let spec =
            "base = \"base.toml\"\nmethod = \"random\"\ntrials = 10\n[space]\nseed = { values = [1, 2] }";
        fs::write(dir.path().join(SWEEP), spec).unwrap();
        let line = |record: &Record| serde_json::to_string(record).unwrap() + "\n";
        let text: String = records.iter().map(line).collect();
        fs::write(dir.path().join("trials.jsonl"), text + "{\"trial\": 9, \"sta").unwrap();
        for number in records.iter().map(|record| record.trial).chain([9]) {
            fs::create_dir_all(dir.path().join("trials").join(trial_name(number))).unwrap();
        }
        dir
    }

    #[test]
    fn whole_trials_stand_and_the_others_are_counted() {
        let named = Record { case: Some("a".into()), ..record(0, Status::Done, Some(0.5)) };
        let records = [named, record(1, Status::Diverged, None), record(2, Status::Failed, None)];
        let dir = folder(&records);
        assert!(is_sweep(dir.path()));
        let found = ended(dir.path()).unwrap();
        let due = EndedTrial { folder: dir.path().join("trials/trial-000"), name: Some("a".into()) };
        assert_eq!(found.whole, [due]);
        assert_eq!(found.left_out, ["1 diverged", "1 failed", "1 not ended"]);
    }

    #[test]
    fn of_a_combination_the_best_trial_stands() {
        let of = |trial, members: &str, top1| Record {
            subset: Some(serde_json::from_str(members).unwrap()),
            ..record(trial, Status::Done, Some(top1))
        };
        let (amp, both) = ("[\"amp\"]", "[\"amp\",\"decay\"]");
        let dir = folder(&[of(0, amp, 0.5), of(1, both, 0.6), of(2, amp, 0.7), of(3, both, 0.6)]);
        let found = ended(dir.path()).unwrap();
        let names: Vec<_> = found.whole.iter().map(|trial| trial.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["amp", "amp + decay"], "trials 2 and 1, in the order of their combinations");
        let behind = "2 less good than another of the same combination of primitives";
        assert_eq!(found.left_out, ["1 not ended", behind]);
    }
}
