//! Tests of `snapshot.best`: the snapshot with the best test accuracy stays, a run can resume from it, and it is the
//! same snapshot in a disturbed run.

use e2e::harm::failed;
use e2e::{Bench, Ended, Run};
use serde_json::Value;

const KEYS: &str = r#"
[train]
epochs = 12
batch = 16
[optimizer]
lr = 0.05
[pipeline]
microbatches = 2
stages = ["down"]
[snapshot]
every_steps = 7
best = true
"#;
/// Minibatches of the run.
const STEPS: u64 = 120;

/// The step and the accuracy of the first of the best evaluations in the run's history.
fn best(run: &Run) -> (u64, f64) {
    let text = std::fs::read_to_string(run.folder.join("evaluations.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found = lines.map(|line| (line["step"].as_u64().unwrap(), line["top1"].as_f64().unwrap()));
    found.reduce(|best, next| if next.1 > best.1 { next } else { best }).unwrap()
}

fn held(run: &Run, step: u64) -> bool {
    (0..2).all(|stage| run.folder.join(format!("state/stage-{stage}/step-{step:08}")).is_dir())
}

fn evaluate(bench: &Bench, name: &str, step: &str) -> Ended {
    let folder = bench.run(name).folder;
    let arguments = ["evaluate", "--json", "--step", step, "--run", folder.to_str().unwrap()];
    bench.ended(&arguments)
}

#[test]
fn the_best_snapshot_stays_and_can_be_gone_back_to() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let run = bench.trained(&config, "kept", &[]);
    let (step, top1) = best(&run);
    assert!(step < STEPS - 20, "the best one, {step}, must be older than the newest, or this shows nothing");
    assert_eq!(run.summary()["best_step"], step);
    assert!(held(&run, step));
    assert!(run.folder.join("state/stage-0").read_dir().unwrap().count() <= 4, "and old ones go");

    for (which, updates, accuracy) in
        [("best", step, top1), ("last", STEPS, run.summary()["test_top1"].as_f64().unwrap())]
    {
        let ended = evaluate(&bench, "kept", which);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let found: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((found["step"].as_u64(), found["test_top1"].as_f64()), (Some(updates), Some(accuracy)));
    }

    let (history, digests) = (run.history(), run.digests());
    let step = step.to_string();
    let ended = bench.start("kept", &config, &["--local", "--resume", &step]).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!((run.history(), run.digests()), (history, digests), "from the best to the same end");
    assert_eq!(run.summary()["best_step"].to_string(), step);

    let run = bench.trained(&config, "not-kept", &["snapshot.best=false"]);
    assert_eq!(run.summary()["best_step"], Value::Null);
    assert!(!held(&run, best(&run).0));
    failed(&evaluate(&bench, "not-kept", "best"), 2, &["no best snapshot", "snapshot.best = true"]);
}
