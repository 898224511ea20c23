//! Tests of runs whose network is cut anew between two starts: they end in the bits of a run that was never cut anew.

mod disturbed;
mod hosts;

use e2e::harm::failed;
use e2e::{Bench, Ended, Run};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Ten steps in an epoch; W has momentum, and B a state of Adam's.
const KEYS: &str = r#"
[rule]
name = "activation_alignment"
[train]
epochs = 2
batch = 16
[optimizer]
lr = 0.05
schedule = "constant"
[optimizer_b]
name = "adam"
lr = 0.001
[pipeline]
microbatches = 2
stages = "per_layer"
[snapshot]
every_steps = 7
"#;

fn resume(bench: &Bench, config: &Path, name: &str, sets: &[&str]) -> Ended {
    let mut more = vec!["--local", "--resume", "auto"];
    sets.iter().for_each(|set| more.extend(["--set", set]));
    bench.start(name, config, &more).ended()
}

/// Goes on with a run, which must end well.
fn resumed(bench: &Bench, config: &Path, name: &str, sets: &[&str]) -> Ended {
    let ended = resume(bench, config, name, sets);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

/// The folders in `state/` of a run, sorted; nothing is left of a former cut.
fn folders(run: &Run) -> Vec<String> {
    assert!(!run.folder.join("state.recut").exists() && !run.folder.join("state.before").exists());
    let entries = fs::read_dir(run.folder.join("state")).unwrap().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn five_stages_become_two_and_three_in_the_middle_of_an_epoch() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let never = bench.trained(&config, "never", &[]);
    let run = bench.trained(&config, "run", &["train.max_steps=7", "pipeline.placement=split"]);
    assert_eq!(folders(&run).len(), 10);

    let two = resumed(&bench, &config, "run", &["train.max_steps=13", "pipeline.stages=[\"down\"]"]);
    let said = "the snapshots after step 7 were cut anew: 5 stages and 5 backward nodes → 2 stages";
    assert!(two.stderr.contains(said), "{}", two.stderr);
    assert!(two.stderr.contains("going on after step 7"), "{}", two.stderr);
    assert!(two.stdout.contains("since step 7, after which the network was cut anew"), "{}", two.stdout);
    assert_eq!(folders(&run), ["stage-0", "stage-1"]);
    assert_eq!(run.snapshots(0), [7, 13]);

    let last = ["pipeline.stages=[\"branch2\", \"down\"]", "pipeline.placement=[\"down\", \"stem\"]"];
    let three = resumed(&bench, &config, "run", &last);
    let said = "the snapshots after steps 7 and 13 were cut anew: 2 stages → 3 stages and 2 backward nodes";
    assert!(three.stderr.contains(said), "{}", three.stderr);
    assert_eq!(folders(&run), ["stage-0", "stage-0-backward", "stage-1", "stage-2", "stage-2-backward"]);

    assert_eq!(run.history(), never.history());
    assert_eq!(run.digests(), never.digests());
    records(&run, &never);
    // The states are of the cut that `config.toml` names, so whoever reads the run finds them.
    let evaluated = bench.ended(&["evaluate", "--json", "--run", run.folder.to_str().unwrap()]);
    assert_eq!(evaluated.code, Some(0), "{}", evaluated.stderr);
    let found: Value = serde_json::from_str(&evaluated.stdout).unwrap();
    assert_eq!(found["test_top1"], never.summary()["test_top1"]);
}

/// The records after the cuts behind steps 7 and 13: numbers of nodes since the last one, and all others of all starts.
fn records(run: &Run, never: &Run) {
    let cuts = run.json("run.json")["past"]["cuts"].clone();
    let since: Vec<_> = cuts.as_array().unwrap().iter().map(|cut| cut[0].as_u64().unwrap()).collect();
    assert_eq!(since, [0, 7, 13], "{cuts}");
    assert_eq!(cuts[2][1]["stages"], serde_json::json!(["stem", "branch2", "down"]));
    assert_eq!(cuts[2][1]["split"], serde_json::json!(["stem", "down"]));

    let (summary, whole) = (run.summary(), never.summary());
    assert_eq!((&summary["nodes_after"], &whole["nodes_after"]), (&13.into(), &Value::Null));
    for key in ["status", "steps", "test_top1", "test_top5"] {
        assert_eq!(summary[key], whole[key], "{key}");
    }
    let lines = run.metrics();
    let sent = lines[13..].iter().map(|line| &line["stages"][1]);
    let sent: u64 = sent
        .map(|stage| stage["bytes_forward"].as_u64().unwrap() + stage["bytes_backward"].as_u64().unwrap())
        .sum();
    assert_eq!(summary["nodes"][1]["bytes_sent"], sent, "of stage 1 since step 13");
    let images =
        |summary: &Value| summary["images_per_s"].as_f64().unwrap() * summary["seconds"].as_f64().unwrap();
    assert!((images(&summary) - images(&whole)).abs() < 0.5, "all images of all starts");
    let page = fs::read_to_string(run.folder.join("report.html")).unwrap();
    assert!(page.contains("since step 13") && page.contains("cut anew"), "the page says since when");
    assert!(!fs::read_to_string(never.folder.join("report.html")).unwrap().contains("cut anew"));
}

#[test]
fn a_residual_network_keeps_its_bits_under_the_rule_that_reads_w() {
    let bench = Bench::new();
    let keys = KEYS.replace("activation_alignment", "symmetric_alignment");
    let config = bench.config(&keys.replace("stages = \"per_layer\"", "stages = 3"));
    let never = bench.trained(&config, "never", &[]);
    let run = bench.trained(&config, "run", &["train.max_steps=6"]);
    // A balanced cut follows from other keys, too, and `auto` goes back and forth between cuts.
    for (end, cut) in [(9, "pipeline.stages=per_layer"), (14, "pipeline.stages=1")] {
        resumed(&bench, &config, "run", &[&format!("train.max_steps={end}"), cut]);
    }
    resumed(&bench, &config, "run", &[]);
    assert_eq!((run.history(), run.digests()), (never.history(), never.digests()));
    let back =
        bench.start("run", &config, &["--local", "--resume", "14", "--set", "pipeline.stages=2"]).ended();
    assert_eq!(back.code, Some(0), "{}", back.stderr);
    assert!(back.stderr.contains("steps 15 to 20 are run again"), "{}", back.stderr);
    assert_eq!((run.history(), run.digests()), (never.history(), never.digests()));
}

#[test]
fn the_format_of_the_links_changes_from_here_on_and_the_rule_never() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let run = bench.trained(&config, "run", &["train.max_steps=7"]);
    let before = (run.json("run.json"), run.history());
    let other = resume(&bench, &config, "run", &["rule.name=feedback_alignment"]);
    failed(
        &other,
        2,
        &[
            "'rule.",
            "here and",
            "config.toml, and a run keeps this key, since it decides how B learns",
            "--from ",
        ],
    );
    assert_eq!((run.json("run.json"), run.history()), before, "nothing was changed");
    let ended = resumed(&bench, &config, "run", &["network.wire=bf16", "metrics.layers_every=3"]);
    let said = "network.wire is \"bf16\" from here on, and was \"f32\": the steps to come differ";
    assert_eq!(ended.stderr.matches(said).count(), 1, "{}", ended.stderr);
    let kept = fs::read_to_string(run.folder.join("config.toml")).unwrap();
    assert!(kept.contains("wire = \"bf16\"") && kept.contains("layers_every = 3"), "{kept}");
    assert_eq!(
        (run.metrics().len(), run.json("run.json")["past"]["cuts"].as_array().unwrap().len()),
        (20, 1)
    );
}
