//! Tests of asynchronous lanes: counting alone decides which weights each action sees, so the same configuration ends in the
//! same bits, however fast each node is and however the run is disturbed.

use e2e::harm::{eventually, failed, node, saving, signal};
use e2e::{Bench, Coordinator, Ended, Run};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Every step has whole microbatches, at the end of an epoch too.
const KEYS: &str = r#"
[rule]
name = "kolen_pollack"
[alarm]
kolen_pollack = true
[train]
epochs = 4
batch = 30
[optimizer]
lr = 0.05
[pipeline]
microbatches = 3
schedule = "asynchronous"
stages = "per_layer"
"#;

fn same(found: &Run, due: &Run, of: &str) {
    assert_eq!(found.history(), due.history(), "{of}: loss history");
    assert_eq!(found.digests(), due.digests(), "{of}: digests");
}

/// Trains as the run `name` while `harm` is called with the state folders of the stages, again and again.
fn trained_under(
    bench: &Bench,
    config: &Path,
    name: &str,
    sets: &[&str],
    harm: impl Fn(&[PathBuf]) + Sync,
) -> Run {
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let coordinator = bench.start(name, config, &[&["--local"], &sets[..]].concat());
    let states: Vec<PathBuf> =
        (0..5).map(|stage| bench.path(&format!("runs/{name}/state/stage-{stage}"))).collect();
    eventually("all nodes", || states.iter().all(|state| node(state).is_some()));
    let ended = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Relaxed) {
                harm(&states);
            }
        });
        let result = coordinator.ended();
        ended.store(true, Relaxed);
        result
    });
    assert_eq!(result.code, Some(0), "{name}: {}", result.stderr);
    bench.run(name)
}

/// Stops a process for a while, if it still runs.
fn pause(state: &Path, stopped: Duration, running: Duration) {
    if let Some(process) = node(state) {
        let process = process.to_string();
        let send = |signal: &str| _ = std::process::Command::new("kill").args([signal, &process]).output();
        send("-STOP");
        std::thread::sleep(stopped);
        send("-CONT");
    }
    std::thread::sleep(running);
}

#[test]
fn the_same_bits_whoever_is_slow() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let milliseconds = Duration::from_millis;
    for (every, ahead) in [(3_u32, 1), (1, 2)] {
        let sets = [format!("pipeline.update_every={every}"), format!("pipeline.ahead={ahead}")];
        let sets = sets.each_ref().map(String::as_str);
        let due = bench.trained(&config, &format!("due-{every}"), &sets);
        let again = bench.trained(&config, &format!("again-{every}"), &sets);
        same(&again, &due, "run twice");
        // A node has a tenth of its time.
        let slow = |states: &[PathBuf]| pause(&states[2], milliseconds(45), milliseconds(5));
        same(&trained_under(&bench, &config, &format!("slow-{every}"), &sets, slow), &due, "a slow node");
        let random = std::sync::Mutex::new(numbers(u64::from(every)));
        let stumble = |states: &[PathBuf]| {
            let mut random = random.lock().unwrap();
            let (victim, stopped) = (random() as usize % 5, random() % 120);
            pause(&states[victim], milliseconds(stopped), milliseconds(random() % 40));
        };
        same(
            &trained_under(&bench, &config, &format!("stumbling-{every}"), &sets, stumble),
            &due,
            "stumbling nodes",
        );
        let split = ["pipeline.placement=split", "alarm.kolen_pollack=false"];
        let split = bench.trained(&config, &format!("split-{every}"), &[&sets[..], &split].concat());
        same(&split, &due, "W and B on two hosts");
    }
}

/// Knuth's linear congruential generator.
fn numbers(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 40
    }
}

/// The order of a step's own actions is that of 1F1B, so a drain after every step makes the runs alike.
#[test]
fn only_what_is_not_flushed_differs_from_a_flushed_run() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let flushed = bench.trained(&config, "flushed", &["pipeline.schedule=one_f_one_b"]);
    let every_step = bench.trained(&config, "drained", &["snapshot.every_steps=1"]);
    same(&every_step, &flushed, "drained after every step");
    let free = bench.trained(&config, "free", &[]);
    assert_ne!(free.digests(), flushed.digests());
    let drained = bench.trained(&config, "seldom", &["snapshot.every_steps=2"]);
    assert_ne!(drained.digests(), free.digests(), "drains are part of the result");
}

