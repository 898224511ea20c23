//! `cargo xtask results --asynchronous`: the same rules under schedules that flush and under the asynchronous one, with and
//! without each remedy for delays, as one table for each network. What has been trained already is not trained again.

use crate::hosts::network::output;
use crate::json::numbers;
use crate::page::{self, PAGE};
use crate::release;
use crate::run::{Failure, Root, say, step};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A way to train: its name in the table, the name of its folder, and its settings.
type Way = (&'static str, &'static str, &'static [&'static str]);

const ASYNCHRONOUS: &str = "pipeline.schedule=asynchronous";
const EVERY_ONE: &str = "pipeline.update_every=1";
const DIVIDED: &str = "staleness.divide_rate=true";
const SHRUNK: &str = "staleness.shrink=0.5";
const SPIKES: &str = "staleness.compensate_spikes=true";
/// A gradient counts a hundredth in a step with this momentum, and a tenth of that sum is usual: so the rate is ten times
/// the usual one.
const AHEAD: [&str; 4] = [
    "staleness.look_ahead=true",
    "optimizer.momentum=0.99",
    "optimizer.lr_batch=13",
    "optimizer_b.lr_batch=13",
];

/// The schedules that flush have the same bits, so they are one way.
const WAYS: [Way; 11] = [
    ("flushed", "flushed", &[]),
    ("k = M", "m", &[ASYNCHRONOUS]),
    ("k = M, rate divided by the delay", "m-divided", &[ASYNCHRONOUS, DIVIDED]),
    ("k = M, error shrunk by 0.5", "m-shrunk", &[ASYNCHRONOUS, SHRUNK]),
    ("k = M, look-ahead", "m-ahead", &[ASYNCHRONOUS, AHEAD[0], AHEAD[1], AHEAD[2], AHEAD[3]]),
    ("k = M, spikes compensated", "m-spikes", &[ASYNCHRONOUS, SPIKES]),
    ("k = 1", "1", &[ASYNCHRONOUS, EVERY_ONE]),
    ("k = 1, rate divided by the delay", "1-divided", &[ASYNCHRONOUS, EVERY_ONE, DIVIDED]),
    ("k = 1, error shrunk by 0.5", "1-shrunk", &[ASYNCHRONOUS, EVERY_ONE, SHRUNK]),
    ("k = 1, look-ahead", "1-ahead", &[ASYNCHRONOUS, EVERY_ONE, AHEAD[0], AHEAD[1], AHEAD[2], AHEAD[3]]),
    ("k = 1, spikes compensated", "1-spikes", &[ASYNCHRONOUS, EVERY_ONE, SPIKES]),
];

/// A network with its data: the name of the table, the settings, and the number of ways.
struct Study {
    name: &'static str,
    settings: &'static [&'static str],
    ways: &'static [usize],
}

const SWEEP: &str = "examples/asynchronous.toml";
const STUDIES: [Study; 2] = [
    Study {
        name: "asynchronous-demo",
        settings: &["train.epochs=1", "data.limit=30000"],
        ways: &[0, 1, 6, 5, 3, 2, 4, 10, 8, 7, 9],
    },
    Study {
        name: "asynchronous-resnet",
        settings: &[
            "model.name=resnet18",
            "model.width=16",
            "data.kind=idx",
            "data.path=data/fashion-mnist-32",
            "pipeline.stages=4",
            "train.epochs=1",
            "data.limit=10000",
            "data.test_limit=2000",
        ],
        ways: &[0, 1, 6, 5, 10],
    },
];

/// Trains what is missing, and fills both tables of the page as far as there are results.
pub fn asynchronous(root: &Root) -> Result<(), Failure> {
    let (coordinator, data) = release::ready(root)?;
    root.script("scripts/pad_idx.py")?;
    for Study { name, settings, ways } in STUDIES {
        for &(_, way, of_way) in ways.iter().map(|way| &WAYS[*way]) {
            let mut sweep = root.command(&coordinator);
            sweep.env("NEUROPIL_DATA", &data);
            sweep.args(["sweep", "--local", "--resume", "--config", SWEEP, "--run-dir", &folder(name, way)]);
            settings.iter().chain(of_way).for_each(|set| _ = sweep.args(["--set", set]));
            step(&mut sweep)?;
            page::put(root, name, &table(root, name, ways)?)?;
        }
    }
    page::put(root, "asynchronous-memory", &memory(root, &coordinator, &data)?)?;
    say(&format!("the tables stand in {PAGE}"));
    Ok(())
}

