//! Tests of commands that only read: they write nothing into a run's folder, which may be on a read-only file system.

use e2e::harm::{ENDLESS, failed};
use e2e::readonly::{Mounted, stranger};
use e2e::{Bench, Ended, binary};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const KEYS: &str = "[train]\nmax_steps = 6\nbatch = 32\n[pipeline]\nmicrobatches = 2\nstages = [\"down\"]\n";

/// Every file below `folder`, with its bytes; a folder has none.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => _ = found.insert(path.clone(), fs::read(&path).unwrap()),
        }
        found.entry(path).or_default();
    }
    found
}

fn evaluated(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((found["step"].as_u64(), found["samples"].as_u64()), (Some(6), Some(53)));
}

#[test]
fn an_evaluation_writes_nothing() {
    let bench = Bench::new();
    let run = bench.trained(&bench.config(KEYS), "read", &[]);
    let before = files(&run.folder);
    let evaluate = ["evaluate", "--json", "--run", "runs/read"];
    // Readers share the run.
    let children: Vec<_> = (0..2).map(|_| bench.coordinator(&evaluate).spawn().unwrap()).collect();
    children.into_iter().for_each(|child| evaluated(&child.wait_with_output().unwrap().into()));
    assert!(files(&run.folder) == before, "a file of the run was changed");

    // Where TMPDIR cannot be written, another place for temporary files serves.
    let mut cramped = bench.coordinator(&evaluate);
    evaluated(&cramped.env("TMPDIR", bench.path("nowhere")).output().unwrap().into());
    let file = run.folder.join("state/stage-1/step-00000006/stage.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let damaged = files(&run.folder);
    failed(&bench.ended(&evaluate), 4, &["stage 1 at ", "step-00000006/stage.safetensors is damaged"]);
    assert!(files(&run.folder) == damaged, "the damaged snapshot stays where it is");
}

#[test]
fn a_run_on_a_read_only_file_system_can_be_read() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    bench.trained(&config, "read", &[]);
    let Some(mounted) = Mounted::read_only(&bench.path("runs"), &bench.path("mounted")) else {
        println!("skipped: this user cannot mount a folder");
        return;
    };
    let run = mounted.path.join("read");
    let run = run.to_str().unwrap();
    evaluated(&bench.ended(&["evaluate", "--json", "--run", run]));
    let out = bench.path("page.html");
    assert_eq!(bench.ended(&["compare", run, "--out", out.to_str().unwrap()]).code, Some(0));
    let written = mounted.path.join("page.html");
    let ended = bench.ended(&["compare", run, "--out", written.to_str().unwrap()]);
    let advice = "mount that file system for writing, or give --out another file";
    failed(&ended, 1, &["cannot write ", "/mounted/page.html (Read-only file system (os error 30))", advice]);
    let node = |arguments: &[&str]| -> Ended {
        Command::new(binary("layer-node"))
            .args(arguments)
            .current_dir(bench.path("."))
            .output()
            .unwrap()
            .into()
    };
    let state = format!("{run}/state");
    assert_eq!(node(&["digest", "--state-dir", &format!("{state}/stage-0")]).code, Some(0));
    assert_eq!(node(&["export", "--state-dir", &state, "weights"]).code, Some(0));
    let ended = node(&["export", "--state-dir", &state, &format!("{run}/weights")]);
    failed(&ended, 1, &["(Read-only file system (os error 30))", "or name another file"]);

    // A run goes on only where it can be written.
    let config = config.to_str().unwrap();
    let resume = ["train", "--local", "--config", config, "--run-dir", run, "--resume", "auto"];
    failed(
        &bench.ended(&resume),
        1,
        &["cannot write ", "(Read-only file system", "choose another --run-dir"],
    );
    let new = format!("{run}-new");
    failed(
        &bench.ended(&["train", "--local", "--config", config, "--run-dir", &new]),
        1,
        &["cannot write ", "(Read-only file system", "choose another --run-dir"],
    );

    // The coordinator of a live run has the folder, through every mount.
    let live = bench.start("live", &bench.config(ENDLESS), &["--local"]).wait_for_steps(3);
    let ended =
        bench.ended(&["evaluate", "--step", "1", "--run", mounted.path.join("live").to_str().unwrap()]);
    failed(&ended, 2, &["another coordinator works on the run in ", "mounted/live"]);
    live.kill();
}

#[test]
fn a_run_of_another_user_can_be_read() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let run = bench.trained(&config, "read", &[]);
    let Some(user) = stranger(&bench.path(".")) else {
        println!("skipped: this user cannot start a program as another one");
        return;
    };
    let before = files(&run.folder);
    let ended = |arguments: &[&str]| -> Ended {
        let mut command = Command::new(&user[0]);
        command.args(&user[1..]).arg(binary("coordinator")).args(arguments).current_dir(bench.path("."));
        command.env_remove("NEUROPIL_DATA").env_remove("NEUROPIL_LAYER_NODE").output().unwrap().into()
    };
    evaluated(&ended(&["evaluate", "--json", "--run", "runs/read"]));
    assert!(files(&run.folder) == before);
    let said = ["compare.html (Permission denied (os error 13))", "give this user the permission", "--out"];
    failed(&ended(&["compare", "runs/read"]), 1, &said);
    let train = ["train", "--local", "--config", config.to_str().unwrap()];
    failed(&ended(&train), 1, &["cannot write runs/config-1 (Permission denied", "choose another --run-dir"]);
}
