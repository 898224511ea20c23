//! Tests of trouble with files: data sets, full disks, and state of other runs or stages.

use e2e::harm::{Hosts, eventually, failed};
use e2e::{Bench, Ended, Node, binary};
use std::fs;
use std::path::Path;
use std::process::Command;

const KEYS: &str = r#"
[train]
max_steps = 150
epochs = 1000
batch = 32
[pipeline]
microbatches = 2
stages = ["down"]
[snapshot]
every_steps = 3
"#;

#[test]
fn a_data_set_that_is_not_whole_is_named() {
    let images = "train-images-idx3-ubyte";
    let bench = Bench::new();
    let whole = fs::read(bench.path(images)).unwrap();
    fs::write(bench.path(images), &whole[..whole.len() - 7]).unwrap();
    failed(&bench.train(&bench.config(KEYS), "torn", &[]), 3, &[images, "should hold 15000 bytes", ": "]);

    let labels = "t10k-labels-idx1-ubyte";
    let bench = Bench::new();
    let mut wrong = fs::read(bench.path(labels)).unwrap();
    wrong[8 + 6] = 77;
    fs::write(bench.path(labels), wrong).unwrap();
    let said = [labels, "sample 6 the label 77", "5 classes", "set model.classes to at least 78"];
    failed(&bench.train(&bench.config(KEYS), "mislabelled", &[]), 3, &said);
    assert!(!bench.path("runs").exists(), "nothing was begun");
}

#[test]
fn words_that_cannot_be_written_neither_end_a_run_nor_change_its_exit_code() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let said = |to: &str, work: &[&str]| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!(r#"exec "$0" "$@" {to}"#)]).arg(binary("coordinator")).args(work);
        shell.arg("--config").arg(&config).current_dir(bench.path(".")).env_remove("NEUROPIL_DATA");
        shell.env_remove("NEUROPIL_LAYER_NODE").output().unwrap().into()
    };
    let train = |name| ["train", "--local", "--set", "train.max_steps=3", "--name", name];
    let unsaid: Ended = said("2>/dev/full", &train("unsaid"));
    assert_eq!(unsaid.code, Some(0));
    assert!(unsaid.stdout.contains("run folder: "), "{}", unsaid.stdout);
    assert_eq!(said("2>/dev/full", &["plan", "--set", "train.batch=0"]).code, Some(2));
    failed(&said(">/dev/full", &train("unseen")), 1, &["cannot write to stdout", "make room where it goes"]);
    assert!(bench.path("runs/unseen/summary.json").exists());
}