/// The memory of all stages as `coordinator plan` predicts it, and what stashes of weights would take beside it.
fn memory(root: &Root, coordinator: &Path, data: &Path) -> Result<String, Failure> {
    let mut text = "| network, k | W and B, with momentum and gradients | activations | PipeDream's stashes | 2BW's stash |\n\
                    |---|---|---|---|---|\n"
        .to_owned();
    for Study { name, settings, .. } in STUDIES {
        for every in [4, 1] {
            let mut plan = root.command(coordinator);
            plan.env("NEUROPIL_DATA", data).args(["plan", "--json", "--config", "examples/fashion.toml"]);
            let own = [ASYNCHRONOUS.to_owned(), format!("pipeline.update_every={every}")];
            let sets = settings.iter().map(|set| (*set).to_owned()).chain(own);
            sets.for_each(|set| _ = plan.args(["--set", &set]));
            let [weights, activations, stashes, second] = bytes(&output(&mut plan)?);
            let mib = |bytes: f64| format!("{:.1} MiB", bytes / f64::from(1 << 20));
            let network = name.trim_start_matches("asynchronous-");
            _ = writeln!(
                text,
                "| {network}, k = {every} | {} | {} | {} | {} |",
                mib(weights),
                mib(activations),
                mib(stashes),
                mib(second)
            );
        }
    }
    Ok(text)
}

/// The bytes of a plan's weights and activations, of the versions of W beside the newest that PipeDream would keep, one for
/// each update between a forward and its backward pass, and of the one that PipeDream-2BW would keep.
fn bytes(plan: &str) -> [f64; 4] {
    let sum = |key: &str| numbers(plan, key).iter().sum::<f64>();
    // The first number is that of the whole network.
    let parameters: Vec<f64> = numbers(plan, "parameters").into_iter().skip(1).collect();
    let stages = parameters.iter().zip(numbers(plan, "delay"));
    let stashes = stages.map(|(parameters, delay)| 4.0 * parameters * delay.ceil()).sum();
    [sum("weights"), sum("activations"), stashes, 4.0 * parameters.iter().sum::<f64>()]
}

fn folder(study: &str, way: &str) -> String {
    format!("runs/results-{study}/{way}")
}

/// The test accuracies of each rule and way, and the angles of the lowest and of the highest layer, as means over the seeds.
fn table(root: &Root, study: &str, ways: &[usize]) -> Result<String, Failure> {
    let mut order = ways.to_vec();
    order.sort_unstable();
    let mut columns: Vec<(&str, Vec<Case>)> = Vec::new();
    for (name, way, _) in order.iter().map(|way| WAYS[*way]) {
        let ledger = root.join(&format!("{}/trials.jsonl", folder(study, way)));
        if let Ok(text) = fs::read_to_string(ledger) {
            columns.push((name, cases(&text)));
        }
    }
    let Some((_, first)) = columns.first() else { return Ok(String::new()) };
    let names: Vec<&String> = first.iter().map(|case| &case.name).collect();
    let mut text = "| schedule |".to_owned();
    names.iter().for_each(|name| _ = write!(text, " {name} |"));
    text += &format!("\n|---|{}\n", "---|".repeat(names.len()));
    for (way, cases) in &columns {
        _ = write!(text, "| {way} |");
        for name in &names {
            let cell = cases.iter().find(|case| case.name == **name).map(Case::cell);
            _ = write!(text, " {} |", cell.unwrap_or_else(|| "–".into()));
        }
        text.push('\n');
    }
    Ok(text)
}

/// The finished trials of one rule.
struct Case {
    name: String,
    accuracies: Vec<f64>,
    /// The angle between W and B of each layer in the first trial, in degrees.
    angles: Vec<f64>,
    diverged: usize,
}

