//! Tests of sweeps: a disturbed sweep gives the same table, and a sweep that cannot start gives the reason.

use e2e::harm::{failed, node, signal, within};
use e2e::{Bench, Coordinator, Ended, Run, binary};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const RUN: &str = r#"
[train]
max_steps = 40
batch = 16
[pipeline]
microbatches = 2
stages = ["down"]
[snapshot]
every_steps = 7
[metrics]
layers_every = 10
"#;

const SWEEP: &str = r#"
base = "config.toml"
method = "tpe"
trials = 12
seed = 3
startup_trials = 4
[set]
rule.name = "symmetric_alignment"
[space]
optimizer.lr = { low = 1e-3, high = 1e3, scale = "log" }
rule.self = { low = 1e-4, high = 1e-1, scale = "log" }
optimizer.nesterov = { values = [true, false] }
[stop]
after_steps = 10
every_steps = 5
"#;

/// Writes a sweep and its base configuration.
fn written(bench: &Bench, sweep: &str) -> PathBuf {
    bench.config(RUN);
    let path = bench.path("sweep.toml");
    std::fs::write(&path, sweep).unwrap();
    path
}

fn start(bench: &Bench, sweep: &Path, folder: &str, more: &[&str]) -> Coordinator {
    let folder = bench.path(folder);
    let mut command = bench.coordinator(&["sweep", "--local", "--parallel", "2", "--config"]);
    command.arg(sweep).arg("--run-dir").arg(&folder).args(more);
    Coordinator::start(command, Run { folder })
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

/// Waits for `condition`, also on a busy host.
fn sooner_or_later(what: &str, condition: impl FnMut() -> bool) {
    within(Duration::from_secs(60), what, condition);
}

/// Waits until `ended` trials have ended and another trial is under way.
fn under_way(folder: &Path, ended: usize) {
    let training = || {
        let runs = std::fs::read_dir(folder.join("trials")).into_iter().flatten().flatten();
        let open = runs.filter(|run| !run.path().join("summary.json").exists());
        open.into_iter().any(|run| (8..35).contains(&lines(&run.path().join("metrics.jsonl"))))
    };
    sooner_or_later("a trial", || lines(&folder.join("trials.jsonl")) >= ended && training());
}

/// The processes that work in a folder.
fn left(folder: &Path) -> String {
    found(&format!("(train|serve) .*{}", folder.display()))
}

fn found(pattern: &str) -> String {
    let output = Command::new("pgrep").args(["-f", pattern]).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn a_sweep_that_is_killed_and_interrupted_comes_to_the_same_table() {
    let bench = Bench::new();
    let sweep = written(&bench, SWEEP);
    let ended = start(&bench, &sweep, "undisturbed", &[]).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let table = |name: &str| std::fs::read_to_string(bench.path(name).join("table.md")).unwrap();
    let undisturbed = table("undisturbed");
    println!("{undisturbed}");
    assert!(ended.stdout.contains(&undisturbed), "{}", ended.stdout);
    assert!(undisturbed.contains(" stopped ") && undisturbed.contains(" done "), "{undisturbed}");

    // The sweep is killed, and resumed while its orphaned trials still save. Then the sweep is interrupted.
    let folder = bench.path("disturbed");
    let killed = start(&bench, &sweep, "disturbed", &[]);
    under_way(&folder, 3);
    killed.kill();
    let interrupted = start(&bench, &sweep, "disturbed", &["--resume"]);
    under_way(&folder, 6);
    interrupted.signal("-INT");
    failed(&interrupted.ended(), 75, &["of 12 trials", "--resume goes on from there"]);

    let ended = start(&bench, &sweep, "disturbed", &["--resume"]).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(table("disturbed"), undisturbed);
    assert_eq!(lines(&folder.join("trials.jsonl")), 12);
}

#[test]
fn what_is_killed_of_a_trial_says_nothing_of_its_settings() {
    let bench = Bench::new();
    let sweep = "base = \"config.toml\"\nmethod = \"grid\"\n[set]\ntrain.max_steps = 160\ntrain.epochs = 30\n\
                 [space]\nseed = { values = [4, 5, 6] }";
    let sweep = written(&bench, sweep);
    let ended = start(&bench, &sweep, "undisturbed", &[]).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let table = |name: &str| std::fs::read_to_string(bench.path(name).join("table.md")).unwrap();

    let folder = bench.path("disturbed");
    let run = |trial: usize| folder.join(format!("trials/trial-00{trial}"));
    let training = |trial: usize| {
        let metrics = run(trial).join("metrics.jsonl");
        sooner_or_later("a trial", || (10..110).contains(&lines(&metrics)));
    };
    let killed = start(&bench, &sweep, "disturbed", &[]);
    training(0);
    let trial = found(&format!("coordinator train .*{}", run(0).display()));
    signal("-KILL", trial.trim().parse().unwrap());
    failed(&killed.ended(), 75, &["trial 0 was killed by signal 9", "--resume goes on from there"]);
    assert_eq!((lines(&folder.join("trials.jsonl")), left(&run(1)).as_str()), (0, ""));

    // A node of a trial is killed: the trial itself continues.
    let resumed = start(&bench, &sweep, "disturbed", &["--resume"]);
    training(2);
    signal("-KILL", node(&run(2)).expect("a node"));
    let ended = resumed.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let log = std::fs::read_to_string(folder.join("logs/trial-002.log")).unwrap();
    assert!(log.contains("rolling back and going on"), "{log}");
    assert_eq!(table("disturbed"), table("undisturbed"));
}

#[test]
fn data_that_is_missing_says_nothing_of_a_trial() {
    let bench = Bench::new();
    let sweep = "base = \"config.toml\"\nmethod = \"grid\"\n[set]\ntrain.max_steps = 3\n[space]\nseed = { values = [4, 5, 6] }";
    let sweep = written(&bench, sweep);
    let (there, away) = (bench.path("t10k-images-idx3-ubyte"), bench.path("away"));
    std::fs::rename(&there, &away).unwrap();
    failed(&start(&bench, &sweep, "grid", &[]).ended(), 3, &["t10k-images"]);
    let ledger = bench.path("grid/trials.jsonl");
    assert_eq!((lines(&ledger), bench.path("grid/logs/trial-002.log").exists()), (0, false));

    std::fs::rename(&away, &there).unwrap();
    let ended = start(&bench, &sweep, "grid", &["--resume"]).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("3 trials (3 done)"), "{}", ended.stdout);
}

#[test]
fn no_trial_outlives_its_sweep() {
    let bench = Bench::new();
    let endless = SWEEP.replace("[set]", "[set]\ntrain.max_steps = 1000000\ntrain.epochs = 1000000");
    let sweep = written(&bench, &endless.replace("low = 1e-3, high = 1e3", "low = 1e-3, high = 1e-2"));
    for harm in ["-INT", "-KILL"] {
        let folder = bench.path(harm);
        let endless = start(&bench, &sweep, harm, &[]);
        let both = ["trials/trial-000/metrics.jsonl", "trials/trial-001/metrics.jsonl"];
        sooner_or_later("two trials", || both.iter().all(|metrics| lines(&folder.join(metrics)) > 5));
        assert_ne!(left(&folder), "");
        endless.signal(harm);
        let ended = endless.ended();
        match harm {
            "-INT" => {
                failed(&ended, 75, &["interrupted after 0 of 12 trials", "--resume goes on from there"])
            }
            _ => sooner_or_later("the end of the trials", || left(&folder).is_empty()),
        }
        assert_eq!(left(&folder), "");
        let summary = std::fs::read_to_string(folder.join("trials/trial-001/summary.json")).unwrap();
        assert!(summary.contains("\"interrupted\""), "{summary}");
    }
}

const GRID: &str = r#"
base = "config.toml"
method = "grid"
cores = 2
[set]
train.max_steps = 160
train.epochs = 30
optimizer_b.lr = 0.5
[space]
rule.name = { values = ["kolen_pollack", "feedback_alignment"] }
seed = { values = [4, 5] }
"#;

/// Starts a process that runs one trial.
fn alone(bench: &Bench, sweep: &Path, folder: &Path, trial: usize) -> Coordinator {
    let mut command = bench.coordinator(&["sweep", "--local", "--trial", &trial.to_string(), "--config"]);
    command.arg(sweep).arg("--run-dir").arg(folder);
    Coordinator::start(command, Run { folder: folder.join(format!("trials/trial-00{trial}")) })
}

fn collected(bench: &Bench, sweep: &Path, folder: &Path) -> Ended {
    let mut command = bench.coordinator(&["sweep", "--collect", "--config"]);
    command.arg(sweep).arg("--run-dir").arg(folder).output().unwrap().into()
}

/// The ledger without the measured times, which are no part of the result.
fn results(folder: &Path) -> Vec<Value> {
    let mut lines = Run { folder: folder.to_owned() }.lines("trials.jsonl");
    for line in &mut lines {
        for measured in ["seconds", "images_per_s"] {
            line.as_object_mut().unwrap().remove(measured).expect("a measured time");
        }
    }
    lines
}

#[test]
fn trials_that_run_each_by_itself_come_to_the_same_ledger_and_table() {
    let bench = Bench::new();
    let sweep = written(&bench, GRID);
    let together = bench.path("together");
    let mut command = bench.coordinator(&["sweep", "--local", "--config"]);
    command.arg(&sweep).arg("--run-dir").arg(&together);
    let failed_two = ["2 of 4 trials failed; the first is trial 0: ", "'optimizer_b.lr' must be the same"];
    failed(&command.output().unwrap().into(), 2, &failed_two);

    // Two processes begin the sweep at once, each with another trial, neither of which is the first.
    let apart = bench.path("apart");
    let first = [3, 1].map(|trial| alone(&bench, &sweep, &apart, trial));
    let [done, refused] = first.map(Coordinator::ended);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stdout.contains("trial 3 (rule.name = feedback_alignment, seed = 5) done: "),
        "{}",
        done.stdout
    );
    assert!(done.stderr.contains("run folder: "), "its output is shown as well: {}", done.stderr);
    failed(&refused, 2, &["trial 1 failed: ", "'optimizer_b.lr' must be the same"]);
    let none_yet =
        "2 of 4 trials have ended, and trial 0 is the first that has not: give --collect again later";
    failed(&collected(&bench, &sweep, &apart), 75, &[none_yet]);

    // A trial has one process at a time. The process is killed, and repeated while the training still saves.
    let killed = alone(&bench, &sweep, &apart, 2).wait_for_steps(10);
    let training: u32 =
        found(&format!("coordinator train .*{}", killed.run.folder.display())).trim().parse().unwrap();
    signal("-STOP", training);
    failed(
        &alone(&bench, &sweep, &apart, 2).ended(),
        75,
        &["trial 2 still runs in another process", "the same command goes on"],
    );
    killed.kill();
    signal("-CONT", training);
    let repeated = alone(&bench, &sweep, &apart, 2);
    assert_eq!(repeated.ended().code, Some(0));
    let run = Run { folder: apart.join("trials/trial-002") };
    assert_eq!(run.starts(), 2);

    // What has ended is left alone, what has failed is tried again, and the table is made anew.
    let again = alone(&bench, &sweep, &apart, 2).ended();
    assert_eq!((again.code, run.starts()), (Some(0), 2), "{}", again.stderr);
    assert!(
        again.stdout.contains("done: ") && again.stdout.contains("in an earlier start"),
        "{}",
        again.stdout
    );
    for trial in [1, 0] {
        failed(&alone(&bench, &sweep, &apart, trial).ended(), 2, &["'optimizer_b.lr' must be the same"]);
    }
    failed(&collected(&bench, &sweep, &apart), 2, &failed_two);
    assert_eq!(results(&apart), results(&together));
    let table = |folder: &Path| std::fs::read_to_string(folder.join("table.md")).unwrap();
    assert_eq!(table(&apart), table(&together));

    failed(
        &alone(&bench, &sweep, &apart, 4).ended(),
        2,
        &["there is no trial 4 in ", ": its trials are 0 to 3"],
    );
    failed(&collected(&bench, &sweep, &bench.path("elsewhere")), 2, &["there is no sweep in "]);
    std::fs::write(&sweep, SWEEP).unwrap();
    failed(
        &alone(&bench, &sweep, &apart, 0).ended(),
        2,
        &["cannot run each by itself", "'method' is \"tpe\""],
    );
}