#[test]
fn a_run_goes_on_with_the_data_that_it_began_with() {
    let bench = Bench::new();
    let config = bench.config(&KEYS.replace("150", "4"));
    bench.trained(&config, "short", &[]);
    let run = bench.run("short");
    let evaluate = || bench.ended(&["evaluate", "--run", "runs/short"]);
    let resume = |set: &[&str]| {
        let path = config.to_str().unwrap();
        let train = ["train", "--local", "--name", "short", "--resume", "auto", "--config", path];
        bench.ended(&[&train[..], set].concat())
    };
    let known = run.json("run.json");
    for (file, half) in [("train-images-idx3-ubyte", "training"), ("t10k-labels-idx1-ubyte", "test")] {
        let whole = fs::read(bench.path(file)).unwrap();
        let mut other = whole.clone();
        let last = other.last_mut().unwrap();
        *last = if *last == 0 { 1 } else { *last - 1 };
        fs::write(bench.path(file), &other).unwrap();
        let checksum = known["data"][if half == "test" { "test" } else { "train" }]["xxh3"].as_str().unwrap();
        let said = [half, "not those of the run in runs/short", checksum, "set data.path"];
        failed(&evaluate(), 2, &said);
        failed(&resume(&[]), 2, &said);
        assert_eq!(run.json("run.json"), known, "nothing was begun");

        // A run of a release that did not record its data set.
        let mut older = known.clone();
        older.as_object_mut().unwrap().remove("data");
        fs::write(run.folder.join("run.json"), older.to_string()).unwrap();
        let ended = evaluate();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        fs::write(run.folder.join("run.json"), known.to_string()).unwrap();
        fs::write(bench.path(file), whole).unwrap();
    }
    // The run stays the same with fewer test samples.
    let ended = resume(&["--set", "data.test_limit=10"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// A node with a limit on its writes: a write beyond the limit fails and does not kill the node.
fn limited(state_dir: &Path) -> Node {
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#]).arg(binary("layer-node"));
    Node::launch(command, state_dir)
}

/// Lets the node write files of so many bytes, as if its disk were full.
fn limit(node: &Node, bytes: &str) {
    let process = node.child.id().to_string();
    let limit = format!("--fsize={bytes}:");
    assert!(Command::new("prlimit").args(["--pid", &process, &limit]).status().unwrap().success());
}

#[test]
fn a_full_disk_ends_the_run_and_leaves_the_older_snapshots() {
    let mut hosts = Hosts::new(1);
    let state = hosts.bench.path("host-1");
    hosts.nodes.push(limited(&state));
    let run = hosts.training(KEYS, "full");
    eventually("a snapshot", || state.join("step-00000003").exists());
    limit(&hosts.nodes[1], "1000");
    let ended = run.ended();
    let address = hosts.nodes[1].address("control");
    failed(&ended, 4, &["stage 1: ", address, state.to_str().unwrap(), "make room there", "--resume auto"]);
    let left: Vec<_> = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.is_empty(), "older snapshots stay");
    assert!(left.iter().all(|name| name.to_str().unwrap().starts_with("step-")), "{left:?}");

    limit(&hosts.nodes[1], "unlimited");
    let config = hosts.bench.config(KEYS);
    let resume = ["train", "--config", config.to_str().unwrap(), "--name", "full", "--resume", "auto"];
    let ended = hosts.ended(&resume);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("going on after step "), "{}", ended.stderr);
    assert_eq!(hosts.bench.run("full").metrics().len(), 150);
}

#[test]
fn a_run_folder_that_cannot_be_written_is_named() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let train = ["train", "--local", "--config", config.to_str().unwrap(), "--run-dir"];
    let folder = bench.path("config.toml").join("run");
    let folder = folder.to_str().unwrap();
    let ended = bench.ended(&[&train[..], &[folder]].concat());
    failed(&ended, 1, &[folder, "choose another --run-dir"]);

    // The run's own failure takes precedence over the failure to write the report.
    fs::create_dir_all(bench.path("blocked/report.html")).unwrap();
    let diverging = ["blocked", "--set", "optimizer.lr=1e20", "--set", "optimizer.weight_decay=0"];
    failed(&bench.ended(&[&train[..], &diverging].concat()), 1, &["is not finite"]);
}

#[test]
fn state_of_another_network_or_cut_is_refused_by_tensor_and_file() {
    let mut hosts = Hosts::new(2);
    let short = KEYS.replace("150", "4");
    let config = hosts.bench.config(&short);
    let train = ["train", "--config", config.to_str().unwrap(), "--name", "short"];
    let ended = hosts.ended(&train);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let resume = [&train[..], &["--resume", "auto"]].concat();
    let evaluate = ["evaluate", "--run", "runs/short"];

    // The same nodes in another order have other stages, and both refuse them.
    hosts.nodes.reverse();
    let file = "/step-00000004/stage.safetensors holds '";
    let said =
        ["stage ", " at 127.0.0.1:", file, "which this stage does not have", "the addresses of its nodes"];
    let order = ["stage 0 at 127.0.0.1:", "of this run for other layers", "in the order of the stages"];
    failed(&hosts.ended(&resume), 2, &order);
    failed(&hosts.ended(&evaluate), 4, &said);
    hosts.nodes.reverse();

    // The coordinator's local nodes do not have the state.
    failed(
        &hosts.bench.ended(&evaluate),
        4,
        &["stage ", "/step-00000004/stage.safetensors is not there", "--nodes"],
    );

    // The run's configuration has another network.
    let resolved = hosts.bench.run("short").folder.join("config.toml");
    let text = fs::read_to_string(&resolved).unwrap();
    let wider = text.replacen("out = 8", "out = 9", 1);
    assert_ne!(text, wider);
    fs::write(&resolved, wider).unwrap();
    let said = ["stage 0 at 127.0.0.1:", "host-0", file, "branch1.", "is needed", "another network"];
    failed(&hosts.ended(&evaluate), 4, &said);
    failed(&hosts.ended(&resume), 2, &[".out' is 8 here and 9 in", "config.toml", "which weights there are"]);
    fs::write(&resolved, text).unwrap();

    let ended = hosts.ended(&evaluate);
    assert_eq!(ended.code, Some(0), "all that was refused changed nothing: {}", ended.stderr);

    // A crash of the coordinator's host left bytes at the end of the history.
    let metrics = hosts.bench.run("short").folder.join("metrics.jsonl");
    let torn = [&fs::read(&metrics).unwrap()[..], b"{\"step\": 5, \xff\xfe\0\0"].concat();
    fs::write(&metrics, torn).unwrap();
    let ended = hosts.ended(&resume);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(hosts.bench.run("short").metrics().len(), 4);
}
