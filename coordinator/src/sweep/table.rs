//! The table of a sweep: results only, so that interruptions do not change its text.

use super::ledger::{Record, Status};
use super::primitives::Subset;
use super::score::{Objective, percent};
use super::space::Settings;
use std::collections::BTreeMap;
use toml::Value;

/// The columns of a trial's results.
const RESULTS: [&str; 4] = ["test_top1", "test_top5", "loss", "angle"];

/// The table in Markdown: a row per trial, or per combination of primitives.
pub fn table<'a>(name: &str, objective: Objective, records: impl Iterator<Item = &'a Record>) -> String {
    let records: Vec<&Record> = records.collect();
    let best = objective.best(records.iter().copied()).map_or_else(
        || "no trial came to its end".to_owned(),
        |best| format!("the best is trial {} with {}", best.trial, objective.show(best)),
    );
    let matrix = ranked(objective, &records);
    let rows = if records.iter().any(|record| record.case.is_some()) {
        of_cases(&records)
    } else if matrix.is_empty() {
        of_trials(&records)
    } else {
        of_subsets(matrix)
    };
    let trials = if records.len() == 1 { "trial" } else { "trials" };
    format!("# {name}\n\n{} {trials} ({}); {best}.\n\n{}", records.len(), endings(&records), markdown(&rows))
}

fn of_trials(records: &[&Record]) -> Vec<Vec<String>> {
    let keys: Vec<String> =
        records.first().map_or(Vec::new(), |record| record.settings.keys().cloned().collect());
    let head =
        ["trial".to_owned()].into_iter().chain(keys.clone()).chain(["status", "steps"].map(str::to_owned));
    let mut rows = vec![head.chain(RESULTS.map(str::to_owned)).collect::<Vec<_>>()];
    for record in records {
        let counts = Some(*record).filter(|record| record.status != Status::Failed);
        let mut row = vec![record.trial.to_string()];
        row.extend(keys.iter().map(|key| record.settings.get(key).map_or_else(dash, plain)));
        row.push(record.status.word().to_owned());
        row.push(counts.map_or_else(dash, |record| record.steps.to_string()));
        row.extend(results(counts));
        rows.push(row);
    }
    rows
}

/// The trials of each case, in the order of the cases in the file.
pub fn by_case<'a>(records: &[&'a Record]) -> Vec<(&'a str, Vec<&'a Record>)> {
    let mut groups: Vec<(&str, Vec<&Record>)> = Vec::new();
    for record in records {
        let Some(case) = &record.case else { continue };
        match groups.iter_mut().find(|(name, _)| name == case) {
            Some((_, group)) => group.push(record),
            None => groups.push((case, vec![record])),
        }
    }
    groups
}

fn of_cases(records: &[&Record]) -> Vec<Vec<String>> {
    let angles_of = angles_head(records);
    let head = ["case", "trials", "test_top1", "lowest", "highest", "loss", &angles_of];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (case, group) in by_case(records) {
        let [mean, low, high] = accuracy(&group).map(percent);
        // The loss of a stopped trial shows only the time of the stop, so it does not count.
        let done = group.iter().filter(|record| record.status == Status::Done);
        let losses: Vec<f64> = done.filter_map(|record| record.loss).collect();
        let loss = super::score::mean(&losses).map_or_else(dash, short);
        rows.push(vec![case.to_owned(), endings(&group), mean, low, high, loss, angles(&group)]);
    }
    rows
}

/// The mean, least and largest test accuracy of the completed trials.
pub fn accuracy(group: &[&Record]) -> [Option<f64>; 3] {
    let all: Vec<f64> = group.iter().filter_map(|record| record.test_top1).collect();
    [super::score::mean(&all), all.iter().copied().reduce(f64::min), all.iter().copied().reduce(f64::max)]
}

/// The heading of [`angles`]: the layers in their order.
pub fn angles_head(records: &[&Record]) -> String {
    let done = records.iter().find(|record| record.status == Status::Done);
    let layers: Vec<&str> =
        done.into_iter().flat_map(|record| record.angles.keys().map(String::as_str)).collect();
    format!("angles of {}", layers.join(", "))
}

/// The mean angle of every layer, in whole degrees, as in `1° 12°`.
pub fn angles(group: &[&Record]) -> String {
    let ended: Vec<&&Record> = group.iter().filter(|record| record.status == Status::Done).collect();
    let Some(first) = ended.first() else { return dash() };
    let mean = |layer: &String| {
        let all: Vec<f64> = ended.iter().filter_map(|record| *record.angles.get(layer)?).collect();
        super::score::mean(&all).map_or_else(dash, |mean| format!("{mean:.0}°"))
    };
    first.angles.keys().map(mean).collect::<Vec<_>>().join(" ")
}

/// A combination of the primitives, with the results of its trials.
pub struct Ranked<'a> {
    pub subset: &'a Subset,
    /// Whether the combination reads W.
    pub reads_weight: &'static str,
    /// The endings of its trials.
    pub endings: String,
    /// The best of its trials.
    pub best: Option<&'a Record>,
}

