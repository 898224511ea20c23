//! Asynchronous training beside training that flushes every step, and beside PyTorch's limit: in images per second on this
//! host, and by the share of time in which stages compute where every link takes its time.

use super::case::{Case, DEMO, LIMIT, RESNET};
use super::pipeline::{INDEPENDENT, pytorch, set_up};
use super::process::{coordinator, finish};
use super::turns::{self, Contender, in_turn};
use super::{Bounds, Options, Row};
use crate::hosts::network::{Host, Network};
use crate::hosts::programs::{self, Program};
use crate::hosts::security::Security;
use crate::hosts::wires::Delay;
use crate::json::numbers;
use crate::prerequisites::{self, IPROUTE, PYTHON};
use crate::release::{self, Profile};
use crate::run::{Failure, Root, say};
use std::fs;
use std::path::Path;

/// The bounds of a ratio that is only shown.
const SHOWN: Bounds = (0.0, 1.0);
/// Floor and goal of the share of time in which the stage that computes least computes.
const SHARE: Bounds = (0.9, 0.97);
/// How long every packet takes to its host, in milliseconds.
const DELAY: u32 = 2;
/// The schedules that are compared, with their names.
const SCHEDULES: [(&str, &str); 3] = [
    ("asynchronous", "pipeline.schedule=asynchronous"),
    ("1F1B", "pipeline.schedule=one_f_one_b"),
    ("zero bubble", "pipeline.schedule=zero_bubble"),
];
/// The setting that leaves the balance of two stages to the times of this machine.
const BALANCED: &str = "pipeline.stages=2";

/// A case beside the limit, with the words that make the script's network the same, and the bounds.
const CASES: [(Case, &str, Bounds); 2] = [
    (
        Case { settings: &["data.kind=cifar10", "model.name=resnet18", BALANCED], ..RESNET },
        "--network=resnet18",
        (0.96, 1.0),
    ),
    (
        Case {
            name: "the demo's network, 5 stages",
            settings: &["data.kind=idx", "pipeline.stages=per_layer"],
            ..DEMO
        },
        "--network=fashion",
        (0.92, 1.0),
    ),
];

/// Trains both cases asynchronously, flushed and by PyTorch, in turn; then on hosts with slow links.
pub fn asynchronous(root: &Root, options: &Options) -> Result<Vec<Row>, Failure> {
    set_up(root)?;
    let programs = &release::programs(root, Profile::Release)?;
    let folder = &programs.join("bench-asynchronous");
    let mut rows = Vec::new();
    for (case, network, bounds) in &CASES {
        let case = &case.shorter(options.is_short);
        case.make_data(folder)?;
        let cut = &balanced(root, programs, folder, case)?;
        let ours = SCHEDULES.map(|(name, schedule)| Contender {
            name,
            bounds: SHOWN,
            measure: Box::new(move || case.train(root, programs, folder, &[cut, schedule])),
        });
        let (name, words) = INDEPENDENT;
        let limit = Contender {
            name,
            bounds: *bounds,
            measure: Box::new(move || pytorch(case, root, &[words, &[network]].concat(), folder)),
        };
        let contenders: Vec<_> = ours.into_iter().chain([limit]).collect();
        let measured = in_turn(case.name, options.rounds, &contenders)?;
        rows.extend(turns::rows_beside("asynchronous", case.name, &contenders, &measured));
    }
    rows.extend(shares(root, programs, folder, options)?);
    _ = fs::remove_dir_all(folder);
    Ok(rows)
}

/// The setting of the cut of `case`: the one that it names, or the one that balances its two stages by times measured now.
fn balanced(root: &Root, build: &Path, folder: &Path, case: &Case) -> Result<String, Failure> {
    let named = case.settings.iter().find(|setting| setting.starts_with("pipeline.stages="));
    let named = named.map_or(String::new(), |named| (*named).to_owned());
    if named != BALANCED {
        return Ok(named);
    }
    let mut plan = coordinator(root, build, "plan", folder, &case.settings(&[]));
    plan.args(["--measure", "--local", "--json"]).env("NEUROPIL_LAYER_NODE", build.join("layer-node"));
    let printed = finish(&mut plan, LIMIT, &folder.join("plan.log"), |_| ())?;
    let first = second_stage(&printed)
        .ok_or_else(|| "`coordinator plan --json` printed no second stage".to_owned())?;
    say(&format!("{}: the second stage begins with {first}", case.name));
    Ok(format!("pipeline.stages=[\"{first}\"]"))
}

/// The first layer of the second stage of a plan.
fn second_stage(plan: &str) -> Option<&str> {
    plan.split("\"layers\":[\"").nth(2)?.split('"').next()
}

