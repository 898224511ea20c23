//! Tests of runs that begin from weights in files, or from the state of another run.

use e2e::harm::Hosts;
use e2e::{Bench, Ended, Run};
use serde_json::Value;
use std::path::Path;

const KEYS: &str = r#"
[rule]
name = "kolen_pollack"
[train]
epochs = 2
batch = 32
max_steps = 6
[optimizer]
lr = 0.05
[pipeline]
microbatches = 2
stages = 1
[snapshot]
every_steps = 4
"#;

/// The same network in three stages, and with W and B on two hosts.
const CUTS: [&[&str]; 2] = [
    &["pipeline.stages=[\"branch2\", \"down\"]"],
    &["pipeline.stages=[\"down\"]", "pipeline.placement=split"],
];

/// A run `source`, and its weights without B in the file `weights`, by names as DataParallel writes them.
fn source(bench: &Bench, config: &Path) -> Run {
    let run = bench.trained(config, "source", &["seed=7"]);
    bench.layer_node(&["export", "--forward-only", "--state-dir", "runs/source/state", "weights"]);
    let bytes = std::fs::read(bench.path("weights")).unwrap();
    let all = safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors();
    let named = all.into_iter().map(|(name, view)| (format!("module.{name}"), view));
    std::fs::write(bench.path("weights"), safetensors::serialize(named, None).unwrap()).unwrap();
    run
}

fn sets<'a>(set: &[&'a str]) -> Vec<&'a str> {
    set.iter().flat_map(|pair| ["--set", pair]).collect()
}

/// A run over local nodes, which must end well.
fn began(bench: &Bench, config: &Path, name: &str, more: &[&str]) -> (Run, Ended) {
    let ended = bench.start(name, config, &[&["--local"], more].concat()).ended();
    assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
    (bench.run(name), ended)
}

/// The evaluation of a state as JSON.
fn evaluated(bench: &Bench, name: &str, step: &str) -> Value {
    let run = format!("runs/{name}");
    let ended = bench.ended(&["evaluate", "--run", &run, "--step", step, "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn a_file_begins_the_same_run_under_every_cut() {
    let hosts = Hosts::split(2);
    let bench = &hosts.bench;
    let config = bench.config(KEYS);
    source(bench, &config);
    let trained = evaluated(bench, "source", "last");
    let (whole, ended) = began(bench, &config, "whole", &["--init", "weights"]);
    for said in ["weights: 15 tensors taken, 0 not used", "names: taken without 'module.'"] {
        assert!(ended.stderr.contains(said), "'{said}' is not said: {}", ended.stderr);
    }
    let before = evaluated(bench, "whole", "0");
    for key in ["test_top1", "test_loss"] {
        assert_eq!(before[key], trained[key], "before training the accuracy is that of the file");
    }
    assert_ne!(evaluated(bench, "whole", "last")["test_loss"], trained["test_loss"]);
    for (number, cut) in CUTS.iter().enumerate() {
        let name = format!("cut-{number}");
        let (cut, _) = began(bench, &config, &name, &[&["--init", "weights"], &sets(cut)[..]].concat());
        assert_eq!((cut.history(), cut.digests()), (whole.history(), whole.digests()), "{name}");
        assert_eq!(evaluated(bench, &name, "0")["test_loss"], trained["test_loss"]);
    }

    // The same by nodes that are given their parts.
    let path = config.to_str().unwrap();
    let split = sets(CUTS[1]);
    let train = |name: &str, init: &str| {
        let flags = ["train", "--config", path, "--name", name, "--init", init];
        hosts.ended(&[&flags[..], &split].concat())
    };
    let absent = train("absent", "weights");
    assert_eq!(absent.code, Some(4), "{}", absent.stderr);
    for said in ["stage 0 at ", "no part of weights", "coordinator split --init weights", "layer-node import"]
    {
        assert!(absent.last_line().contains(said), "'{said}' is not said: {}", absent.stderr);
    }
    assert!(!bench.path("runs/absent/run.json").exists(), "the run did not begin");
    let order = ["split", "--init", "weights", "--config", path, "--out", "parts"];
    let parts = bench.ended(&[&order[..], &split].concat());
    assert_eq!(parts.code, Some(0), "{}", parts.stderr);
    for stage in 0..2 {
        for half in ["", "-backward"] {
            let part = format!("parts/stage-{stage}{half}.safetensors");
            bench.layer_node(&["import", "--state-dir", &format!("host-{stage}{half}"), &part]);
        }
    }
    let (_, id) = parts.stdout.split_once("--init ").unwrap();
    let id = id.split_whitespace().next().unwrap();
    for (name, init) in [("by-id", id), ("by-file", "weights")] {
        let ended = train(name, init);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(
            (bench.run(name).history(), hosts.digests()),
            (whole.history(), whole.digests()),
            "{name}"
        );
    }
    // A node takes no part of another network's cut.
    let other = sets(&["pipeline.stages=[\"branch2\"]", "pipeline.placement=split"]);
    let flags = ["train", "--config", path, "--name", "wrong", "--init", id];
    let wrong = hosts.ended(&[&flags[..], &other].concat());
    assert_ne!(wrong.code, Some(0));
    assert!(wrong.last_line().contains("was cut for another node or configuration"), "{}", wrong.stderr);
}

#[test]
fn a_beginning_is_remembered_by_the_run() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    source(&bench, &config);
    let (run, _) = began(&bench, &config, "run", &["--init", "weights"]);
    let history = run.history();
    assert_eq!(run.json("run.json")["begin"]["updates"], 0);
    let (run, ended) = began(&bench, &config, "run", &["--resume", "0"]);
    assert!(ended.stderr.contains("beginning from the state of run "), "{}", ended.stderr);
    assert_eq!(run.history(), history);
    let (run, ended) = began(&bench, &config, "run", &["--resume", "auto", "--init", "weights"]);
    assert!(ended.stderr.contains("--init counts where a run begins"), "{}", ended.stderr);
    assert_eq!(run.history(), history);
    for (flags, code, said) in [
        ("--init weights --resume 4", 2, "--init begins a run, and --resume 4 goes on with one"),
        ("--init nothing", 2, "cannot read nothing"),
        ("--init 0123456789abcdef0123456789abcdef", 2, "with --local, give --init the file itself"),
        ("--from runs/nothing", 2, "give --from the folder of a run"),
        ("--from runs/source --step 3", 4, "no snapshot after step 3"),
    ] {
        let flags: Vec<&str> = flags.split(' ').collect();
        let ended = bench.start("other", &config, &[&["--local"], &flags[..]].concat()).ended();
        assert_eq!(ended.code, Some(code), "{flags:?}: {}", ended.stderr);
        assert!(ended.last_line().contains(said), "{flags:?}: {}", ended.stderr);
        assert!(!bench.path("runs/other/run.json").exists());
    }
}

#[test]
fn b_begins_as_w_and_a_layer_of_another_shape_is_drawn() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    source(&bench, &config);
    let still = ["optimizer.lr=0", "optimizer_b.lr=0", "train.max_steps=1"];
    let angles = |name: &str, more: &[&str]| {
        began(&bench, &config, name, &[&["--init", "weights"], &sets(&still)[..], more].concat());
        bench.layer_node(&["angles", "--state-dir", &format!("runs/{name}/state")])
    };
    let weight = angles("weight", &["--backward", "weight"]);
    assert_eq!(weight.matches("   0.000°  1.0000").count(), 5, "{weight}");
    let split = angles("split", &[&["--backward", "weight"], &sets(CUTS[1])[..]].concat());
    assert_eq!(split, weight);
    let random = angles("random", &["--backward", "random"]);
    assert_eq!(random.matches("   0.000°").count(), 0, "{random}");
    // Eight classes: the file's last layer has five.
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("classes = 5\n", "classes = 8\n").replace("out = 5\n", "out = 8\n");
    let wide = bench.path("wide.toml");
    std::fs::write(&wide, text).unwrap();
    let (_, ended) = began(&bench, &wide, "wide", &["--init", "weights"]);
    let drawn = "drawn from the seed: classes (classes.weight [8, ";
    assert!(ended.stderr.contains(drawn), "{}", ended.stderr);
}

