//! The transport of links changes no bit: over gRPC and through shared memory, runs end in the same weights, losses and
//! ledgers, also where they are disturbed or go on with the other transport.

use e2e::harm::{node, saving, signal};
use e2e::{Bench, Run};
use serde_json::Value;

/// A step of three microbatches; every cut but one crosses the residual connection. Tensors cross in slots and inline.
const KEYS: &str = r#"
[rule]
name = "kolen_pollack"
[train]
epochs = 1
batch = 48
max_steps = 4
[optimizer]
lr = 0.05
[pipeline]
microbatches = 3
stages = "per_layer"
"#;
const GRPC: &str = "network.transport=grpc";
const SHARED: &str = "network.transport=shared_memory";

fn same(one: &Run, other: &Run, case: &str) {
    assert_eq!(one.history(), other.history(), "{case}: loss history");
    assert_eq!(one.digests(), other.digests(), "{case}: digests");
    assert_eq!(one.summary()["test_top1"], other.summary()["test_top1"], "{case}");
}

/// What the ledger of a run says of its links, without the hashes of what crossed: the run's name is part of them.
fn links(run: &Run) -> Vec<Value> {
    let mut ledger = run.json("ledger.json");
    let start = &mut ledger["starts"][0];
    let links = start["links"].as_array_mut().expect("links");
    links.iter_mut().for_each(|link| _ = link.as_object_mut().expect("a link").remove("hash"));
    let consumed = start["consumed"].as_array().expect("consumed messages").clone();
    [start["links"].as_array().expect("links").clone(), consumed].concat()
}

#[test]
fn both_transports_end_in_the_same_bits_with_the_same_ledger() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let cases: [(&str, &[&str]); 4] = [
        ("residual", &[]),
        ("gpipe", &["pipeline.schedule=gpipe", "pipeline.stages=3", "network.wire=bf16"]),
        ("split", &["pipeline.placement=split", "pipeline.stages=2"]),
        ("images", &["pipeline.stages=[\"branch1_relu\", \"flat\"]", "rule.name=backprop"]),
    ];
    for (case, settings) in cases {
        let [grpc, shared] = [GRPC, SHARED].map(|transport| {
            let name = format!("{case}-{}", transport.rsplit('=').next().unwrap());
            bench.trained(&config, &name, &[settings, &[transport]].concat())
        });
        same(&shared, &grpc, case);
        assert_eq!(links(&shared), links(&grpc), "{case}: ledgers");
        let evaluated = |run: &str| {
            let ended = bench.ended(&["evaluate", "--run", &format!("runs/{run}"), "--json"]);
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            serde_json::from_str::<Value>(&ended.stdout).unwrap()["test_top1"].clone()
        };
        assert_eq!(evaluated(&format!("{case}-shared_memory")), evaluated(&format!("{case}-grpc")), "{case}");
    }
}

#[test]
fn a_disturbed_run_through_shared_memory_goes_on_to_the_same_bits_with_either_transport() {
    let bench = Bench::new();
    let config = bench.config(&saving(8));
    let undisturbed = bench.trained(&config, "undisturbed", &[GRPC]);
    let start = |name: &str, more: &[&str]| bench.start(name, &config, &[&["--local"], more].concat());

    let coordinator = start("killed", &["--restarts", "2"]).wait_for_steps(20);
    signal("-KILL", node(&bench.run("killed").folder.join("state/stage-1")).expect("the stage runs"));
    let ended = coordinator.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("rolling back and going on"), "{}", ended.stderr);
    same(&bench.run("killed"), &undisturbed, "a node was killed");

    for (at, transport) in [(15, GRPC), (40, SHARED)] {
        let coordinator = start("changed", &["--resume", "auto", "--set", transport]).wait_for_steps(at);
        coordinator.signal("-INT");
        assert_eq!(coordinator.ended().code, Some(75));
    }
    let ended = start("changed", &["--resume", "auto"]).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    same(&bench.run("changed"), &undisturbed, "the transport changed");
}
