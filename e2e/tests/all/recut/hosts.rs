//! A test of a cut across hosts: the state goes from the nodes of one cut to those of another by commands.

use e2e::harm::{Hosts, failed, saving};
use e2e::{Bench, Ended, digest};
use std::collections::BTreeMap;

/// The cut of the last starts, over the first two hosts.
const TWO: [&str; 4] = ["--resume", "auto", "--set", "pipeline.stages=[\"down\"]"];

/// Trains the run over the first `count` hosts.
fn train(hosts: &Hosts, count: usize, config: &str, more: &[&str]) -> Ended {
    let addresses: Vec<_> = hosts.nodes[..count].iter().map(|node| node.address("control")).collect();
    let addresses = addresses.join(",");
    let train = ["train", "--config", config, "--name", "run", "--nodes", &addresses];
    hosts.bench.ended(&[&train[..], more].concat())
}

/// Exports the state of the three hosts, cuts it for two, and imports it there.
fn carry_over(bench: &Bench, config: &str) {
    for host in 0..3 {
        let (folder, file) = (format!("host-{host}"), format!("part-{host}.safetensors"));
        bench.layer_node(&["export", "--with-optimizer", "--state-dir", &folder, &file]);
    }
    let files = ["part-0.safetensors", "part-1.safetensors", "part-2.safetensors"];
    let split = ["split", "--config", config, "--out", "parts"];
    let split = bench.ended(&[&split[..], &TWO[2..], &["--init"], &files].concat());
    assert_eq!(split.code, Some(0), "{}", split.stderr);
    assert!(split.stdout.contains("after 13 updates, whole"), "{}", split.stdout);
    for host in 0..2 {
        let (folder, file) = (format!("host-{host}"), format!("parts/stage-{host}.safetensors"));
        bench.layer_node(&["import", "--state-dir", &folder, &file]);
    }
}

#[test]
fn the_state_of_three_hosts_goes_on_at_two() {
    let hosts = Hosts::new(3);
    let bench = &hosts.bench;
    let config = bench.config(&saving(2).replace("lr = 0.05", "lr = 0.05\nschedule = \"constant\""));
    let never = bench.trained(&config, "never", &[]);
    let config = config.to_str().unwrap();
    let begun = train(&hosts, 3, config, &["--set", "train.max_steps=13"]);
    assert_eq!(begun.code, Some(0), "{}", begun.stderr);

    let refused = train(&hosts, 2, config, &TWO);
    let commands = ["layer-node export --with-optimizer", "coordinator split --init", "layer-node import"];
    failed(&refused, 2, &[&["stage 0 at ", "of this run for other layers"], &commands[..]].concat());
    carry_over(bench, config);
    let ended = train(&hosts, 2, config, &TWO);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("going on after step 13"), "{}", ended.stderr);

    let run = bench.run("run");
    assert_eq!(run.history(), never.history());
    let digests = (0..2).flat_map(|host| digest(&bench.path(&format!("host-{host}"))));
    assert_eq!(digests.collect::<BTreeMap<_, _>>(), never.digests());
    assert_eq!(run.json("run.json")["past"]["cuts"][1][0], 13);
}