/// With one minibatch an epoch, all runs see the same samples in every step, in another order.
const WHOLE: [&str; 4] =
    ["train.batch=150", "pipeline.microbatches=1", "train.epochs=20", "snapshot.every_steps=5"];

#[test]
fn a_run_from_anothers_state_continues_like_it_where_the_optimizers_state_comes_along() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let keys = [&WHOLE[..], &["optimizer.schedule=constant", "snapshot.keep_last=4"]].concat();
    let run = |name: &str, more: &[&str]| began(&bench, &config, name, &[&sets(&keys)[..], more].concat()).0;
    let losses =
        |run: &Run| -> Vec<f64> { run.metrics().iter().map(|line| line["loss"].as_f64().unwrap()).collect() };
    let original = losses(&run("original", &["--set", "train.max_steps=10"]));
    let from = |name: &str, more: &[&str]| {
        let flags = ["--from", "runs/original", "--step", "5", "--set", "train.max_steps=5"];
        losses(&run(name, &[&flags[..], more].concat()))
    };
    let distance = |losses: &[f64]| {
        let pairs = losses.iter().zip(&original[5..]);
        pairs.map(|(new, old)| (new - old).abs() / old).fold(0.0, f64::max)
    };
    let with = from("with", &["--with-optimizer"]);
    assert!(distance(&with) < 1e-3, "{with:?} {original:?}");
    let cut = from("cut", &[&["--with-optimizer"], &sets(CUTS[0])[..]].concat());
    assert_eq!(cut, with, "under another cut");
    let without = from("without", &[]);
    assert!((without[0] - original[5]).abs() / original[5] < 1e-5, "the same weights");
    assert!(distance(&without) > 10.0 * distance(&with), "and without their momentum: {without:?}");
}

#[test]
fn nodes_begin_from_the_state_that_they_keep_of_another_run() {
    let hosts = Hosts::new(2);
    let bench = &hosts.bench;
    let config = bench.config(KEYS);
    let path = config.to_str().unwrap();
    let cut = sets(&["pipeline.stages=[\"down\"]"]);
    let train = |name: &str, more: &[&str]| {
        let flags = ["train", "--config", path, "--name", name];
        hosts.ended(&[&flags[..], &cut, more].concat())
    };
    assert_eq!(train("first", &["--set", "seed=3"]).code, Some(0));
    let local = bench.trained(&config, "local", &["seed=3", cut[1]]);
    let new = train("new", &["--from", "runs/first", "--step", "4", "--with-optimizer"]);
    assert_eq!(new.code, Some(0), "{}", new.stderr);
    let (near, _) = began(
        bench,
        &config,
        "near",
        &[&cut[..], &["--from", "runs/local", "--step", "4", "--with-optimizer"]].concat(),
    );
    assert_eq!(local.snapshots(0), [4, 6]);
    assert_eq!((bench.run("new").history(), hosts.digests()), (near.history(), near.digests()));
    let lacking = train("lacking", &["--from", "runs/local"]);
    assert_eq!(lacking.code, Some(4), "{}", lacking.stderr);
    assert!(lacking.last_line().contains("holds no state of the run in runs/local"), "{}", lacking.stderr);
}
