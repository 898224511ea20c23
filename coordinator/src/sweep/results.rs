//! `results.md`: the results of a sweep, with the measured times and the commands that repeat the trials.

use super::ledger::Record;
use super::score::percent;
use super::space::Settings;
use super::spec::Spec;
use super::table::{
    Ranked, accuracy, angles, angles_head, by_case, dash, endings, markdown, plain, ranked, tried,
};

/// The text of the page, for a sweep of cases or over the matrix of the primitives; `common` are the settings of
/// all trials.
pub fn results<'a>(
    spec: &Spec,
    common: &Settings,
    records: impl Iterator<Item = &'a Record>,
) -> Option<String> {
    let records: Vec<&Record> = records.collect();
    if records.iter().any(|record| record.case.is_some()) {
        return Some(cases(spec, common, &records));
    }
    let ranked = ranked(spec.objective, &records);
    (!ranked.is_empty()).then(|| matrix(&angles_head(&records), ranked))
}

fn cases(spec: &Spec, common: &Settings, records: &[&Record]) -> String {
    let angles_of = angles_head(records);
    // Other work on the host can only slow a run down, so the fastest run counts.
    let fastest = "images/s, fastest";
    let head = ["rule", "trials", "test accuracy", "lowest to highest", &angles_of, fastest];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut commands = String::new();
    for (case, group) in by_case(records) {
        let [average, low, high] = accuracy(&group).map(percent);
        let fastest = group.iter().filter_map(|record| record.images_per_s).reduce(f64::max);
        let speed = fastest.map_or_else(dash, |speed| format!("{speed:.0}"));
        let range = format!("{low} to {high}");
        rows.push(vec![case.to_owned(), endings(&group), average, range, angles(&group), speed]);
        let command = group.first().map_or_else(String::new, |record| command(spec, common, record));
        commands += &format!("# {case}\n{command}\n");
    }
    format!("{}\n```sh\n{commands}```\n", markdown(&rows))
}

/// The command that repeats a trial's training.
fn command(spec: &Spec, common: &Settings, record: &Record) -> String {
    let sets = common.iter().chain(&record.settings);
    let sets: String = sets.map(|(key, value)| format!(" --set '{key}={}'", plain(value))).collect();
    format!("target/release/coordinator train --local --config {}{sets}", spec.base.display())
}

fn matrix(angles_of: &str, ranked: Vec<Ranked>) -> String {
    let head = ["primitives", "reads W", "trials", "test accuracy", "with", angles_of];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for Ranked { subset, reads_weight, endings, best } in ranked {
        rows.push(vec![
            subset.to_string(),
            reads_weight.to_owned(),
            endings,
            percent(best.and_then(|best| best.test_top1)),
            best.map_or_else(dash, |best| tried(best).replace("rule.", "")),
            best.map_or_else(dash, |best| angles(&[best])),
        ]);
    }
    markdown(&rows)
}
