//! What the program says of settings: advice about wrong words, and warnings of runs that cannot work.

use e2e::{Bench, Ended};
use serde_json::Value;

const KEYS: &str = "train.max_steps = 3\npipeline.stages = 1";
const FIXED: [&str; 2] = ["rule.name=kolen_pollack", "optimizer.weight_decay=0"];
const DOUBT: &str = "'optimizer.weight_decay' is 0, so that W − B never shrinks under \"kolen_pollack\"";

/// How often stderr has the sentence in a log line of the level WARN.
fn warned(ended: &Ended, sentence: &str) -> usize {
    ended.stderr.lines().filter(|line| line.contains(" WARN ") && line.contains(sentence)).count()
}

#[test]
fn a_run_that_cannot_work_is_warned_of_at_its_start_and_runs() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let plain = bench.train(&config, "plain", &[]);
    assert_eq!((plain.code, plain.stderr.contains("WARN")), (Some(0), false), "{}", plain.stderr);

    let ended = bench.train(&config, "fixed", &FIXED);
    assert_eq!((ended.code, warned(&ended, DOUBT)), (Some(0), 1), "{}", ended.stderr);
    let more = bench.train(
        &config,
        "more",
        &["model.classes=5", "data.limit=3", "train.batch=3", "pipeline.microbatches=1"],
    );
    assert_eq!(more.code, Some(0), "{}", more.stderr);
    assert_eq!(
        warned(&more, "the network has 5 classes, and the training samples have "),
        1,
        "{}",
        more.stderr
    );
}

#[test]
fn a_plan_carries_the_warnings() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let plan = |more: &[&str]| {
        let sets = FIXED.iter().flat_map(|set| ["--set", set]);
        let arguments: Vec<&str> =
            ["plan", "--config", config.to_str().unwrap()].into_iter().chain(sets).collect();
        let ended = bench.ended(&[&arguments, more].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout
    };
    let warning = format!("\nwarning: {DOUBT}");
    assert!(plan(&[]).contains(&warning), "{}", plan(&[]));
    let json: Value = serde_json::from_str(&plan(&["--json"])).unwrap();
    assert!(json["warnings"][0].as_str().is_some_and(|first| first.starts_with(DOUBT)), "{json}");
    // The data says how long the run is.
    assert!(
        plan(&["--set", "optimizer.warmup_epochs=2"])
            .contains("'optimizer.warmup_epochs' is 2, and the run has")
    );
}

#[test]
fn a_sweep_warns_once_and_not_with_every_trial() {
    let bench = Bench::new();
    bench.config(KEYS);
    let sweep = "base = \"config.toml\"\nmethod = \"grid\"\nset.rule.name = \"kolen_pollack\"\n\
                 [space]\nseed = { values = [0, 1] }\noptimizer.weight_decay = { values = [0.0, 1e-4] }";
    std::fs::write(bench.path("sweep.toml"), sweep).unwrap();
    let ended = bench.ended(&["sweep", "--config", "sweep.toml", "--local", "--set", "train.max_steps=1"]);
    assert_eq!((ended.code, warned(&ended, DOUBT)), (Some(0), 1), "{}", ended.stderr);
    assert!(ended.stderr.contains("trial 0 and 1 more: 'optimizer.weight_decay' is 0"), "{}", ended.stderr);
}

#[test]
fn a_word_of_another_framework_is_told_the_right_one() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let config = config.to_str().unwrap();
    let cases: [(&str, &[&str], &str); 5] = [
        ("train", &["--local", "--set", "optimizer.learning_rate=1"], "did you mean 'optimizer.lr'?"),
        ("plan", &["--set", "rule.name=fa"], "did you mean \"feedback_alignment\"?"),
        ("plan", &["--set", "gpus=2"], "unknown key 'gpus' in --set: did you mean 'node.device'"),
        ("train", &["--local", "--batch-size", "8"], "did you mean --set train.batch=VALUE?"),
        (
            "plan",
            &["--set", "node.zebra=2"],
            "unknown key 'node.zebra' in --set: [node] has the keys threads",
        ),
    ];
    for (command, more, said) in cases {
        let ended = bench.ended(&[&[command, "--config", config], more].concat());
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        let last = ended.last_line();
        assert!(last.starts_with("error: ") && last.contains(said), "{last}");
    }
}
