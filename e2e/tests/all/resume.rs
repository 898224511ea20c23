//! Tests of resuming: an interrupted, killed or restarted run ends in the bits of an undisturbed run.

use e2e::harm::{eventually, failed, node, saving, signal};
use e2e::{Bench, Coordinator, Ended, Run};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

/// The configuration of a run of 400 steps.
fn keys() -> String {
    saving(40)
}

fn start(bench: &Bench, config: &Path, name: &str, more: &[&str]) -> Coordinator {
    bench.start(name, config, &[&["--local"], more].concat())
}

/// Interrupts a run, which must end as interrupted.
fn interrupted(coordinator: Coordinator) -> Ended {
    coordinator.signal("-INT");
    let ended = coordinator.ended();
    assert_eq!(ended.code, Some(75), "{}", ended.stderr);
    ended
}

/// Resumes a run and waits for its successful end.
fn resumed(bench: &Bench, config: &Path, name: &str) -> Ended {
    finished(start(bench, config, name, &["--resume", "auto"]))
}

/// Waits for the successful end of a run.
fn finished(coordinator: Coordinator) -> Ended {
    let ended = coordinator.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

/// The messages that training consumed over all starts: both ends of each link, where both are stages, agree.
fn consumed(run: &Run) -> Value {
    let ledger = run.json("ledger.json");
    let last = ledger["starts"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["consumed_since"], &last["missing"]), (&0.into(), &Value::Array(Vec::new())));
    for record in last["consumed"].as_array().unwrap() {
        let ends = [&record["from"], &record["to"]].into_iter().filter(|end| **end != "coordinator");
        assert_eq!(record["counted_by"].as_array().unwrap().len(), ends.count(), "{record}");
    }
    last["consumed"].clone()
}

/// Checks that state, losses and evaluations equal those of the undisturbed run.
pub fn same(disturbed: &Run, undisturbed: &Run) {
    assert_eq!(disturbed.history(), undisturbed.history());
    assert_eq!(disturbed.digests(), undisturbed.digests());
    assert_eq!(consumed(disturbed), consumed(undisturbed), "the messages that made this state");
    let (summary, whole) = (disturbed.summary(), undisturbed.summary());
    assert_eq!(summary["status"], "done");
    // The summary covers all starts together.
    for (node, other) in summary["nodes"].as_array().unwrap().iter().zip(whole["nodes"].as_array().unwrap()) {
        for key in ["bytes_sent", "bytes_received", "layers"] {
            assert_eq!(node[key], other[key], "{key}");
        }
    }
    let trained = summary["images_per_s"].as_f64().unwrap() * summary["seconds"].as_f64().unwrap();
    let images = whole["images_per_s"].as_f64().unwrap() * whole["seconds"].as_f64().unwrap();
    assert!((trained - images).abs() < 0.5, "{trained} images, not {images}");
}

/// A coordinator that reaches no node must not change the run's recorded end.
fn a_start_that_changes_nothing_leaves_the_end_as_it_was(bench: &Bench, config: &Path, name: &str) {
    let (run, nobody) = (bench.run(name), "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3");
    let before = run.summary();
    assert_eq!(before["status"], "interrupted");
    let mut train = bench.coordinator(&["train", "--nodes", nobody, "--resume", "auto", "--name", name]);
    train.args(["--set", "network.connect_deadline=1", "--config"]).arg(config);
    failed(&train.output().unwrap().into(), 4, &["could not be reached"]);
    assert_eq!(run.summary(), before);
    assert!(run.folder.join("report.html").exists());
}

/// A killed run has no recorded end, but it has states that can be evaluated. An evaluation is no start of the run.
fn evaluated_although_killed(bench: &Bench, name: &str) {
    let run = bench.run(name);
    let evaluate = |step: &str| -> Ended {
        let folder = run.folder.to_str().unwrap();
        bench.ended(&["evaluate", "--json", "--step", step, "--run", folder])
    };
    for word in ["last", "best"] {
        failed(&evaluate(word), 2, &["has not ended", "--resume auto", "--step a number"]);
    }
    assert!(!run.folder.join("report.html").exists());
    let known = run.json("run.json");
    let ended = evaluate(&known["saved"].to_string());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(run.json("run.json"), known);
}

