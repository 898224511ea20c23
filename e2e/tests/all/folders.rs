//! Tests of runs that begin at once or again: each has a folder of its own, nothing is written over, and `--resume auto`
//! serves every start.

use e2e::harm::{failed, saving};
use e2e::{Bench, Coordinator, Ended};
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;

/// A run of one step over one stage.
const SHORT: &str = "[train]\nmax_steps = 1\nbatch = 32\n[pipeline]\nmicrobatches = 2\nstages = 1\n";

fn train<'a>(config: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "--local", "--config", config.to_str().unwrap()], more].concat()
}

fn done(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn unnamed_runs_that_begin_at_once_get_a_folder_each() {
    let bench = Bench::new();
    let config = bench.config(SHORT);
    let start = || bench.coordinator(&train(&config, &[])).spawn().unwrap();
    let children: Vec<_> = (0..6).map(|_| start()).collect();
    for child in children {
        done(&child.wait_with_output().unwrap().into());
    }
    let whole = |number: &u64| bench.run(&format!("config-{number}")).summary()["status"] == "done";
    assert_eq!((1..=6).filter(whole).count(), 6);
    assert!(!bench.path("runs/config-7").exists());
}

#[test]
fn a_name_is_one_runs_while_it_lives_and_after() {
    let bench = Bench::new();
    let config = bench.config(SHORT);
    let begin = || bench.ended(&train(&config, &["--name", "same"]));
    let working = ["another coordinator works on the run in runs/same", "end it first"];
    // The test has the lock, as another coordinator has it from the moment that it looks into the folder.
    fs::create_dir_all(bench.path("runs/same")).unwrap();
    let lock = File::open(bench.path("runs/same")).unwrap();
    lock.lock().unwrap();
    failed(&begin(), 2, &working);
    assert_eq!(fs::read_dir(bench.path("runs/same")).unwrap().count(), 0, "nothing was written");
    drop(lock);

    // A coordinator that is stopped after it has begun still has the folder.
    let endless = ["--local", "--set", "train.max_steps=1000000", "--set", "train.epochs=1000000"];
    let first = bench.start("same", &config, &endless).wait_for_steps(3);
    first.signal("-STOP");
    let before = bench.run("same").json("run.json");
    failed(&begin(), 2, &working);
    first.signal("-CONT");
    first.signal("-INT");
    assert_eq!(first.ended().code, Some(75));
    failed(&begin(), 2, &["there is a run in runs/same already", "--resume auto"]);
    assert_eq!(bench.run("same").json("run.json")["id"], before["id"]);
}

#[test]
fn of_two_sweeps_that_begin_at_once_in_a_folder_one_works() {
    let bench = Bench::new();
    bench.config(SHORT);
    let sweeps = [[1, 2], [3, 4]].map(|seeds| {
        let path = bench.path(&format!("sweep-{}.toml", seeds[0]));
        let text =
            format!("base = \"config.toml\"\nmethod = \"grid\"\n[space]\nseed = {{ values = {seeds:?} }}");
        fs::write(&path, text).unwrap();
        path
    });
    let start = |sweep: &Path| {
        let sweep = ["sweep", "--local", "--run-dir", "both", "--config", sweep.to_str().unwrap()];
        bench.coordinator(&sweep).spawn().unwrap()
    };
    let children: Vec<_> = sweeps.iter().map(|sweep| start(sweep)).collect();
    let ended: Vec<Ended> =
        children.into_iter().map(|child| child.wait_with_output().unwrap().into()).collect();
    let (works, refused) = if ended[0].code == Some(0) { (0, 1) } else { (1, 0) };
    done(&ended[works]);
    failed(&ended[refused], 2, &["sweep in both"]);
    let text = fs::read_to_string(bench.path("both/trials.jsonl")).unwrap();
    let seeds =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["settings"]["seed"].clone());
    let mut seeds: Vec<_> = seeds.map(|seed| seed.as_u64().unwrap()).collect();
    seeds.sort_unstable();
    assert_eq!(seeds, [[1, 2], [3, 4]][works]);
    let kept = fs::read_to_string(bench.path("both/sweep.toml")).unwrap();
    assert!(kept.contains(&format!("[{}, {}]", seeds[0], seeds[1])), "{kept}");

    // A sweep and a run do not share a folder.
    let config = bench.path("config.toml");
    failed(&bench.ended(&train(&config, &["--run-dir", "both"])), 2, &["there is a sweep in both"]);
}

