//! Tests of links in 8 bits: the same bits under every schedule and after an interrupt, bytes as predicted, and f32's bits
//! where nothing but logits crosses.

use crate::resume::same;
use e2e::harm::{failed, saving};
use e2e::{Bench, Run};
use serde_json::Value;
use std::collections::BTreeMap;

const KEYS: &str = r#"
[rule]
name = "kolen_pollack"
[train]
epochs = 1
batch = 32
max_steps = 4
[optimizer]
lr = 0.05
weight_decay = 1e-3
[optimizer_b]
weight_decay = 0.0
[pipeline]
microbatches = 3
stages = ["branch2", "down"]
[network]
wire = "int8"
wire_block = 32
"#;

fn ended(run: &Run) -> (Vec<String>, BTreeMap<String, String>) {
    (run.history(), run.digests())
}

#[test]
fn a_cut_has_the_same_bits_under_every_schedule_and_logits_are_not_rounded() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    for feedback in ["false", "true"] {
        let feedback = format!("network.error_feedback={feedback}");
        let run = |schedule: &str| {
            let set = format!("pipeline.schedule={schedule}");
            ended(&bench.trained(&config, &format!("{schedule}-{feedback}"), &[&set, &feedback]))
        };
        assert_eq!(run("gpipe"), run("one_f_one_b"), "{feedback}");
    }
    let [plain, fed] = ["gpipe-network.error_feedback=false", "gpipe-network.error_feedback=true"]
        .map(|name| ended(&bench.run(name)));
    assert_ne!(plain, fed, "feedback changes the error signals");
    let [whole, eight] = ["f32", "int8"].map(|wire| {
        let set = ["pipeline.stages=1".to_owned(), format!("network.wire={wire}")];
        ended(&bench.trained(&config, &format!("one-{wire}"), &set.each_ref().map(String::as_str)))
    });
    assert_eq!(whole, eight, "only logits cross");
    let why = bench.train(&config, "bf16", &["network.wire=bf16", "network.error_feedback=true"]);
    failed(&why, 2, &["'network.error_feedback' in --set is true, and 'network.wire' is \"bf16\""]);
    let why = bench.train(&config, "odd", &["network.wire_block=96"]);
    failed(&why, 2, &["'network.wire_block' in --set is 96: it must be one of 32, 64, 128"]);
}

#[test]
fn a_run_that_was_interrupted_has_the_residuals_of_an_undisturbed_one() {
    let bench = Bench::new();
    let wire = "[network]\nwire = \"int8\"\nwire_block = 32\nerror_feedback = true\n";
    let config = bench.config(&format!("{}{wire}", saving(20)));
    let whole = bench.trained(&config, "whole", &[]);
    let disturbed = bench.start("disturbed", &config, &["--local"]).wait_for_steps(25);
    disturbed.signal("-INT");
    assert_eq!(disturbed.ended().code, Some(75));
    let ended = bench.start("disturbed", &config, &["--local", "--resume", "auto"]).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    same(&bench.run("disturbed"), &whole);
}

/// The proof compares the bytes on each link with the prediction; one half of a run sends to the other half in 8 bits too.
#[test]
fn the_bytes_on_every_link_are_those_of_the_prediction() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    for placement in ["together", "split"] {
        let set = format!("pipeline.placement={placement}");
        let config = config.to_str().unwrap();
        let ended = bench.ended(&[
            "locality", "--local", "--steps", "4", "--config", config, "--json", "-", "--set", &set,
        ]);
        assert_eq!(ended.code, Some(0), "{placement}: {}", ended.stderr);
        let found: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(found["violations"], Value::Array(Vec::new()));
        for link in found["links"].as_array().unwrap() {
            let outer = link["from"] == "coordinator" || link["to"] == "coordinator";
            for tensor in link["tensors"].as_array().unwrap() {
                let due = match (tensor["name"] == "input", outer) {
                    (true, _) => "u8",
                    (false, true) => "f32",
                    (false, false) => "int8_32",
                };
                assert_eq!(tensor["format"], due, "{link}");
            }
        }
    }
}
