//! Tests with a run folder of release 0.1.0: the present release evaluates, compares and resumes the run.
//!
//! Release 0.1.0 wrote `data/run-0.1.0` for `train --local` with the configuration below and the workbench's data
//! set, interrupted (SIGINT) after step 18 of 30. The folder has its state, and lacks `report.html` and `logs/`.

use e2e::{Bench, Ended, Run};
use serde_json::Value;
use std::fs;
use std::path::Path;

const KEYS: &str = r#"
[rule]
name = "symmetric_alignment"
[train]
epochs = 3
batch = 16
[optimizer]
lr = 0.05
[pipeline]
microbatches = 2
stages = ["branch2", "down"]
[snapshot]
every_steps = 4
keep_last = 2
best = true
"#;
/// The number of the old run's steps.
const DONE: usize = 18;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to)
        } else {
            _ = fs::copy(entry.path(), to).unwrap()
        }
    }
}

fn succeeds(bench: &Bench, arguments: &[&str]) -> Ended {
    let ended: Ended = bench.coordinator(arguments).output().unwrap().into();
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    ended
}

fn losses(run: &Run) -> Vec<f64> {
    run.metrics().iter().map(|step| step["loss"].as_f64().unwrap()).collect()
}

#[test]
fn a_run_of_an_earlier_release_is_evaluated_compared_and_gone_on_with() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let old = bench.run("old");
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/run-0.1.0")), &old.folder);
    let (summary, before) = (old.summary(), losses(&old));
    assert_eq!((summary["status"].as_str(), before.len()), (Some("interrupted"), DONE));

    // The last and the best state, which the old summary names.
    for (which, step) in [("last", &summary["steps"]), ("best", &summary["best_step"])] {
        let ended = succeeds(&bench, &["evaluate", "--json", "--step", which, "--run", "runs/old"]);
        let found: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(&found["step"], step);
        if which == "best" {
            assert!(
                (found["test_top1"].as_f64().unwrap() - summary["test_top1"].as_f64().unwrap()).abs() < 0.05
            );
        }
    }

    let whole = bench.trained(&config, "whole", &[]);
    succeeds(&bench, &["compare", "runs/old", "runs/whole"]);
    let page = fs::read_to_string(bench.path("compare.html")).unwrap();
    assert!(page.contains("Interrupted") && page.contains("2 runs compared"), "both runs are on the page");

    let again =
        ["train", "--local", "--name", "old", "--resume", "auto", "--config", config.to_str().unwrap()];
    let ended = succeeds(&bench, &again);
    assert!(ended.stderr.contains(&format!("going on after step {DONE}, ")), "{}", ended.stderr);
    assert_eq!(old.summary()["status"], "done");
    assert_eq!(old.metrics().len(), whole.metrics().len());
    let since = &old.json("ledger.json")["starts"][0]["consumed_since"];
    assert_eq!(since, DONE, "release 0.1.0 kept no account of what training consumed");
    if before == losses(&whole)[..DONE] {
        assert_eq!(old.history(), whole.history());
        assert_eq!(old.digests(), whole.digests());
        assert_eq!(old.summary()["best_step"], whole.summary()["best_step"]);
    }
    // Another processor model than the old run's rounds differently.
    for (step, (old, whole)) in losses(&old).into_iter().zip(losses(&whole)).enumerate() {
        assert!((old - whole).abs() < 1e-3, "step {}: {old} and {whole}", step + 1);
    }
}