/// Begins an unnamed run of 400 steps and ends it by SIGTERM.
fn interrupted(bench: &Bench, config: &Path, name: &str) {
    let command = bench.coordinator(&train(config, &[]));
    let coordinator = Coordinator::start(command, bench.run(name)).wait_for_steps(5);
    coordinator.signal("-TERM");
    failed(&coordinator.ended(), 75, &["--resume auto goes on from there", name]);
}

#[test]
fn a_resume_without_a_name_takes_the_run_that_has_not_ended() {
    let bench = Bench::new();
    let config = bench.config(&saving(40));
    let resume = |more: &[&str]| bench.ended(&[&train(&config, &["--resume", "auto"])[..], more].concat());
    failed(&resume(&[]), 2, &["there is no run runs/config-N to go on with", "leave out --resume", "--name"]);
    interrupted(&bench, &config, "config-1");
    let ended = resume(&[]);
    done(&ended);
    let first = ended.stderr.lines().next().unwrap();
    assert_eq!(first, "going on with runs/config-1, the newest run of config");
    assert!(ended.stderr.contains("going on after step "), "{}", ended.stderr);
    assert_eq!(bench.run("config-1").metrics().len(), 400);
    done(&resume(&[]));
    failed(&resume(&["--set", "seed=3"]), 2, &["'seed' is 3 here and 0 in runs/config-1/config.toml"]);

    interrupted(&bench, &config, "config-2");
    interrupted(&bench, &config, "config-3");
    let both = [
        "runs/config-3, runs/config-2 have this configuration and have not ended",
        "--run-dir runs/config-3",
    ];
    failed(&resume(&[]), 2, &both);
    done(&resume(&["--name", "config-3"]));
    let ended = resume(&[]);
    done(&ended);
    assert!(
        ended.stderr.starts_with("going on with runs/config-2, the only unfinished run"),
        "{}",
        ended.stderr
    );
    assert!(!bench.path("runs/config-4").exists());
}

#[test]
fn one_command_line_begins_a_named_run_and_goes_on_with_it() {
    let bench = Bench::new();
    let config = bench.config(SHORT);
    let begun = |place: [&str; 2]| {
        let ended = bench.ended(&train(&config, &[&place[..], &["--resume", "auto"]].concat()));
        done(&ended);
        ended.stderr.lines().next().unwrap().to_owned()
    };
    assert_eq!(begun(["--name", "named"]), "beginning the run in runs/named, where there is none yet");
    assert!(!begun(["--name", "named"]).contains("beginning the run"));
    assert_eq!(bench.run("named").starts(), 2);

    // The folder is there: it is empty, or a start died before the run was whole.
    fs::create_dir(bench.path("empty")).unwrap();
    assert_eq!(begun(["--run-dir", "empty"]), "beginning the run in empty, where there is none yet");
    fs::create_dir(bench.path("died")).unwrap();
    fs::copy(bench.path("empty/run.json"), bench.path("died/run.json")).unwrap();
    fs::write(bench.path("died/config.writing"), "seed = ").unwrap();
    assert_eq!(begun(["--run-dir", "died"]), "beginning the run in died, where there is none yet");

    // What a run has learned is not begun over, and no step is there to go back to.
    fs::remove_file(bench.path("empty/config.toml")).unwrap();
    let resume =
        |place: &str, resume: &str| bench.ended(&train(&config, &["--run-dir", place, "--resume", resume]));
    failed(&resume("empty", "auto"), 2, &["empty holds metrics.jsonl, but no whole run", "choose another"]);
    failed(&resume("nowhere", "3"), 2, &["there is no run in nowhere to go on with"]);
    assert!(!bench.path("nowhere").exists());
}