/// Each combination of the matrix with its best trial, the best combination first; empty for other sweeps.
pub fn ranked<'a>(objective: Objective, records: &[&'a Record]) -> Vec<Ranked<'a>> {
    let mut groups: BTreeMap<&Subset, Vec<&Record>> = BTreeMap::new();
    for record in records {
        if let Some(subset) = &record.subset {
            groups.entry(subset).or_default().push(record);
        }
    }
    let of_group = |(subset, records): (&'a Subset, Vec<&'a Record>)| Ranked {
        subset,
        reads_weight: if subset.reads_weight() { "yes" } else { "no" },
        endings: endings(&records),
        best: objective.best(records.iter().copied()),
    };
    let mut ranked: Vec<Ranked> = groups.into_iter().map(of_group).collect();
    let score = |one: &Ranked| one.best.and_then(|best| objective.score(best)).unwrap_or(f64::NEG_INFINITY);
    // The sort is stable: equals stay in the order of their names.
    ranked.sort_by(|a, b| score(b).total_cmp(&score(a)));
    ranked
}

fn of_subsets(matrix: Vec<Ranked>) -> Vec<Vec<String>> {
    let head = ["primitives", "reads W", "trials", "best", "with"].into_iter().chain(RESULTS);
    let mut rows = vec![head.map(str::to_owned).collect::<Vec<_>>()];
    for Ranked { subset, reads_weight, endings, best } in matrix {
        let mut row = vec![subset.to_string(), reads_weight.to_owned(), endings];
        row.push(best.map_or_else(dash, |best| best.trial.to_string()));
        row.push(best.map_or_else(dash, tried));
        row.extend(results(best));
        rows.push(row);
    }
    rows
}

/// The settings of a trial, without the keys that its primitives imply.
pub fn tried(record: &Record) -> String {
    let implied = record.subset.as_ref().map_or_else(Settings::new, Subset::settings);
    let own = record.settings.iter().filter(|(key, _)| !implied.contains_key(*key));
    own.map(|(key, value)| format!("{key} = {}", plain(value))).collect::<Vec<_>>().join(", ")
}

/// The end of a trial in one sentence, without its full stop.
pub fn ended(objective: Objective, record: &Record) -> String {
    let result = match (record.status, &record.error) {
        (Status::Done, _) => objective.show(record),
        (Status::Stopped, _) => format!("after step {}, above the median", record.steps),
        (_, error) => error.clone().unwrap_or_default(),
    };
    let case = record.case.as_ref().map_or_else(String::new, |case| format!("{case}: "));
    format!("trial {} ({case}{}) {}: {result}", record.trial, tried(record), record.status.word())
}

/// The cells of [`RESULTS`].
fn results(record: Option<&Record>) -> [String; 4] {
    let angles = record.into_iter().flat_map(|record| record.angles.values().copied().flatten());
    let mean = super::score::mean(&angles.collect::<Vec<_>>());
    [
        percent(record.and_then(|record| record.test_top1)),
        percent(record.and_then(|record| record.test_top5)),
        record.and_then(|record| record.loss).map_or_else(dash, short),
        mean.map_or_else(dash, |mean| format!("{mean:.1}°")),
    ]
}

/// A loss in short form, because a loss that has diverged is long.
fn short(loss: f64) -> String {
    if loss.abs() < 1e4 { format!("{loss:.4}") } else { format!("{loss:.1e}") }
}

/// The number of trials for each ending, as in `3 done, 1 stopped`.
pub fn endings(records: &[&Record]) -> String {
    let ways = [Status::Done, Status::Stopped, Status::Diverged, Status::Failed];
    let counts = ways.map(|way| (records.iter().filter(|record| record.status == way).count(), way.word()));
    let some = counts.iter().filter(|(count, _)| *count > 0);
    some.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

pub fn dash() -> String {
    "–".to_owned()
}

/// A value without quotes; a very small or large number without its zeros.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(number) if *number != 0.0 && !(1e-3..1e6).contains(&number.abs()) => {
            format!("{number:e}")
        }
        value => value.to_string(),
    }
}

