//! Tests of where data is found: a run knows its data from any folder, and data may move.

use e2e::harm::failed;
use e2e::{Bench, Ended};
use std::fs;
use std::path::Path;

const KEYS: &str = r#"
[train]
max_steps = 3
batch = 20
[pipeline]
stages = 2
"#;

/// A bench whose data lies in the folder `sets/idx`, and a folder beside it to work in.
fn moved_in() -> Bench {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("sets/idx")).unwrap();
    fs::create_dir(bench.path("elsewhere")).unwrap();
    for name in fs::read_dir(bench.path(".")).unwrap().map(|entry| entry.unwrap().file_name()) {
        let name = name.to_str().unwrap();
        if name.ends_with("-ubyte") {
            fs::rename(bench.path(name), bench.path("sets/idx").join(name)).unwrap();
        }
    }
    bench
}

/// Runs the coordinator in `folder` of the bench.
fn ended(bench: &Bench, folder: &str, arguments: &[&str]) -> Ended {
    bench.coordinator(arguments).current_dir(bench.path(folder)).output().unwrap().into()
}

fn succeeds(bench: &Bench, folder: &str, arguments: &[&str]) -> Ended {
    let ended = ended(bench, folder, arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    ended
}

/// The path of the data in a run's configuration.
fn kept(bench: &Bench, run: &str) -> String {
    let text = fs::read_to_string(bench.run(run).folder.join("config.toml")).unwrap();
    let path = text.lines().find_map(|line| line.strip_prefix("path = \"")).unwrap();
    path.trim_end_matches('"').to_owned()
}

#[test]
fn a_run_finds_its_data_from_any_folder_and_data_may_move() {
    let bench = moved_in();
    let config = bench.config(KEYS).to_str().unwrap().to_owned();
    std::os::unix::fs::symlink(bench.path("sets"), bench.path("link")).unwrap();
    let train = ["train", "--local", "--config", &config, "--name", "here", "--set"];
    succeeds(&bench, ".", &[&train[..], &["data.path=link/idx"]].concat());
    let here = bench.path(".").canonicalize().unwrap();
    assert_eq!(Path::new(&kept(&bench, "here")), here.join("link/idx"), "from the root, by the user's link");
    let evaluate = ["evaluate", "--run", "../runs/here"];
    let before = succeeds(&bench, "elsewhere", &evaluate).stdout;

    // One folder in three spellings.
    let resume = ["train", "--local", "--config", &config, "--resume", "auto"];
    let absolute = format!("data.path={}", bench.path("sets/idx").display());
    for (folder, run, path) in [
        (".", "runs/here", "data.path=sets/idx"),
        ("elsewhere", "../runs/here", "data.path=../link/idx"),
        ("elsewhere", "../runs/here", &absolute),
    ] {
        succeeds(&bench, folder, &[&resume[..], &["--run-dir", run, "--set", path]].concat());
    }

    fs::rename(bench.path("sets"), bench.path("moved")).unwrap();
    failed(&ended(&bench, "elsewhere", &evaluate), 3, &["link/idx", "does not exist", "set data.path"]);
    let evaluate = |set| [&evaluate[..], &["--set", set]].concat();
    let after = succeeds(&bench, "elsewhere", &evaluate("data.path=../moved/idx")).stdout;
    assert_eq!(after, before);
    let refusal = "'optimizer.lr' in --set is the run's own: of its keys, evaluate sets only data.path";
    failed(&ended(&bench, "elsewhere", &evaluate("optimizer.lr=1")), 2, &[refusal]);
    succeeds(
        &bench,
        "elsewhere",
        &[&resume[..], &["--run-dir", "../runs/here", "--set", "data.path=../moved/idx"]].concat(),
    );

    // A run of an earlier release has a relative path.
    let file = bench.run("here").folder.join("config.toml");
    let text = fs::read_to_string(&file).unwrap().replace(&kept(&bench, "here"), "moved/idx");
    fs::write(&file, text).unwrap();
    assert_eq!(succeeds(&bench, ".", &["evaluate", "--run", "runs/here"]).stdout, before);
}

#[test]
fn a_relative_folder_of_data_sets_is_found_again() {
    let bench = moved_in();
    let text = fs::read_to_string(bench.config(KEYS)).unwrap().replace("path = \".\"", "");
    fs::write(bench.path("config.toml"), text).unwrap();
    let mut train = bench.coordinator(&["train", "--local", "--config", "config.toml", "--name", "sets"]);
    let trained: Ended = train.env("NEUROPIL_DATA", "sets").output().unwrap().into();
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    succeeds(&bench, "elsewhere", &["evaluate", "--run", "../runs/sets"]);
}

#[test]
fn a_sweep_goes_on_from_another_folder_and_with_data_that_moved() {
    let bench = moved_in();
    let text = fs::read_to_string(bench.config(KEYS)).unwrap().replace("path = \".\"", "path = \"sets/idx\"");
    fs::write(bench.path("config.toml"), text).unwrap();
    let sweep = "base = \"config.toml\"\nmethod = \"grid\"\n[space]\nseed = { values = [1, 2] }\n";
    fs::write(bench.path("sweep.toml"), sweep).unwrap();
    succeeds(&bench, ".", &["sweep", "--local", "--config", "sweep.toml", "--run-dir", "swept"]);
    let swept = bench.path("swept");
    let again = ["sweep", "--local", "--config", "../sweep.toml", "--run-dir", "../swept", "--resume"];
    // The last trial has to be run again.
    let repeat = || {
        let trials = fs::read_to_string(swept.join("trials.jsonl")).unwrap();
        let first = trials.lines().next().unwrap();
        fs::write(swept.join("trials.jsonl"), format!("{first}\n")).unwrap();
        fs::remove_dir_all(swept.join("trials/trial-001")).unwrap();
    };
    repeat();
    succeeds(&bench, "elsewhere", &again);
    repeat();
    fs::rename(bench.path("sets"), bench.path("moved")).unwrap();
    failed(&ended(&bench, "elsewhere", &again), 3, &["sets/idx", "does not exist", "set data.path"]);
    succeeds(&bench, "elsewhere", &[&again[..], &["--set", "data.path=../moved/idx"]].concat());
}

#[test]
fn idx_files_of_other_spellings_are_read_by_their_keys() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let plain = bench.trained(&config, "plain", &[]);
    for (name, other) in [
        ("train-images-idx3-ubyte", "emnist-own-train-images-idx3-ubyte"),
        ("train-labels-idx1-ubyte", "emnist-own-train-labels-idx1-ubyte"),
        ("t10k-images-idx3-ubyte", "emnist-own-test-images-idx3-ubyte"),
        ("t10k-labels-idx1-ubyte", "emnist-own-test-labels-idx1-ubyte"),
    ] {
        let mut bytes = fs::read(bench.path(name)).unwrap();
        if name.contains("labels") {
            bytes[8..].iter_mut().for_each(|label| *label += 1);
        }
        fs::write(bench.path(other), &bytes).unwrap();
        fs::write(bench.path(&other.replace("own", "other")), &bytes).unwrap();
        fs::remove_file(bench.path(name)).unwrap();
    }
    let plan = |more: &[&str]| {
        let plan = ["plan", "--config", "config.toml"];
        let sets = more.iter().flat_map(|set| ["--set", set]);
        bench.ended(&plan.into_iter().chain(sets).collect::<Vec<_>>())
    };
    failed(&plan(&[]), 2, &["several data sets (emnist-other, emnist-own): set data.prefix to one of them"]);
    let said = ["the label 5, but the network has 5 classes, from 0: set data.first_label to 1"];
    failed(&plan(&["data.prefix=emnist-own"]), 3, &said);
    let keys = ["data.prefix=emnist-own", "data.first_label=1"];
    let prefixed = bench.trained(&config, "prefixed", &keys);
    assert_eq!(prefixed.history(), plain.history());
    let turned = bench.trained(&config, "turned", &[keys[0], keys[1], "data.transpose=true"]);
    assert_ne!(turned.history(), plain.history());
    failed(
        &plan(&["data.kind=cifar10", "data.transpose=true"]),
        2,
        &["'data.transpose' in --set is for idx files"],
    );
}
