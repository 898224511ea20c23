//! Nodes that are started by hand at sockets of this host.

use e2e::certificates::{Authority, Leaf};
use e2e::harm::failed;
use e2e::{Bench, Ended, Node, binary};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const KEYS: &str = r#"
[train]
epochs = 1
batch = 32
max_steps = 3
[pipeline]
microbatches = 2
stages = ["down"]
"#;

/// A node at sockets in `folder`.
fn start(bench: &Bench, folder: &Path, stage: usize) -> Node {
    let addresses = addresses(folder, stage);
    Node::at(&bench.path(&format!("host-{stage}")), addresses.each_ref().map(String::as_str))
}

fn addresses(folder: &Path, stage: usize) -> [String; 3] {
    ["data", "control", "health"].map(|plane| format!("unix:{}/{stage}.{plane}", folder.display()))
}

/// The end of `layer-node serve` with these flags, which must refuse them.
fn refused(bench: &Bench, flags: &[&str]) -> Ended {
    let mut serve = Command::new(binary("layer-node"));
    serve.arg("serve").args(flags).arg("--state-dir").arg(bench.path("state")).output().unwrap().into()
}

#[test]
fn nodes_at_sockets_train_to_the_bits_of_local_ones_and_tell_how_they_do() {
    let (bench, folder) = (Bench::new(), TempDir::new_in("/tmp").unwrap());
    let config = bench.config(KEYS);
    let local = bench.trained(&config, "local", &[]);
    let hosts: Vec<Node> = (0..2).map(|stage| start(&bench, folder.path(), stage)).collect();
    let nodes: Vec<_> = hosts.iter().map(|host| host.address("control")).collect();
    assert_eq!(nodes[1], addresses(folder.path(), 1)[1]);
    let nodes = nodes.join(",");

    let train = |name: &str, more: &[&str]| {
        let config = config.to_str().unwrap();
        bench.ended(&[&["train", "--config", config, "--name", name, "--nodes", &nodes], more].concat())
    };
    for (name, transport) in [("shared", "shared_memory"), ("grpc", "grpc")] {
        let ended = train(name, &["--set", &format!("network.transport={transport}")]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(bench.run(name).history(), local.history(), "{transport}");
    }
    let checked = bench.ended(&["check", "--nodes", &nodes]);
    assert!(checked.code == Some(0) && checked.stdout.matches("idle").count() == 2, "{}", checked.stderr);
    let health = bench.layer_node(&["health", "--health", hosts[0].address("health")]);
    assert_eq!(health, "serving\n");

    let authority = Authority::new(&bench.path("tls"));
    let tls = authority.issue("coordinator", &Leaf::coordinator()).flags();
    let tls: Vec<_> = tls.iter().map(String::as_str).collect();
    failed(
        &train("tls", &tls),
        2,
        &["--nodes unix:/", "certificates are for addresses of TCP", "leave out --tls-ca"],
    );
}

#[test]
fn what_does_not_go_together_is_refused_in_one_sentence() {
    let (bench, folder) = (Bench::new(), TempDir::new_in("/tmp").unwrap());
    let [data, control, health] = &addresses(folder.path(), 0);
    let deep = format!("unix:/{}", "a".repeat(120));
    failed(
        &refused(&bench, &["--listen", data, "--control", "127.0.0.1:0", "--health", health]),
        2,
        &["are of two kinds", "give both a unix:PATH, or both an IP:PORT"],
    );
    let relative = refused(&bench, &["--listen", "unix:a"]);
    assert!(
        relative.code == Some(2) && relative.stderr.contains("a whole path from / is expected"),
        "{}",
        relative.stderr
    );
    let long = refused(&bench, &["--listen", &deep]);
    assert!(
        long.code == Some(2) && long.stderr.contains("a socket's path has at most 103"),
        "{}",
        long.stderr
    );
    let authority = Authority::new(&bench.path("tls"));
    let tls = authority.issue("stage-0", &Leaf::stage(0)).flags();
    let tls: Vec<_> = tls.iter().map(String::as_str).collect();
    let ended =
        refused(&bench, &[&["--listen", data, "--control", control, "--health", health], &tls[..]].concat());
    failed(&ended, 2, &["--listen unix:/", "certificates are for addresses of TCP"]);

    let _serving = start(&bench, folder.path(), 0);
    let taken = refused(&bench, &["--listen", data, "--control", control, "--health", health]);
    failed(
        &taken,
        2,
        &["cannot listen on unix:/", "another process listens there", "give --listen another address"],
    );

    let config = bench.config(KEYS);
    let train = ["train", "--config", config.to_str().unwrap(), "--set", "network.transport=shared_memory"];
    let ended = bench.ended(&[&train[..], &["--nodes", "127.0.0.1:1,127.0.0.1:2"]].concat());
    failed(
        &ended,
        2,
        &["'127.0.0.1:1' is an address of TCP", "network.transport = \"shared_memory\" needs sockets"],
    );
}
