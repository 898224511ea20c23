//! Tests of a run whose end moves: it ends in the bits of a run that had this end from the beginning, or says why not.

use e2e::harm::failed;
use e2e::{Bench, Ended};
use std::fs;
use std::path::Path;

/// Ten steps in an epoch.
const KEYS: &str = r#"
[rule]
name = "symmetric_alignment"
[train]
epochs = 3
batch = 16
[optimizer]
lr = 0.05
schedule = "constant"
warmup_epochs = 0.3
[pipeline]
microbatches = 2
stages = ["down"]
[snapshot]
every_steps = 7
best = true
"#;

fn resume(bench: &Bench, config: &Path, name: &str, sets: &[&str]) -> Ended {
    let mut more = vec!["--local", "--resume", "auto"];
    sets.iter().for_each(|set| more.extend(["--set", set]));
    bench.start(name, config, &more).ended()
}

#[test]
fn a_run_that_has_ended_is_made_longer() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let whole = bench.trained(&config, "whole", &[]);
    let run = bench.trained(&config, "longer", &["train.max_steps=15"]);
    assert_eq!((run.metrics().len(), run.lines("evaluations.jsonl").len()), (15, 2));

    // The end moves within an epoch, and then to the end of all epochs.
    for (sets, said) in [
        (&["train.max_steps=24"][..], "the run ends after step 24 now, and no longer after step 15"),
        (&[], "the run ends after step 30 now, and no longer after step 24"),
    ] {
        let ended = resume(&bench, &config, "longer", sets);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().next(), Some(said));
    }
    assert_eq!(run.history(), whole.history());
    assert_eq!(run.digests(), whole.digests());
    assert_eq!(run.snapshots(0), whole.snapshots(0));
    let [summary, other] = [run.summary(), whole.summary()];
    for key in ["status", "epochs", "steps", "best_step", "test_top1"] {
        assert_eq!(summary[key], other[key], "{key}");
    }
    let kept = fs::read_to_string(run.folder.join("config.toml")).unwrap();
    assert_eq!(kept, fs::read_to_string(whole.folder.join("config.toml")).unwrap());

    // The same end is harmless, and an end before what is done is refused.
    let history = run.history();
    assert_eq!(resume(&bench, &config, "longer", &[]).code, Some(0));
    let early = resume(&bench, &config, "longer", &["train.epochs=2"]);
    failed(&early, 2, &["'train.epochs' is 2 here and 3 in ", "has made 30 steps", "--resume STEP"]);
    assert_eq!((run.history(), fs::read_to_string(run.folder.join("config.toml")).unwrap()), (history, kept));
}

#[test]
fn a_cosine_is_not_bent_after_the_fact() {
    let bench = Bench::new();
    let config = bench.config(&KEYS.replace("constant", "cosine").replace("epochs = 3", "epochs = 1"));
    let run = bench.trained(&config, "cosine", &[]);
    let before = (run.json("run.json"), run.summary());
    let ended = resume(&bench, &config, "cosine", &["train.epochs=2"]);
    let said = [
        "'train.epochs' is 2 here and 1 in ",
        "cosine/config.toml, and under optimizer.schedule = \"cosine\"",
        "the 10 steps so far would have been others",
        "from the state of this one (--from)",
        "--set optimizer.schedule=constant",
    ];
    failed(&ended, 2, &said);
    let other = ["train.epochs=2", "optimizer.schedule=constant"];
    failed(
        &resume(&bench, &config, "cosine", &other),
        2,
        &["'optimizer.schedule' is \"constant\" here and \"cosine\" in ", "its own configuration"],
    );
    assert_eq!((run.json("run.json"), run.summary()), before, "nothing was changed");
}