/// The law is checked in every step, at stages with delays of their own and steps of their own.
#[test]
fn every_rule_learns_and_the_law_holds_under_every_remedy() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let remedies = [
        "staleness.divide_rate=true",
        "staleness.shrink=0.5",
        "staleness.look_ahead=true",
        "staleness.compensate_spikes=true",
    ];
    let every = "pipeline.update_every=1";
    let mut found: Vec<Run> = vec![bench.trained(&config, "none", &[every])];
    for (number, remedy) in remedies.iter().enumerate() {
        found.push(bench.trained(&config, &format!("remedy-{number}"), &[every, remedy]));
    }
    found.push(bench.trained(&config, "all", &[&[every], &remedies[..]].concat()));
    let digests: Vec<_> = found.iter().map(Run::digests).collect();
    for (number, one) in digests.iter().enumerate() {
        assert!(digests[..number].iter().all(|other| other != one), "every remedy changes the steps");
    }
    let product = ["rule.name=product_feedback_alignment", every];
    bench.trained(&config, "product", &[&product[..], &remedies[..]].concat());
    for rule in
        ["backprop", "feedback_alignment", "symmetric_alignment", "weight_mirror", "activation_alignment"]
    {
        let sets = [
            &format!("rule.name={rule}"),
            "alarm.kolen_pollack=false",
            "train.max_steps=12",
            "optimizer.lr=0.01",
        ];
        bench.trained(&config, rule, &sets);
    }
}

fn start(bench: &Bench, config: &Path, name: &str, more: &[&str]) -> Coordinator {
    bench.start(name, config, &[&["--local"], more].concat())
}

fn finished(coordinator: Coordinator) -> Ended {
    let ended = coordinator.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

#[test]
fn a_disturbed_run_goes_on_from_a_drain() {
    let bench = Bench::new();
    let config = bench.config(&saving(20).replace("[pipeline]", "[pipeline]\nschedule = \"asynchronous\""));
    let undisturbed = bench.trained(&config, "undisturbed", &[]);
    for (at, more) in [(5, &[][..]), (31, &["--resume", "auto"])] {
        let coordinator = start(&bench, &config, "disturbed", more).wait_for_steps(at);
        coordinator.signal("-INT");
        let ended = coordinator.ended();
        assert_eq!(ended.code, Some(75), "{}", ended.stderr);
    }
    let coordinator = start(&bench, &config, "disturbed", &["--resume", "auto"]).wait_for_steps(60);
    coordinator.signal("-KILL");
    coordinator.ended();
    let more = ["--resume", "auto", "--restarts", "2"];
    let coordinator = start(&bench, &config, "disturbed", &more).wait_for_steps(90);
    eventually("a node", || node(&bench.path("runs/disturbed/state/stage-1")).is_some());
    signal("-KILL", node(&bench.path("runs/disturbed/state/stage-1")).unwrap());
    finished(coordinator);
    same(&bench.run("disturbed"), &undisturbed, "disturbed");
}

#[test]
fn what_decides_the_versions_stays_when_a_run_goes_on() {
    let bench = Bench::new();
    let config = bench.config(&saving(1).replace("[pipeline]", "[pipeline]\nschedule = \"asynchronous\""));
    bench.trained(&config, "run", &[]);
    let tries = |key: &str| {
        let mut train =
            bench.coordinator(&["train", "--local", "--resume", "auto", "--name", "run", "--config"]);
        train.arg(&config).args(["--set", "train.epochs=2", "--set", key]).output().unwrap().into()
    };
    for key in ["pipeline.stages=2", "pipeline.ahead=2", "pipeline.schedule=gpipe", "snapshot.every_steps=5"]
    {
        failed(&tries(key), 2, &["a run keeps this key", "which weights each action sees"]);
    }
    failed(&tries("pipeline.recompute=true"), 2, &["would see newer weights"]);
    failed(&tries("pipeline.microbatches=3"), 2, &["does not divide"]);
}