#[test]
fn a_trial_that_fails_does_not_end_the_sweep_and_what_cannot_be_says_why() {
    let bench = Bench::new();
    let grid = r#"
base = "config.toml"
method = "grid"
[set]
train.max_steps = 3
optimizer_b.lr = 0.5
[space]
rule.name = { values = ["kolen_pollack", "backprop", "feedback_alignment"] }
"#;
    let sweep = written(&bench, grid);
    // Kolen-Pollack needs one learning rate for W and B. A sweep that is resumed where there is none begins.
    let ended = start(&bench, &sweep, "grid", &["--resume"]).ended();
    assert!(ended.stderr.starts_with("beginning the sweep in "), "{}", ended.stderr);
    failed(&ended, 2, &["1 of 3 trials failed; the first is trial 0: ", "'optimizer_b.lr' must be the same"]);
    let table = std::fs::read_to_string(bench.path("grid/table.md")).unwrap();
    let has = |row: &str| table.split_whitespace().collect::<Vec<_>>().join(" ").contains(row);
    assert!(has("| 0 | kolen_pollack | failed | – |"), "{table}");
    assert!(has("| 2 | feedback_alignment | done | 3 |"), "{table}");

    let other = bench.path("other.toml");
    std::fs::write(&other, grid.replace("max_steps", "max_stepz")).unwrap();
    let wrong = bench.path("wrong.toml");
    std::fs::write(&wrong, grid.replace(", \"backprop\", \"feedback_alignment\"", "")).unwrap();
    let cases: [(&Path, &str, &[&str], &str); 4] = [
        (&wrong, "new", &[], "every trial would be refused, as is the first: "),
        (&sweep, "grid", &[], "--resume"),
        (&sweep, "grid", &["--resume", "--cores", "8"], "'cores' is not as in"),
        (&other, "new", &[], "did you mean 'train.max_steps'?"),
    ];
    for (sweep, folder, more, said) in cases {
        failed(&start(&bench, sweep, folder, more).ended(), 2, &[said]);
    }
    failed(&bench.ended(&["sweep", "--config", "sweep.toml"]), 2, &["--local"]);
}

#[test]
fn a_full_disk_says_nothing_of_a_trial() {
    let bench = Bench::new();
    let sweep = "base = \"config.toml\"\nmethod = \"grid\"\n[set]\ntrain.max_steps = 3\n[space]\nseed = { values = [4, 5] }";
    let sweep = written(&bench, sweep);
    let folder = bench.path("cramped");
    let sweep =
        ["sweep", "--local", "--config", sweep.to_str().unwrap(), "--run-dir", folder.to_str().unwrap()];
    // No file may grow to the size of a run's report.
    let script = r#"trap '' XFSZ; ulimit -f 64; exec "$0" "$@""#;
    let mut cramped = Command::new("sh");
    cramped.args(["-c", script]).arg(binary("coordinator")).args(sweep);
    cramped.current_dir(bench.path(".")).env_remove("NEUROPIL_DATA").env_remove("NEUROPIL_LAYER_NODE");
    failed(&cramped.output().unwrap().into(), 1, &["cannot write", "make room there"]);
    assert_eq!(lines(&folder.join("trials.jsonl")), 0);

    let ended = bench.ended(&[&sweep[..], &["--resume"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("2 trials (2 done)"), "{}", ended.stdout);
}
