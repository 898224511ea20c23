//! Tests of limits on threads, open files and memory: whatever is refused, a program ends in a sentence that names the
//! limit, or works.

use e2e::harm::failed;
use e2e::limited::{Group, User, command, ended};
use e2e::{Bench, Ended, Node, binary};
use proto::process::room::threads_of_node;
use std::path::Path;
use std::process::Command;

/// Two stages that train three steps.
const KEYS: &str = r#"
[train]
max_steps = 3
batch = 16
[pipeline]
microbatches = 2
stages = ["down"]
"#;

/// A node that stops as soon as it is ready, with its state in `state`.
fn node(mut command: Command, state: &Path, threads: u32) -> Ended {
    let any = "127.0.0.1:0";
    command.args(["serve", "--listen", any, "--control", any, "--health", any, "--exit-with-stdin"]);
    ended(command.args(["--threads", &threads.to_string(), "--state-dir"]).arg(state))
}

/// Checks that a program works, or ends in a sentence that names the limit.
fn works_or_says(ended: &Ended, limit: &str, case: &str) -> bool {
    let panicked = ended.stderr.contains("panicked") || ended.stderr.contains("RUST_BACKTRACE");
    assert!(!panicked, "{case}: {}", ended.stderr);
    if ended.code == Some(0) {
        return true;
    }
    let sentence = ended.last_line();
    println!("{case}: {:?} {sentence}", ended.code);
    assert!(matches!(ended.code, Some(1 | 2 | 4)), "{case}: {:?} {}", ended.code, ended.stderr);
    assert!(sentence.starts_with("error: ") && sentence.contains(limit), "{case}: {}", ended.stderr);
    assert!(ended.stdout.is_empty(), "{case}: {}", ended.stdout);
    false
}

#[test]
fn a_node_under_a_limit_on_threads_is_ready_or_names_the_limit() {
    let Some(user) = User::of_test(1, &binary("layer-node")) else { return };
    let folder = tempfile::tempdir().unwrap();
    user.own(folder.path());
    for (threads, needed) in [1, 4].map(|threads| (threads, threads_of_node(threads))) {
        for most in [2, 3, 4, needed - 1, needed] {
            let command = user.command(&format!("ulimit -u {most}"), &binary("layer-node"));
            let ended = node(command, &folder.path().join("state"), threads);
            let ready =
                works_or_says(&ended, &format!("`ulimit -u` is {most}"), &format!("{threads} of {most}"));
            assert_eq!(
                ready,
                most == needed,
                "{most} threads, of which {needed} are needed: {}",
                ended.stderr
            );
        }
    }
}

#[test]
fn a_run_under_a_limit_on_threads_trains_or_names_the_limit() {
    let Some(user) = User::of_test(2, &binary("layer-node")) else { return };
    let bench = Bench::new();
    let config = bench.config(KEYS);
    user.own(&bench.path(""));
    let mut trained = Vec::new();
    for most in [2, 3, 5, 7, 9, 14, 40] {
        let mut command = user.command(&format!("ulimit -u {most}"), &binary("coordinator"));
        command.args(["train", "--local", "--config"]).arg(&config).current_dir(bench.path(""));
        let ended = ended(&mut command);
        if works_or_says(&ended, "`ulimit -u` is", &format!("train with {most}")) {
            trained.push(most);
        }
    }
    assert_eq!(trained, [40]);
}

#[test]
fn a_control_group_with_few_threads_is_named() {
    let state = tempfile::tempdir().unwrap();
    let Some(group) = Group::of_threads(5) else { return };
    let ended = node(command(&group.enter(), &binary("layer-node")), state.path(), 4);
    failed(&ended, 2, &["this node (--threads 4) needs", &group.file(), "is 5", "or give fewer --threads"]);
}

#[test]
fn few_open_files_and_little_memory_are_named_by_both_programs() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    for limit in ["ulimit -n 8", "ulimit -n 20"] {
        let named = format!("`{}` is {}", &limit[..9], &limit[10..]);
        let ended = node(command(limit, &binary("layer-node")), &bench.path("state"), 1);
        failed(&ended, 2, &["open files and sockets", &named]);
    }
    for limit in ["ulimit -n 8", "ulimit -n 20", "ulimit -v 60000"] {
        let mut command = command(limit, &binary("coordinator"));
        command.args(["train", "--local", "--config"]).arg(&config).current_dir(bench.path(""));
        failed(&ended(&mut command), 2, &[&format!("`{}` is {}", &limit[..9], &limit[10..])]);
    }
}

#[test]
fn a_node_that_is_ready_has_all_its_threads() {
    let bench = Bench::new();
    let node = Node::computing(&bench.path("host-0"), 3);
    let threads = || std::fs::read_dir(format!("/proc/{}/task", node.child.id())).unwrap().count();
    let ready = threads();
    // A node that is started by hand reads no standard input.
    assert_eq!(ready, threads_of_node(3) - 1);
    let config = bench.config(&KEYS.replace("[\"down\"]", "1"));
    let train = ["train", "--config", config.to_str().unwrap(), "--nodes", node.address("control")];
    let ended = bench.ended(&train);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(threads(), ready);
}
