//! The trials of a sweep as sessions on TensorBoard's HParams page, each with what it set and how it ended.

use super::ledger::{Record, Status};
use super::space::{Plan, Settings};
use crate::record::RunIdentity;
use crate::record::hparams::{self, Ended, Parameters, Value};
use crate::run_error::RunError;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The metrics: the curve of each, and the name that people read.
const METRICS: [(&str, &str); 3] =
    [("test/top1", "test accuracy"), ("test/top5", "test accuracy, top 5"), ("test/loss", "test loss")];

/// Writes the columns of the page into the sweep's `folder`, if they are not there yet.
pub fn begin(folder: &Path, name: &str, plan: &Plan) -> Result<(), RunError> {
    match hparams::is_there(folder) {
        true => Ok(()),
        false => hparams::write_experiment(folder, name, &columns(plan), &METRICS),
    }
}

/// Writes the session of an ended trial into its run `folder`. A trial that failed before it had one has no session.
pub fn end(folder: &Path, record: &Record) -> Result<(), RunError> {
    if !folder.is_dir() {
        return Ok(());
    }
    let began =
        RunIdentity::read(folder, "").ok().and_then(|run| run.starts.first().map(|start| start.unix_time));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let ended = Ended {
        well: matches!(record.status, Status::Done | Status::Stopped),
        began: began.unwrap_or(0),
        at: now,
    };
    hparams::write_session(folder, &of_record(record), ended)
}

/// Writes the session of an ended trial, if it is not there yet.
pub fn fill(folder: &Path, record: &Record) -> Result<(), RunError> {
    if hparams::is_there(folder) { Ok(()) } else { end(folder, record) }
}

/// Every hyperparameter of the sweep, with a value as an example: those of the first trial of each arm.
fn columns(plan: &Plan) -> Parameters {
    let mut columns = Parameters::new();
    for trial in plan.firsts() {
        let subset = plan.subset(trial).map(ToString::to_string);
        for (name, value) in parameters(plan.case(trial).cloned(), subset, &plan.propose(trial, &[])) {
            columns.entry(name).or_insert(value);
        }
    }
    columns
}

fn of_record(record: &Record) -> Parameters {
    parameters(record.case.clone(), record.subset.as_ref().map(ToString::to_string), &record.settings)
}

fn parameters(case: Option<String>, subset: Option<String>, settings: &Settings) -> Parameters {
    let settings = settings.iter().map(|(key, value)| (key.clone(), parameter(value)));
    let names = [("case", case), ("primitives", subset)];
    let names = names.into_iter().filter_map(|(key, name)| Some((key.to_owned(), Value::Text(name?))));
    settings.chain(names).collect()
}

fn parameter(value: &toml::Value) -> Value {
    match value {
        toml::Value::Float(number) => Value::Number(*number),
        toml::Value::Integer(number) => Value::Number(*number as f64),
        toml::Value::Boolean(switch) => Value::Switch(*switch),
        toml::Value::String(text) => Value::Text(text.clone()),
        other => Value::Text(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::tests::record;
    use super::super::spec::Spec;
    use super::*;

    #[test]
    fn the_columns_are_what_any_trial_sets() {
        let text = "base = \"b\"\nmethod = \"grid\"\n[space]\nseed = { values = [0, 1] }\n[[case]]\nname = \"bp\"\n\
            set.rule.name = \"backprop\"\n[[case]]\nname = \"sa\"\nset.rule = { self = 0.5, decay = 1 }\n";
        let plan = Plan::new(&Spec::parse(text, "sweep.toml").unwrap()).unwrap();
        let text = |text: &str| Value::Text(text.into());
        let due = [
            ("case", text("bp")),
            ("rule.decay", Value::Number(1.0)),
            ("rule.name", text("backprop")),
            ("rule.self", Value::Number(0.5)),
            ("seed", Value::Number(0.0)),
        ];
        assert_eq!(columns(&plan), due.map(|(name, value)| (name.to_owned(), value)).into());
    }

    #[test]
    fn a_trial_without_a_folder_has_no_session_and_the_others_one() {
        let folder = tempfile::tempdir().unwrap();
        let failed = record(0, Status::Failed, None);
        end(&folder.path().join("trial-000"), &failed).unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        let done = Record { case: Some("a".into()), ..record(1, Status::Done, Some(0.5)) };
        fill(folder.path(), &done).unwrap();
        assert!(hparams::is_there(folder.path()));
        let names: Vec<String> = of_record(&done).into_keys().collect();
        assert_eq!(names, ["case", "optimizer.lr"]);
    }
}
