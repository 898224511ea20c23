//! Tests of the surroundings of nodes: the environment that they get, and the hosts that reach them.

use e2e::harm::{ENDLESS, failed, node};
use e2e::{Bench, Ended, binary};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

/// The harmful variables of the tests.
const VARIABLES: [(&str, &str); 3] =
    [("OMP_PROC_BIND", "true"), ("OMP_NUM_THREADS", "7"), ("GOMP_CPU_AFFINITY", "0")];

/// The cores that each thread of a process may use, as `/proc` lists them.
fn cores(process: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let status =
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default());
    let list = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:").map(str::trim));
        line.map(str::to_owned)
    };
    status.filter_map(list).collect()
}

#[test]
fn local_nodes_do_not_get_the_variables_of_openmp() {
    let bench = Bench::new();
    let run = bench.run("bound");
    let mut command = bench.coordinator(&["train", "--local", "--config"]);
    command.arg(bench.config(ENDLESS)).arg("--run-dir").arg(&run.folder).envs(VARIABLES);
    command.env("MALLOC_ARENA_MAX", "2").args(["--set", "node.threads=2"]);
    let going = e2e::Coordinator::start(command, run).wait_for_steps(3);
    let own = cores(std::process::id());
    for stage in 0..3 {
        let process = node(&going.run.folder.join(format!("state/stage-{stage}"))).unwrap();
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap();
        let environment = String::from_utf8_lossy(&environment);
        assert!(VARIABLES.iter().all(|(name, _)| !environment.contains(name)), "{environment}");
        assert!(environment.contains("MALLOC_ARENA_MAX=2"), "what is the user's stays: {environment}");
        assert!(cores(process).iter().all(|cores| *cores == own[0]), "{:?}", cores(process));
    }
    going.signal("-INT");
    let ended = going.ended();
    let said = "local nodes start without GOMP_CPU_AFFINITY, OMP_NUM_THREADS, OMP_PROC_BIND";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

/// A node with these flags, until it is ready: its first line on stdout, and its log.
fn ready(state: &Path, flags: &[&str], variables: &[(&str, &str)]) -> (serde_json::Value, String) {
    let mut command = Command::new(binary("layer-node"));
    command.args(["serve", "--exit-with-stdin", "--threads", "1", "--state-dir"]).arg(state).args(flags);
    command.envs(variables.iter().copied()).env_remove("RUST_LOG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    drop(child.stdin.take());
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    child.wait().unwrap();
    (serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}{log}")), log)
}

const ANY: [&str; 6] = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--health", "127.0.0.1:0"];

#[test]
fn a_node_started_by_hand_warns_of_each_variable_that_harms() {
    let folder = tempfile::tempdir().unwrap();
    let warnings = |log: &str| log.matches(" in the environment ").count();
    let (_, log) = ready(folder.path(), &ANY, &VARIABLES);
    assert_eq!(warnings(&log), VARIABLES.len(), "{log}");
    for (name, value) in VARIABLES {
        let lines: Vec<_> =
            log.lines().filter(|line| line.contains(&format!("{name}={value} in the"))).collect();
        assert!(
            lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains("start the node without"),
            "{log}"
        );
    }
    let (_, log) = ready(folder.path(), &ANY, &[("OMP_NUM_THREADS", "1")]);
    assert_eq!(warnings(&log), 0, "{log}");
}

#[test]
fn the_attempt_of_a_controller_is_logged_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let (_, log) = ready(folder.path(), &ANY, &[("NEUROPIL_ATTEMPT", "3")]);
    assert!(log.contains("this process is attempt 3 of its controller (NEUROPIL_ATTEMPT)"), "{log}");
    let (_, log) = ready(folder.path(), &ANY, &[("NEUROPIL_ATTEMPT", "")]);
    assert!(!log.contains("attempt"), "{log}");
    let bench = Bench::new();
    let config = bench.config(ENDLESS);
    let mut train = bench.coordinator(&["train", "--nodes", "127.0.0.1:1", "--config"]);
    let ended = Ended::from(train.arg(&config).env("NEUROPIL_ATTEMPT", "4").output().unwrap());
    assert!(ended.stderr.contains("this process is attempt 4 of "), "{}", ended.stderr);
}

#[test]
fn a_port_beyond_loopback_is_given_on_purpose_and_explained() {
    let folder = tempfile::tempdir().unwrap();
    let open = ["--listen", "0.0.0.0:0", "--control", "127.0.0.1:0", "--health", "127.0.0.1:0"];
    let mut command = Command::new(binary("layer-node"));
    let refused: Ended =
        command.arg("serve").args(open).arg("--state-dir").arg(folder.path()).output().unwrap().into();
    failed(
        &refused,
        2,
        &["--listen 0.0.0.0:0 is beyond", "--tls-cert", "coordinator certificates", "--insecure-plaintext"],
    );
    let (_, log) = ready(folder.path(), &[&open[..], &["--insecure-plaintext"]].concat(), &[]);
    assert!(log.contains("--insecure-plaintext is on"), "{log}");
    let (_, log) = ready(folder.path(), &ANY, &[]);
    assert!(!log.contains("open to other hosts"), "{log}");

    // The ports of the default may be taken by another node of this host.
    let mut command = Command::new(binary("layer-node"));
    let help: Ended = command.args(["serve", "--help"]).output().unwrap().into();
    for port in ["127.0.0.1:7100", "127.0.0.1:7101", "127.0.0.1:7102"] {
        assert!(help.stdout.contains(&format!("[default: {port}]")), "{}", help.stdout);
    }
    assert!(!help.stdout.contains("0.0.0.0"), "{}", help.stdout);

    let bench = Bench::new();
    let config = bench.config(ENDLESS);
    let train = ["train", "--local", "--config", config.to_str().unwrap(), "--set", "train.max_steps=1"];
    let metrics = |address| bench.ended(&[&train[..], &["--metrics", address]].concat());
    assert!(metrics("0.0.0.0:0").stderr.contains("is open to other hosts"));
    let closed = metrics("127.0.0.1:0");
    assert!(closed.code == Some(0) && !closed.stderr.contains("open to other hosts"), "{}", closed.stderr);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    failed(&metrics(&address), 2, &[&address, "give --metrics another address"]);
}