impl Case {
    /// The mean accuracy with its range, and the angles.
    fn cell(&self) -> String {
        let percent = |fraction: f64| format!("{:.2}", 100.0 * fraction);
        let diverged = if self.diverged > 0 { format!("{} diverged", self.diverged) } else { String::new() };
        if self.accuracies.is_empty() {
            return diverged;
        }
        let mean = self.accuracies.iter().sum::<f64>() / self.accuracies.len() as f64;
        let [least, most] =
            [f64::min, f64::max].map(|of| self.accuracies.iter().copied().reduce(of).unwrap_or(f64::NAN));
        let mut cell = format!("{} % ({} to {})", percent(mean), percent(least), percent(most));
        if let [lowest, .., highest] = self.angles[..]
            && self.angles.iter().any(|angle| *angle > 0.0)
        {
            _ = write!(cell, ", {lowest:.0}° … {highest:.0}°");
        }
        if !diverged.is_empty() {
            _ = write!(cell, ", {diverged}");
        }
        cell
    }
}

/// The trials of a ledger by their rules, in the order of their first trials.
fn cases(ledger: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in ledger.lines() {
        let Some((name, rest)) = line.split_once("\"case\":\"").and_then(|(_, rest)| rest.split_once('"'))
        else {
            continue;
        };
        if !cases.iter().any(|case| case.name == name) {
            let [accuracies, angles] = [Vec::new(), Vec::new()];
            cases.push(Case { name: name.into(), accuracies, angles, diverged: 0 });
        }
        let Some(case) = cases.iter_mut().find(|case| case.name == name) else { continue };
        match numbers(rest, "test_top1").first() {
            Some(accuracy) if rest.contains("\"status\":\"done\"") => {
                case.accuracies.push(*accuracy);
                if case.angles.is_empty() {
                    case.angles = angles(rest);
                }
            }
            _ => case.diverged += 1,
        }
    }
    cases
}

/// The numbers of the object "angles".
fn angles(line: &str) -> Vec<f64> {
    let object = line.split_once("\"angles\":{").and_then(|(_, rest)| rest.split_once('}'));
    let pairs = object.map_or("", |(pairs, _)| pairs).split(',');
    pairs.filter_map(|pair| pair.rsplit_once(':')?.1.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_becomes_a_cell_for_each_rule() {
        let line = |case: &str, status: &str, top1: &str| {
            format!(
                "{{\"trial\":0,\"case\":\"{case}\",\"settings\":{{}},\"status\":\"{status}\",\"test_top1\":{top1},\"angles\":{{\"a\":80.4,\"b\":12.0}}}}\n"
            )
        };
        let ledger = [
            line("one", "done", "0.8"),
            line("two", "diverged", "null"),
            line("one", "done", "0.9"),
            line("one", "diverged", "null"),
        ];
        let cells: Vec<String> = cases(&ledger.concat()).iter().map(Case::cell).collect();
        assert_eq!(cells, ["85.00 % (80.00 to 90.00), 80° … 12°, 1 diverged", "1 diverged"]);
    }

    #[test]
    fn stashes_follow_from_the_delays_of_a_plan() {
        let plan = r#"{"parameters":30,"stages":[{"parameters":10,"delay":1.25,"memory":{"weights":7,"activations":5}},
            {"parameters":20,"delay":0.25,"memory":{"weights":3,"activations":2}}],"parameters_end":0}"#;
        assert_eq!(bytes(plan), [10.0, 7.0, 4.0 * (10.0 * 2.0 + 20.0), 120.0]);
    }

    #[test]
    fn every_way_has_a_folder_and_a_name_of_its_own() {
        for (at, (name, folder, _)) in WAYS.iter().enumerate() {
            assert!(WAYS[..at].iter().all(|other| other.0 != *name && other.1 != *folder), "{name}");
        }
        for study in STUDIES {
            assert!(study.ways.iter().all(|way| *way < WAYS.len()), "{}", study.name);
        }
    }
}
