//! Tests of both programs in a container: the first process of its namespace, a user without a name and a home, and a root
//! file system that cannot be written.

use e2e::cgroup::Cgroup;
use e2e::harm::{ENDLESS, eventually, failed, signal};
use e2e::{Bench, Coordinator, Node, binary, pod};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// The first process of the namespace that `unshare`, the process `outer`, has made.
fn first_process(outer: u32) -> u32 {
    let mut first = None;
    eventually("the first process of the namespace", || {
        let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).unwrap_or_default();
        first = children.split_whitespace().next().and_then(|id| id.parse().ok());
        first.is_some()
    });
    first.expect("a process")
}

#[test]
fn both_programs_drain_as_the_first_process_without_name_home_or_writable_root() {
    let bench = Bench::new();
    // A user without a name reaches the data.
    fs::set_permissions(bench.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let [state, work] = ["state", "work"].map(|name| bench.path(name));
    for folder in [&state, &work] {
        fs::create_dir(folder).unwrap();
        pod::give(folder);
    }
    let mut possible = Command::new(binary("layer-node"));
    possible.arg("--version");
    if !pod::is_possible(pod::contained(&state, &possible)) {
        return;
    }
    let written = pod::contained(&state, Command::new("touch").arg(work.join("file"))).output().unwrap();
    assert!(!written.status.success(), "the root cannot be written");

    let mut node = Node::launch(pod::contained(&state, &Command::new(binary("layer-node"))), &state);
    let config = bench.config(&ENDLESS.replace("[\"branch2\", \"down\"]", "1"));
    let data = format!("data.path={}", bench.path("").display());
    let train = |node: &Node| {
        let mut train = Command::new(binary("coordinator"));
        train.args(["train", "--config", config.to_str().unwrap(), "--set", &data, "--name", "contained"]);
        train.args(["--nodes", node.address("control"), "--resume", "auto"]);
        let mut run = bench.run("contained");
        run.folder = work.join("runs/contained");
        Coordinator::start(pod::contained(&work, &train), run).wait_for_steps(3)
    };
    let coordinator = train(&node);
    signal("-TERM", first_process(coordinator.id()));
    failed(&coordinator.ended(), 75, &["interrupted after step ", "--resume auto"]);

    let coordinator = train(&node);
    let steps = coordinator.run.steps();
    let coordinator = coordinator.wait_for_steps(steps + 3);
    signal("-TERM", first_process(node.child.id()));
    assert_eq!(node.child.wait().unwrap().code(), Some(143));
    failed(&coordinator.ended(), 4, &["stage 0: the node is being stopped", "--resume auto"]);
    let kept = fs::read_dir(&state).unwrap().count();
    assert!(kept >= 2, "the snapshot of the interrupt, and that of the end: {kept}");
}

/// The number of a core that this process may use.
fn allowed_core() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let cores =
        status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("a list of cores");
    cores.trim().split([',', '-']).next().expect("a core").to_owned()
}

#[test]
fn a_node_computes_with_as_many_threads_as_it_may_use_cores() {
    let bench = Bench::new();
    let threads = |command: Command| -> usize {
        let node = Node::by_itself(command, &bench.path("state"));
        let checked = bench.ended(&["check", "--nodes", node.address("control")]).stdout;
        let line = checked.lines().nth(1).expect("a line for the node");
        line.split_whitespace().nth(3).expect("its threads").parse().expect("a number")
    };
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(threads(Command::new(binary("layer-node"))), cores);
    let mut pinned = Command::new("taskset");
    pinned.args(["--cpu-list", &allowed_core()]).arg(binary("layer-node"));
    assert_eq!(threads(pinned), 1);
    let Some(group) = Cgroup::of_one_core() else { return };
    assert_eq!(threads(group.command("layer-node")), 1);
}
