//! Tests of runs that go on with imported weights: nothing compares them with what was measured before.

use e2e::{Bench, Ended, Run};
use safetensors::SafeTensors;
use std::fs;
use std::path::Path;

const KEYS: &str = r#"
[rule]
name = "kolen_pollack"
[train]
epochs = 20
batch = 32
max_steps = 20
[optimizer]
lr = 0.1
momentum = 0.0
nesterov = false
weight_decay = 0.05
schedule = "constant"
[pipeline]
stages = ["classes"]
[snapshot]
every_steps = 5
keep_last = 9
[alarm]
kolen_pollack = true
"#;

/// A run, a file `weights` of another run's weights, and a file `b` of its backward weights alone.
fn trained(set: &[&str]) -> (Bench, std::path::PathBuf, Run) {
    let bench = Bench::new();
    let config = bench.tiny(KEYS);
    bench.trained(&config, "source", &[&["seed=7", "train.max_steps=1"], set].concat());
    bench.layer_node(&["export", "--state-dir", "runs/source/state", "weights"]);
    let bytes = fs::read(bench.path("weights")).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap().tensors();
    let backward = all.into_iter().filter(|(name, _)| name.ends_with("weight_backward"));
    fs::write(bench.path("b"), safetensors::serialize(backward, None).unwrap()).unwrap();
    let run = bench.trained(&config, "run", set);
    (bench, config, run)
}

fn import(bench: &Bench, file: &str) {
    bench.layer_node(&["import", "--partial", "--state-dir", "runs/run/state", file]);
}

/// Goes on with the run, which must end well.
fn resumed(bench: &Bench, config: &Path, more: &[&str]) -> Ended {
    let ended = bench.start("run", config, &[&["--local", "--resume", "auto"], more].concat()).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

/// ‖W − B‖ of a layer after each step.
fn differences(run: &Run, layer: usize) -> Vec<f64> {
    let metrics = run.metrics();
    metrics.iter().map(|line| line["layers"][layer]["difference"].as_f64().unwrap()).collect()
}

#[test]
fn imported_weights_begin_kolen_pollacks_law_anew() {
    let (bench, config, run) = trained(&[]);
    run.forget_after(10);
    import(&bench, "weights");
    let ended = resumed(&bench, &config, &[]);
    for line in [
        "weights were imported into the snapshot after step 10: it is not compared with what was measured before",
        "weights were imported after step 10: Kolen-Pollack's law begins anew there, and is checked after step 10",
    ] {
        assert!(ended.stderr.contains(line), "{}", ended.stderr);
    }
    let measured = differences(&run, 0);
    assert_eq!(measured.len(), 20);
    assert!((measured[10] / measured[9] - 0.995).abs() > 0.01, "the import moved W and B: {measured:?}");
    assert!((measured[11] / measured[10] - 0.995).abs() < 1e-4, "{measured:?}");

    // The mark stays in the run where the nodes' later snapshots have none; then B alone is imported.
    run.forget_after(15);
    assert!(resumed(&bench, &config, &[]).stderr.contains("imported after step 10: "));
    run.forget_after(15);
    import(&bench, "b");
    assert!(resumed(&bench, &config, &[]).stderr.contains("imported after step 15: "));
    assert_eq!(run.json("run.json")["past"]["imports"].as_array().unwrap().len(), 2);

    // A run that goes back before the imports has its old law again.
    let ended = bench.start("run", &config, &["--local", "--resume", "5"]).ended();
    assert_eq!((ended.code, ended.stderr.contains("imported")), (Some(0), false), "{}", ended.stderr);
}

#[test]
fn momentum_from_before_an_import_is_waited_for() {
    let (bench, config, run) = trained(&["optimizer.momentum=0.5", "optimizer.nesterov=true"]);
    run.forget_after(10);
    import(&bench, "weights");
    let set = ["--set", "optimizer.momentum=0.5", "--set", "optimizer.nesterov=true"];
    let ended = resumed(&bench, &config, &set);
    assert!(ended.stderr.contains("begins anew there, and is checked after step 30"), "{}", ended.stderr);
}

/// The learning rate and the decay are changed in the run's own configuration, which a resumed run is held against.
#[test]
fn the_law_follows_another_learning_rate_and_decay() {
    let (bench, _, run) = trained(&[]);
    run.forget_after(10);
    let config = run.folder.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let changed =
        text.replace("lr = 0.1\n", "lr = 0.02\n").replace("weight_decay = 0.05\n", "weight_decay = 0.2\n");
    let changed = changed.replace("decay = 0.025\n", "decay = 0.1\n");
    assert_eq!(changed.matches("lr = 0.02\n").count(), 2, "{changed}");
    fs::write(&config, changed).unwrap();
    resumed(&bench, &config, &[]);
    let measured = differences(&run, 0);
    assert!((measured[11] / measured[10] - 0.996).abs() < 1e-4, "{measured:?}");
    assert_eq!(run.json("run.json")["past"]["optimizers"].as_array().unwrap().len(), 2);
}

#[test]
fn angles_and_accuracy_of_other_weights_are_not_shown_as_those_of_imported_ones() {
    let (bench, config, run) = trained(&[]);
    let before = run.summary();
    assert!(before["nodes"][0]["layers"][0]["angle_deg"].is_number());
    import(&bench, "weights");
    let ended = resumed(&bench, &config, &[]);
    let after = run.summary();
    for node in after["nodes"].as_array().unwrap() {
        let layer = &node["layers"][0];
        assert!(layer["angle_deg"].is_null(), "{layer}");
        let why = "W and B were not measured since weights were imported after step 20";
        assert_eq!(layer["no_angle"], why);
    }
    let row =
        |name: &str| ended.stdout.lines().find(|line| line.contains(name)).unwrap_or_default().to_owned();
    assert!(row("hidden").contains(" – "), "{}", ended.stdout);
    assert_ne!(after["test_top1"], before["test_top1"], "the imported weights are evaluated");
    let page = fs::read_to_string(run.folder.join("report.html")).unwrap();
    assert!(page.contains("<td>–</td><td>–</td>"), "the page shows an older angle");
}
