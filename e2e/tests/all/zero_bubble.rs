//! Tests of late gradients and of a B that follows its W late: a residual network with batch norm ends in the same bits under
//! every schedule, with W and B on one host and on two, and however the run is disturbed.

use e2e::harm::{eventually, node, saving, signal};
use e2e::{Bench, Coordinator, Run};
use std::path::Path;
use std::time::Duration;

const KEYS: &str = r#"
[train]
epochs = 2
batch = 32
[optimizer]
lr = 0.05
[pipeline]
microbatches = 6
stages = "per_layer"
"#;
const SCHEDULES: [&str; 3] = ["gpipe", "one_f_one_b", "zero_bubble"];

fn same(found: &Run, due: &Run, of: &str) {
    assert_eq!(found.history(), due.history(), "{of}: loss history");
    assert_eq!(found.digests(), due.digests(), "{of}: digests");
}

#[test]
fn every_schedule_ends_in_the_same_bits_on_one_host_and_on_two() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    for rule in ["backprop", "weight_mirror", "symmetric_alignment"] {
        let named = format!("rule.name={rule}");
        let whole = bench.trained(&config, &format!("{rule}-whole"), &[&named, "pipeline.stages=1"]);
        // Only a rule that reads no W learns on another host.
        let placements: &[&str] =
            if rule == "weight_mirror" { &["together", "split"] } else { &["together"] };
        for (schedule, placement) in
            SCHEDULES.iter().flat_map(|one| placements.iter().map(move |at| (one, at)))
        {
            let of = format!("{rule}-{schedule}-{placement}");
            let set = [format!("pipeline.schedule={schedule}"), format!("pipeline.placement={placement}")];
            same(&bench.trained(&config, &of, &[&named, &set[0], &set[1]]), &whole, &of);
        }
    }
}

/// Every step has a second span of U, in which B follows.
#[test]
fn the_part_of_b_is_seen_in_the_trace() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let updates = |rule: &str| {
        let run = bench.trained(&config, rule, &[&format!("rule.name={rule}"), "train.max_steps=4"]);
        let trace = run.json("trace.json");
        let events = trace["traceEvents"].as_array().unwrap().iter();
        events.filter(|event| event["name"] == "U" && event["cat"] == "train").count()
    };
    assert_eq!([updates("backprop"), updates("weight_mirror")], [5 * 4, 5 * 4 * 2]);
}

fn start(bench: &Bench, config: &Path, name: &str, more: &[&str]) -> Coordinator {
    bench.start(name, config, &[&["--local"], more].concat())
}

/// Neither the end of a run between the two parts of an update nor the death of a node leaves a state of half an update.
#[test]
fn a_disturbed_run_goes_on_from_whole_updates() {
    let bench = Bench::new();
    let config = bench.config(&saving(20).replace("[pipeline]", "[pipeline]\nschedule = \"zero_bubble\""));
    let mirror = ["--set", "rule.name=weight_mirror"];
    let undisturbed =
        bench.trained(&config, "undisturbed", &["rule.name=weight_mirror", "pipeline.schedule=gpipe"]);
    for (at, more) in [(5, &[][..]), (30, &["--resume", "auto"])] {
        let coordinator = start(&bench, &config, "disturbed", &[&mirror, more].concat()).wait_for_steps(at);
        coordinator.signal("-INT");
        let ended = coordinator.ended();
        assert_eq!(ended.code, Some(75), "{}", ended.stderr);
    }
    let more = ["--resume", "auto", "--restarts", "1"];
    let coordinator = start(&bench, &config, "disturbed", &[&mirror[..], &more].concat()).wait_for_steps(60);
    eventually("a node", || node(&bench.path("runs/disturbed/state/stage-1")).is_some());
    signal("-KILL", node(&bench.path("runs/disturbed/state/stage-1")).unwrap());
    std::thread::sleep(Duration::from_millis(1500));
    let ended = coordinator.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    same(&bench.run("disturbed"), &undisturbed, "disturbed");
}