/// A table in Markdown with aligned columns; the first row is the head.
pub fn markdown(rows: &[Vec<String>]) -> String {
    let safe = |row: &Vec<String>| row.iter().map(|cell| cell.replace('|', "\\|")).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(safe).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let cell = |row: &[String], column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let widths: Vec<usize> =
        (0..columns).map(|column| rows.iter().map(|row| cell(row, column)).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} |"));
        format!("|{}\n", cells.collect::<String>())
    };
    let rule: String = widths.iter().map(|width| format!("{}|", "-".repeat(width + 2))).collect();
    let (head, body) = (rows.iter().take(1).map(line), rows.iter().skip(1).map(line));
    head.chain([format!("|{rule}\n")]).chain(body).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::ledger::tests::record;

    #[test]
    fn a_sweep_has_a_row_per_trial_and_names_the_best() {
        let mut records = [
            record(0, Status::Done, Some(0.5)),
            record(1, Status::Done, Some(0.75)),
            record(2, Status::Stopped, None),
            record(3, Status::Failed, None),
        ];
        records[3].steps = 7;
        let expected = "\
# lr

4 trials (2 done, 1 stopped, 1 failed); the best is trial 1 with test_top1 75.00 %.

| trial | optimizer.lr         | status  | steps | test_top1 | test_top5 | loss   | angle |
|-------|----------------------|---------|-------|-----------|-----------|--------|-------|
| 0     | 0.1                  | done    | 10    | 50.00 %   | 50.00 %   | 0.3333 | 45.0° |
| 1     | 0.05                 | done    | 10    | 75.00 %   | 75.00 %   | 0.3333 | 45.0° |
| 2     | 0.03333333333333333  | stopped | 10    | –         | –         | 0.3333 | 45.0° |
| 3     | 0.025                | failed  | –     | –         | –         | –      | –     |
";
        let expected = expected.replace("lr         ", "lr        ").replace("333  |", "333 |");
        let found = table("lr", Objective::TestTop1, records.iter());
        let squeeze =
            |text: &str| text.split([' ', '-']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        assert_eq!(squeeze(&found), squeeze(&expected), "{found}");
        // Times and speeds are not a part of the result.
        let seen = found.clone();
        records.iter_mut().for_each(|record| (record.seconds, record.images_per_s) = (None, Some(1.0)));
        assert_eq!(table("lr", Objective::TestTop1, records.iter()), seen);
    }

    #[test]
    fn a_case_has_a_row_with_the_mean_and_the_range_of_its_trials() {
        let of = |trial, case: &str, status, top1| Record {
            case: Some(case.into()),
            ..record(trial, status, top1)
        };
        let records = [
            of(0, "b|c", Status::Done, Some(0.5)),
            Record { angles: [("fc1".to_owned(), None)].into(), ..of(0, "b|c", Status::Done, Some(0.6)) },
            of(1, "a", Status::Diverged, None),
            of(2, "b|c", Status::Done, Some(0.7)),
            Record { loss: Some(9.0), ..of(3, "b|c", Status::Failed, None) },
            Record { loss: Some(9.0), ..of(4, "b|c", Status::Stopped, None) },
        ];
        let found = table("rules", Objective::TestTop1, records.iter());
        let rows: Vec<&str> = found.lines().skip(6).collect();
        let cells = |row: &str| {
            row.replace("\\|", "/").split('|').map(str::trim).map(str::to_owned).collect::<Vec<_>>()[1..8]
                .to_vec()
        };
        assert_eq!(
            cells(rows[0]),
            ["b/c", "3 done, 1 stopped, 1 failed", "60.00 %", "50.00 %", "70.00 %", "0.3333", "45°"]
        );
        assert_eq!(cells(rows[1]), ["a", "1 diverged", "–", "–", "–", "–", "–"]);
    }

    #[test]
    fn a_layer_without_an_angle_has_a_dash() {
        let angles = [("fc1".to_owned(), None), ("fc2".to_owned(), Some(30.0))].into();
        let some = Record { angles, ..record(0, Status::Done, Some(0.5)) };
        let none = Record { angles: [("fc1".to_owned(), None)].into(), ..record(1, Status::Done, None) };
        assert_eq!(
            (super::angles(&[&some]), results(Some(&some))[3].clone()),
            ("– 30°".into(), "30.0°".into())
        );
        assert_eq!((super::angles(&[&none]), results(Some(&none))[3].clone()), ("–".into(), "–".into()));
    }

    #[test]
    fn a_matrix_has_a_row_per_combination_with_its_best_the_best_first() {
        let of = |trial, members: &str, status, top1| {
            let mut record = record(trial, status, top1);
            let subset: Subset = serde_json::from_str(members).unwrap();
            record.settings.extend(subset.settings());
            record.settings.insert("rule.amp".into(), Value::Float(0.0005));
            record.subset = Some(subset);
            record
        };
        let records = [
            of(0, "[\"amp\"]", Status::Done, Some(0.25)),
            of(1, "[\"self\", \"amp\"]", Status::Done, Some(0.5)),
            of(2, "[\"amp\"]", Status::Diverged, None),
            of(3, "[\"amp\"]", Status::Done, Some(0.3)),
        ];
        let found = table("matrix", Objective::TestTop1, records.iter());
        let rows: Vec<&str> = found.lines().filter(|line| line.starts_with("| amp")).collect();
        assert_eq!(rows.len(), 2, "{found}");
        assert!(rows[0].starts_with("| amp+self   | yes"), "{found}");
        assert!(
            rows[1].contains("| 2 done, 1 diverged | 3    | optimizer.lr = 0.025, rule.amp = 5e-4 |"),
            "{found}"
        );
        assert!(rows[1].contains("30.00 %"), "{found}");
    }
}