#[test]
fn however_a_run_is_disturbed_it_ends_in_the_same_bits() {
    let bench = Bench::new();
    let config = bench.config(&keys());
    let undisturbed = bench.trained(&config, "undisturbed", &[]);

    // The run is interrupted twice in the middle of an epoch, and resumed.
    for (at, more) in [(5, &[][..]), (30, &["--resume", "auto"])] {
        interrupted(start(&bench, &config, "interrupted", more).wait_for_steps(at));
    }
    resumed(&bench, &config, "interrupted");
    same(&bench.run("interrupted"), &undisturbed);

    // The coordinator is killed, after an earlier start has recorded an end.
    interrupted(start(&bench, &config, "killed", &[]).wait_for_steps(5));
    a_start_that_changes_nothing_leaves_the_end_as_it_was(&bench, &config, "killed");
    start(&bench, &config, "killed", &["--resume", "auto"]).wait_for_steps(25).kill();
    eventually("the end of the nodes", || node(&bench.path("runs/killed")).is_none());
    evaluated_although_killed(&bench, "killed");
    resumed(&bench, &config, "killed");
    same(&bench.run("killed"), &undisturbed);

    // Nodes are killed, and the run continues by itself.
    let mut coordinator = start(&bench, &config, "restarted", &["--restarts", "2"]);
    for (stage, at) in [("stage-1", 10), ("stage-2", 50)] {
        coordinator = coordinator.wait_for_steps(at);
        signal("-KILL", node(&bench.path("runs/restarted/state").join(stage)).expect("a node"));
        std::thread::sleep(Duration::from_millis(1500));
    }
    let ended = finished(coordinator);
    assert_eq!(ended.stderr.matches("rolling back and going on").count(), 2, "{}", ended.stderr);
    same(&bench.run("restarted"), &undisturbed);
}

#[test]
fn a_run_interrupted_in_its_last_evaluation_is_not_done() {
    let bench = Bench::new();
    // Evaluation takes minibatches of the same size: 53 minibatches after 10 steps.
    let keys = keys()
        .replace("batch = 16", "batch = 1\nmax_steps = 10")
        .replace("microbatches = 2", "microbatches = 1");
    let config = bench.config(&keys);
    let undisturbed = bench.trained(&config, "undisturbed", &[]);
    let ended = interrupted(start(&bench, &config, "interrupted", &[]).wait_for_steps(10));
    assert!(ended.last_line().contains("after step 10 of 10"), "{}", ended.stderr);
    resumed(&bench, &config, "interrupted");
    same(&bench.run("interrupted"), &undisturbed);
}

#[test]
fn a_run_that_goes_back_forgets_what_it_gives_up_at_once() {
    let bench = Bench::new();
    let config = bench.config(&keys());
    interrupted(start(&bench, &config, "back", &[]).wait_for_steps(15));
    let stage = bench.path("runs/back/state/stage-0");
    let mut held: Vec<_> = std::fs::read_dir(stage).unwrap().map(|entry| entry.unwrap().path()).collect();
    held.sort();
    let [earlier, .., newest] = &held[..] else { panic!("{held:?}") };
    let step = earlier.to_str().unwrap().rsplit('-').next().unwrap();

    // The run takes no snapshot before the end of its 400 steps, when older snapshots would be removed anyway.
    let _back = start(&bench, &config, "back", &["--resume", step, "--set", "snapshot.every_steps=0"]);
    eventually("the newest is forgotten", || !newest.exists());
    assert!(bench.run("back").metrics().len() < 300, "forgotten only at the end");
    assert!(earlier.exists());
}

#[test]
fn what_all_nodes_had_is_never_given_up_unasked() {
    let bench = Bench::new();
    let config = bench.config(&keys());
    let undisturbed = bench.trained(&config, "undisturbed", &[]);
    let run = bench.run("lost");
    let [state, away] = [run.folder.join("state/stage-1"), bench.path("away")];
    let lost = ["stage 1 at unix:/", "has not the snapshot after step", "--resume 0"];

    // A node comes back with an empty state folder, while the coordinator restarts by itself.
    let coordinator = start(&bench, &config, "lost", &["--restarts", "3"]).wait_for_steps(25);
    let killed = node(&state).expect("a node");
    // A stopped node saves nothing in between.
    signal("-STOP", killed);
    std::fs::rename(&state, &away).unwrap();
    signal("-KILL", killed);
    let ended = coordinator.ended();
    failed(&ended, 4, &lost);
    assert_eq!(ended.stderr.matches("rolling back").count(), 1, "which does not help: {}", ended.stderr);
    let kept = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        entries.filter(|name| name.to_str().unwrap().starts_with("step-")).count()
    };
    let (held, steps) = (kept(&run.folder.join("state/stage-0")), run.steps());
    failed(&start(&bench, &config, "lost", &["--resume", "auto"]).ended(), 4, &lost);

    // The state is back, but now the history is missing.
    eventually("the end of the node", || node(&state).is_none());
    std::fs::remove_dir(&state).unwrap();
    std::fs::rename(&away, &state).unwrap();
    let [history, aside] = [run.folder.join("metrics.jsonl"), bench.path("aside")];
    std::fs::rename(&history, &aside).unwrap();
    let ended = start(&bench, &config, "lost", &["--resume", "auto"]).ended();
    failed(&ended, 4, &["lost/metrics.jsonl is whole up to step 0 only", "--resume 0"]);
    std::fs::rename(&aside, &history).unwrap();

    // The failed starts removed no snapshot and no step.
    assert_eq!((kept(&run.folder.join("state/stage-0")), run.steps()), (held, steps));
    let ended = resumed(&bench, &config, "lost");
    assert!(ended.stderr.contains("going on after step"), "{}", ended.stderr);
    same(&run, &undisturbed);

    // `--resume 0` begins again.
    std::fs::remove_dir_all(&state).unwrap();
    let ended = finished(start(&bench, &config, "lost", &["--resume", "0"]));
    assert!(ended.stderr.contains("beginning from the seed"), "{}", ended.stderr);
    same(&run, &undisturbed);
}

