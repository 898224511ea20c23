//! Local nodes listen at sockets in a private folder: no port of TCP is open, and the folder goes with the run, however
//! the run ends.

use e2e::harm::{ENDLESS, eventually, failed, node, signal};
use e2e::{Bench, Coordinator, Ended};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An endless run over three stages whose sockets lie below `temporary`.
fn training(bench: &Bench, temporary: &Path) -> Coordinator {
    let (config, run) = (bench.config(ENDLESS), bench.run("run"));
    let mut train = bench.coordinator(&["train", "--local", "--config"]);
    train.arg(config).arg("--run-dir").arg(&run.folder).env("TMPDIR", temporary);
    Coordinator::start(train, run).wait_for_steps(3)
}

/// The folders of sockets below `temporary`.
fn folders(temporary: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(temporary).unwrap().flatten().map(|entry| entry.path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("neuropil-")).collect()
}

/// The numbers of the sockets that a process has open.
fn sockets(process: u32) -> BTreeSet<String> {
    let links = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    let links = links.filter_map(|entry| fs::read_link(entry.path()).ok());
    let number = |link: PathBuf| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    links.filter_map(number).collect()
}

/// The numbers of all sockets of TCP.
fn tcp() -> BTreeSet<String> {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    lines.filter_map(|line| line.split_whitespace().nth(9)).map(str::to_owned).collect()
}

#[test]
fn no_process_of_a_local_run_has_a_socket_of_tcp_and_the_folder_is_private() {
    let (bench, temporary) = (Bench::new(), tempfile::tempdir_in("/tmp").unwrap());
    let coordinator = training(&bench, temporary.path());
    let [folder] = &folders(temporary.path())[..] else { panic!("one folder") };
    assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    let nodes =
        (0..3).map(|stage| node(&bench.run("run").folder.join(format!("state/stage-{stage}"))).unwrap());
    let processes: Vec<u32> = nodes.chain([coordinator.id()]).collect();
    for process in &processes {
        let open = sockets(*process);
        assert!(open.len() >= 2, "process {process} has sockets: {open:?}");
        assert_eq!(open.intersection(&tcp()).count(), 0, "process {process} has a socket of TCP");
    }
    coordinator.signal("-INT");
    assert_eq!(coordinator.ended().code, Some(75));
    assert_eq!(folders(temporary.path()), Vec::<PathBuf>::new());
}

#[test]
fn the_folder_goes_with_a_run_that_fails_and_with_a_coordinator_that_is_killed() {
    let (bench, temporary) = (Bench::new(), tempfile::tempdir_in("/tmp").unwrap());
    let coordinator = training(&bench, temporary.path());
    signal("-KILL", node(&bench.run("run").folder.join("state/stage-1")).expect("the stage runs"));
    failed(&coordinator.ended(), 4, &["error: stage 1 at unix:/", "/1.control: its process ended"]);
    assert_eq!(folders(temporary.path()), Vec::<PathBuf>::new());

    let bench = Bench::new();
    training(&bench, temporary.path()).kill();
    eventually("the end of the nodes", || node(&bench.path("")).is_none());
    assert_eq!(folders(temporary.path()), Vec::<PathBuf>::new(), "the last node takes the folder along");
}

/// A folder of a killed run does no harm, and neither does a TMPDIR that is too deep for a socket's path.
#[test]
fn a_deep_temporary_folder_and_what_a_killed_run_left_do_no_harm() {
    let bench = Bench::new();
    let deep = bench.path(&"a".repeat(60)).join("b".repeat(60));
    fs::create_dir_all(deep.join("neuropil-left")).unwrap();
    let train = |command: &mut Command, name: &str| -> Ended {
        let config = bench.config(&ENDLESS.replace("100000", "1"));
        command.args(["train", "--local", "--name", name, "--config"]).arg(config);
        command.env("TMPDIR", &deep).output().unwrap().into()
    };
    let ended = train(&mut bench.coordinator(&[]), "deep");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(folders(&deep).len(), 1);
}
