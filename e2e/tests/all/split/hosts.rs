//! Tests of backward nodes that are started by hand, as on hosts of their own.

use e2e::harm::Hosts;

const KEYS: &str = r#"
[rule]
name = "weight_mirror"
mirror_delay = 20
[train]
epochs = 1
batch = 32
[pipeline]
microbatches = 2
stages = ["down"]
placement = "split"
"#;

#[test]
fn two_stages_and_two_backward_nodes_with_certificates_train_what_one_host_trains() {
    let hosts = Hosts::secured_split(2);
    let config = hosts.bench.config(KEYS);
    let together = hosts.bench.trained(&config, "together", &["pipeline.placement=together"]);
    let checked = hosts.ended(&["check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    for said in ["stage 0, backward", "stage 1, backward", "idle"] {
        assert!(checked.stdout.contains(said), "'{said}' is not said in: {}", checked.stdout);
    }
    let trained = hosts.ended(&["train", "--config", config.to_str().unwrap(), "--name", "split"]);
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    assert_eq!(hosts.digests(), together.digests());
    let run = hosts.bench.run("split");
    assert_eq!(run.history(), together.history());

    // An evaluation needs no B.
    let nodes =
        ["evaluate", "--run", "runs/split", "--json", "--nodes", &hosts.addresses()].map(str::to_owned);
    let arguments: Vec<&str> = nodes.iter().chain(&hosts.tls).map(String::as_str).collect();
    let evaluated = hosts.bench.ended(&arguments);
    assert_eq!(evaluated.code, Some(0), "{}", evaluated.stderr);
    let found: serde_json::Value = serde_json::from_str(&evaluated.stdout).unwrap();
    assert_eq!(found["test_top1"], run.summary()["test_top1"]);
}