/// Zeroes the end of a stage's newest snapshot, and keeps its length. Returns the snapshot's step.
fn damage(run: &Run, stage: usize) -> u64 {
    let step = run.snapshots(stage).pop().expect("a snapshot");
    let file = run.folder.join(format!("state/stage-{stage}/step-{step:08}/stage.safetensors"));
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.len() - 64;
    bytes[end..].fill(0);
    std::fs::write(file, bytes).unwrap();
    step
}

#[test]
fn a_damaged_snapshot_leads_to_the_one_before_it() {
    let bench = Bench::new();
    let config = bench.config(&keys());
    let undisturbed = bench.trained(&config, "undisturbed", &[]);
    interrupted(start(&bench, &config, "damaged", &[]).wait_for_steps(30));
    let run = bench.run("damaged");

    let before = run.snapshots(0);
    let step = damage(&run, 1);
    assert_eq!(before.last(), Some(&step), "a snapshot that all have");
    let ended = resumed(&bench, &config, "damaged");
    let older = before[before.len() - 2];
    for said in [
        &format!("step-{step:08}/stage.safetensors was damaged"),
        &format!("lies in damaged-step-{step:08} now"),
        "going back to the one before",
        &format!("going on after step {older}, "),
        &format!("steps {} to {step} are run again", older + 1),
    ] {
        assert!(ended.stderr.contains(said), "'{said}' is not said in: {}", ended.stderr);
    }
    same(&run, &undisturbed);

    // Where no common snapshot is left, the run is refused, and whole snapshots stay.
    let before = run.snapshots(0);
    let newest = damage(&run, 1);
    std::fs::remove_dir_all(run.folder.join(format!("state/stage-2/step-{newest:08}"))).unwrap();
    damage(&run, 2);
    let ended = start(&bench, &config, "damaged", &["--resume", "auto", "--restarts", "3"]).ended();
    failed(&ended, 4, &["has not the snapshot after step", "which all nodes had", "--resume 0"]);
    assert_eq!(run.snapshots(0), before);
}

/// Starts a run and interrupts it a second after the first sign of its delay phase.
fn interrupted_in_the_delay_phase(bench: &Bench, config: &Path, more: &[&str]) -> String {
    let mut coordinator = start(bench, config, "delayed", more);
    let mut stderr = BufReader::new(coordinator.child().stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("delay phase") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    std::thread::sleep(Duration::from_secs(1));
    coordinator.signal("-INT");
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(coordinator.ended().code, Some(75), "{said}");
    assert!(said.contains("nothing was trained yet"), "{said}");
    assert!(said.matches("delay phase").count() < 3, "a line every few seconds: {said}");
    said
}

#[test]
fn a_run_interrupted_before_its_first_update_has_saved_nothing_and_begins_again() {
    let bench = Bench::new();
    let config =
        bench.config(&keys().replace("symmetric_alignment\"", "weight_mirror\"\nmirror_delay = 1000000"));
    interrupted_in_the_delay_phase(&bench, &config, &[]);
    assert!(!bench.path("runs/delayed/state/stage-0/step-00000000").exists());
    let said = interrupted_in_the_delay_phase(&bench, &config, &["--resume", "auto"]);
    assert!(said.contains("beginning from the seed"), "{said}");
}

#[test]
fn what_cannot_be_resumed_says_why() {
    let bench = Bench::new();
    let config = bench.config(&keys());
    let short = ["--set", "train.max_steps=8"];
    finished(start(&bench, &config, "short", &short));
    let cases: [(&str, &[&str], &str); 3] = [
        ("nobody", &["--resume", "3"], "runs/nobody"),
        ("short", &["--resume", "3", "--set", "train.max_steps=8"], "stage 0 has no snapshot after step 3"),
        (
            "short",
            &["--resume", "auto", "--set", "train.max_steps=8", "--set", "seed=1"],
            "'seed' is 1 here and 0 in",
        ),
    ];
    for (name, more, said) in cases {
        let ended = start(&bench, &config, name, more).ended();
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.last_line().contains(said), "{}", ended.stderr);
    }
    finished(start(&bench, &config, "short", &["--resume", "7", "--set", "train.max_steps=8"]));
    assert_eq!(bench.run("short").metrics().len(), 8);
}
