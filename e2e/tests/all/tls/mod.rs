//! Tests of mutual TLS: the bits are those of plaintext, and whoever is not expected is refused at both ends.

mod refusals;
mod renewal;

use e2e::harm::Hosts;

const KEYS: &str = r#"
[train]
epochs = 2
batch = 32
[pipeline]
microbatches = 2
stages = ["branch2", "down"]
"#;

#[test]
fn three_nodes_with_certificates_learn_what_they_learn_in_plaintext() {
    let train = |hosts: &Hosts| {
        let config = hosts.bench.config(KEYS);
        let ended = hosts.ended(&["train", "--config", config.to_str().unwrap(), "--name", "run"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        (hosts.digests(), hosts.bench.run("run").history())
    };
    let (plain, secured) = (Hosts::new(3), Hosts::secured(3));
    assert_eq!(train(&secured), train(&plain));
    let evaluated = secured.ended(&["evaluate", "--run", "runs/run", "--json"]);
    assert_eq!(evaluated.code, Some(0), "{}", evaluated.stderr);
    let checked = secured.ended(&["check"]);
    println!("{}", checked.stdout);
    for stage in 0..3 {
        assert!(checked.stdout.contains(&format!("stage {stage}")), "{}", checked.stdout);
    }
    assert!(!checked.stdout.contains("plaintext"), "{}", checked.stdout);
}
