//! Tests of little memory: a limit is seen before the kernel enforces it, and no more is read than is wanted.

use e2e::cgroup::Cgroup;
use e2e::harm::failed;
use e2e::{Bench, Ended, Node, SIDE, binary};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

const MIB: u64 = 1 << 20;
/// The limit of the test's control group.
const LIMIT: u64 = 200 * MIB;
/// Enough images of a hundred pixels to take twice the limit.
const SAMPLES: u32 = 4_000_000;

const KEYS: &str = r#"
[train]
max_steps = 2
batch = 20
[pipeline]
stages = 1
"#;

/// Writes a large training set of zeros, which is small on the disk: a gzip file may have many members.
fn write_large(bench: &Bench) {
    let header = |magic: u32, sizes: &[u32]| {
        std::iter::once(magic).chain(sizes.iter().copied()).flat_map(u32::to_be_bytes).collect::<Vec<u8>>()
    };
    let images = header(0x803, &[SAMPLES, SIDE as u32, SIDE as u32]);
    for (part, start, size) in
        [("images-idx3", images, SIDE * SIDE), ("labels-idx1", header(0x801, &[SAMPLES]), 1)]
    {
        let plain = bench.path(&format!("train-{part}-ubyte"));
        let mut file = File::create(plain.with_extension("gz")).unwrap();
        fs::remove_file(plain).unwrap();
        let members = 100;
        file.write_all(&packed(&start)).unwrap();
        let member = packed(&vec![0; SAMPLES as usize / members * size]);
        (0..members).for_each(|_| file.write_all(&member).unwrap());
    }
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The sentence about the large set under some limit.
fn refused(ended: &Ended, limit: &str) {
    let said = [
        "train-images-idx3-ubyte.gz needs 452000000 bytes (431.1 MiB) of memory for its 4000000 samples",
        "are free in the limit of ",
        limit,
        "give the program more memory, or train on at most ",
        "(data.limit = ",
    ];
    failed(ended, 3, &said);
}

fn run(mut command: Command, bench: &Bench, arguments: &[&str]) -> Ended {
    command.args(arguments).arg("--config").arg(bench.config(KEYS)).current_dir(bench.path("."));
    command.env_remove("NEUROPIL_DATA").output().unwrap().into()
}

#[test]
fn a_limit_of_a_control_group_is_seen_by_both_programs() {
    let Some(group) = Cgroup::limited(LIMIT) else { return };
    let bench = Bench::new();
    write_large(&bench);
    for work in [&["train", "--local", "--name", "large"][..], &["plan"]] {
        refused(&run(group.command("coordinator"), &bench, work), &group.name());
    }
    assert!(!bench.path("runs").exists(), "nothing was begun");

    // The node works outside of the group, so that the coordinator has the group's memory for itself.
    let node = Node::start(&bench.path("host"));
    let (node, flat) = (node.address("control"), ["--set", "data.mean=[0.5]", "--set", "data.std=[0.5]"]);
    let train = ["train", "--nodes", node, "--name", "part", "--set", "data.limit=40"];
    let train = [&train[..], &flat].concat();
    let ended = run(group.command("coordinator"), &bench, &train);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(bench.run("part").json("run.json")["data"]["train"]["samples"], 40);

    let inside = Node::launch(group.command("layer-node"), &bench.path("inside"));
    let checked = bench.ended(&["check", "--nodes", inside.address("control")]);
    assert!(checked.stdout.contains(" of 200.0 MiB "), "{}", checked.stdout);
    drop(inside);
}

#[test]
fn a_limit_on_the_address_space_is_seen() {
    let bench = Bench::new();
    write_large(&bench);
    let mut command = Command::new("prlimit");
    command.arg("--as=600000000").arg(binary("coordinator"));
    refused(&run(command, &bench, &["plan"]), "on the address space of this process (ulimit -v)");
}

/// A file that is longer than what is wanted of it may be torn beyond that.
#[test]
fn reading_stops_at_the_limit_on_samples() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let whole = bench.trained(&config, "whole", &["data.limit=30"]);
    let tear = |name: &str, header: usize, size: usize, samples: usize| {
        let path = bench.path(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..header + samples * size]).unwrap();
    };
    let images = Path::new("train-images-idx3-ubyte");
    tear(images.to_str().unwrap(), 16, SIDE * SIDE, 30);
    let torn = bench.trained(&config, "torn", &["data.limit=30"]);
    assert_eq!(torn.history(), whole.history());
    assert_eq!(torn.json("run.json")["data"], whole.json("run.json")["data"]);
    failed(&bench.train(&config, "more", &["data.limit=31"]), 3, &["should hold 15000 bytes", "only 3000"]);
}