/// The share of time in which two balanced stages compute on two hosts, with a delay on every link.
fn shares(root: &Root, build: &Path, folder: &Path, options: &Options) -> Result<Vec<Row>, Failure> {
    prerequisites::check(&[IPROUTE, PYTHON])?;
    let case = &CASES[0].0.shorter(options.is_short);
    case.make_data(folder)?;
    let cut = &balanced(root, build, folder, case)?;
    let bed = &Bed { root, build, folder, network: Network::make(&["coordinator", "stage0", "stage1"])? };
    let _delay = Delay::start(root, &bed.network, folder, DELAY)?;
    let mut contenders = SCHEDULES.map(|(name, schedule)| Contender {
        name,
        bounds: SHOWN,
        measure: Box::new(move || bed.share(case, &[cut, schedule])),
    });
    contenders[0].bounds = SHARE;
    let name = format!("{} on two hosts, {DELAY} ms to each", case.name);
    let measured = in_turn(&name, options.rounds, &contenders)?;
    let row = |(Contender { name: way, bounds, .. }, shares): (&Contender<'_>, &Vec<f64>)| {
        let all = vec![100.0; shares.len()];
        let case = format!("{name}, {way}: time");
        Row { unit: "% of the time", ..turns::rates("asynchronous", case, shares, &all, *bounds) }
    };
    Ok(contenders.iter().zip(&measured).map(row).collect())
}

/// Hosts with two stages and a coordinator.
struct Bed<'a> {
    root: &'a Root,
    build: &'a Path,
    folder: &'a Path,
    network: Network,
}

impl Bed<'_> {
    /// Trains, and returns the per cent of time in which the stage that computes least computes.
    fn share(&self, case: &Case, settings: &[&str]) -> Result<f64, Failure> {
        let stages: Vec<&Host> = ["stage0", "stage1"].iter().map(|name| self.network.host(name)).collect();
        let (security, state) = (Security::Plaintext, self.folder.join("nodes"));
        _ = fs::remove_dir_all(&state);
        let made = fs::create_dir_all(&state);
        made.map_err(|error| Failure::from(format!("cannot make {}: {error}", state.display())))?;
        let node = |(number, host): (usize, &&Host)| {
            programs::node(host, self.build, &state, &security.stage(number))
        };
        let _nodes = stages.iter().enumerate().map(node).collect::<Result<Vec<Program>, _>>()?;
        let run_dir = self.folder.join("run");
        _ = fs::remove_dir_all(&run_dir);
        let settings = case.settings(settings);
        let plain = coordinator(self.root, self.build, "train", self.folder, &settings);
        let mut train = self.network.host("coordinator").command(self.build.join("coordinator"));
        train.current_dir(self.root.path()).args(plain.get_args());
        train.args(["--nodes", &programs::nodes(&stages)]).args(security.coordinator());
        train.arg("--run-dir").arg(&run_dir);
        finish(&mut train, LIMIT, &self.folder.join("coordinator.log"), |_| ())?;
        let metrics = fs::read_to_string(run_dir.join("metrics.jsonl")).unwrap_or_default();
        let share = least_share(&metrics, case, stages.len());
        Ok(share.ok_or_else(|| format!("{} does not hold all steps", run_dir.display()))?)
    }
}

/// The per cent of time in which the stage that computes least computes, over the steps that count.
fn least_share(metrics: &str, case: &Case, stages: usize) -> Option<f64> {
    let rates = numbers(metrics, "images_per_s");
    let computed = numbers(metrics, "compute_s");
    let counted = case.counted();
    let seconds: f64 = rates.get(counted.clone())?.iter().map(|rate| f64::from(case.batch) / rate).sum();
    let of_stage = |stage: usize| -> f64 {
        let steps = computed.chunks(stages).skip(counted.start).take(counted.len());
        steps.filter_map(|step| step.get(stage)).sum()
    };
    let shares = (0..stages).map(|stage| 100.0 * of_stage(stage) / seconds);
    (computed.len() == rates.len() * stages).then(|| shares.fold(f64::INFINITY, f64::min))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_the_stage_that_computes_least() {
        let line = "{\"images_per_s\":128,\"stages\":[{\"compute_s\":0.75},{\"compute_s\":0.5}]}\n";
        let case = Case { steps: 2, ..DEMO };
        let metrics = line.repeat(case.counted().end + 3);
        assert_eq!(least_share(&metrics, &case, 2), Some(50.0));
        assert_eq!(least_share("{\"images_per_s\":128}", &case, 2), None);
    }

    #[test]
    fn the_cut_is_read_off_a_plan() {
        let plan = r#"{"stages":[{"stage":0,"layers":["a","b"]},{"stage":1,"layers":["c"]}],"lanes":[]}"#;
        assert_eq!(second_stage(plan), Some("c"));
        assert_eq!(second_stage("{}"), None);
    }
}
