//! One deep narrow network in 1 to 64 stages on this host: what many nodes cost, beside one node.

use super::deep::{BATCH, Deep};
use super::turns::{Contender, costs, in_turn, rates, times};
use super::watched::Watched;
use super::{Bounds, Options, Row, resident};
use crate::release::{self, Profile};
use crate::run::{Failure, Root};
use std::cell::RefCell;
use std::fs;

/// Weight layers of the network, which are the most stages.
const LAYERS: usize = 64;
/// The cuts.
const STAGES: [(&str, usize); 7] = [
    ("1 stage", 1),
    ("2 stages", 2),
    ("4 stages", 4),
    ("8 stages", 8),
    ("16 stages", 16),
    ("32 stages", 32),
    ("64 stages", 64),
];
/// The cuts of a quick look.
const FEW: [(&str, usize); 3] = [STAGES[0], STAGES[3], STAGES[6]];
/// The bounds of a ratio that is only shown.
const SHOWN: Bounds = (0.0, 1.0);
/// Floor and goal of a time by stage, of 8 stages beside 64: a time that grows linearly has a ratio of 1 or more.
const LINEAR: Bounds = (0.8, 1.0);

/// Trains in every cut by turns.
pub fn stages(root: &Root, options: &Options) -> Result<Vec<Row>, Failure> {
    let build = release::programs(root, Profile::Release)?;
    let deep = Deep::new(root, &build, "stages", options)?;
    let cuts = if options.is_short { &FEW[..] } else { &STAGES };
    let seen = RefCell::new(vec![Vec::new(); cuts.len()]);
    let contender = |(at, &(name, stages)): (usize, &(&'static str, usize))| {
        let (deep, seen) = (&deep, &seen);
        let measure = move || {
            let watched = deep.train(LAYERS, stages)?;
            seen.borrow_mut()[at].push(watched);
            Ok(watched.rate)
        };
        Contender { name, bounds: SHOWN, measure: Box::new(measure) }
    };
    let contenders: Vec<_> = cuts.iter().enumerate().map(contender).collect();
    in_turn("64 layers, images/s", options.rounds, &contenders)?;
    drop(contenders);
    let seen = seen.into_inner();
    let mut rows = Vec::new();
    for (&(name, _), many) in cuts.iter().zip(&seen).skip(1) {
        rows.extend(beside_one(name, many, &seen[0]));
    }
    let at = |stages| cuts.iter().position(|cut| cut.1 == stages).map(|at| &seen[at]);
    if let (Some(eight), Some(most)) = (at(8), at(LAYERS)) {
        rows.extend(by_stage(most, eight));
    }
    _ = fs::remove_dir_all(deep.folder());
    Ok(rows)
}

/// The numbers of a kind.
fn all(seen: &[Watched], of: impl Fn(&Watched) -> f64) -> Vec<f64> {
    seen.iter().map(of).collect()
}

/// The rows of many stages beside one.
fn beside_one(name: &str, many: &[Watched], one: &[Watched]) -> [Row; 5] {
    let case = |what: &str| format!("{name}, {what}: 1 stage");
    let cost = |what: &str, of: fn(&Watched) -> f64, unit| {
        costs("stages", case(what), [&all(many, of), &all(one, of)], SHOWN, unit)
    };
    [
        rates("stages", case("speed"), &all(many, |seen| seen.rate), &all(one, |seen| seen.rate), SHOWN),
        cost("coordinator's CPU by image", |seen| 1e3 * seen.cpu / f64::from(BATCH), "us"),
        cost("coordinator's memory", |seen| resident::mib(seen.resident), "MiB"),
        cost("start to the first step", |seen| seen.start, "ms"),
        cost("end after the last step", |seen| seen.stop, "ms"),
    ]
}

/// The rows that say whether times grow linearly at worst: times by stage, of 64 stages beside 8.
fn by_stage(most: &[Watched], eight: &[Watched]) -> [Row; 3] {
    let row = |what: &str, of: fn(&Watched) -> f64| {
        let ours = all(most, |seen| of(seen) / LAYERS as f64);
        let reference = all(eight, |seen| of(seen) / 8.0);
        times("stages", format!("64 stages, {what} by stage: 8 stages"), &ours, &reference, LINEAR)
    };
    [
        row("start", |seen| seen.start),
        row("step", |seen| 1e3 * f64::from(BATCH) / seen.rate),
        row("end", |seen| seen.stop),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_grows_faster_than_the_stages_is_below_the_floor() {
        let at = |stages: f64, power: f64| {
            let time = stages.powf(power);
            vec![Watched { start: time, stop: time, rate: 1.0 / time, cpu: 1.0, resident: 1 }]
        };
        let rows = |power| by_stage(&at(64.0, power), &at(8.0, power));
        assert!(rows(2.0).iter().all(|row| row.ratio < row.floor));
        assert!(rows(1.0).iter().all(|row| (row.ratio - 1.0).abs() < 1e-9));
    }
}
