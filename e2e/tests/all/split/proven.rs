//! Tests of `coordinator locality` over stages whose W and B are on two hosts.

use e2e::Bench;
use serde_json::{Value, json};

/// Two stages of one weight layer each, both of them split.
const KEYS: &str = r#"
[train]
epochs = 1
batch = 32
[pipeline]
microbatches = 3
stages = ["classes"]
placement = "split"
"#;

/// The findings of a proof under `rule` that no rule reads W.
fn findings(bench: &Bench, rule: &[&str]) -> Value {
    let config = bench.tiny(KEYS);
    let mut command =
        bench.coordinator(&["locality", "--local", "--steps", "6", "--rules", "local", "--json", "-"]);
    command.arg("--config").arg(config);
    rule.iter().for_each(|pair| _ = command.args(["--set", pair]));
    let ended = e2e::Ended::from(command.output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&found["violations"], &found["stages"]), (&json!([]), &json!(2)));
    found
}

/// The messages from `from` to `to`, as (number of messages, names of tensors), in the order of the forms.
fn crossed(found: &Value, from: &str, to: &str) -> Vec<(u64, Vec<String>)> {
    let links = found["links"].as_array().unwrap().iter();
    let own = links.filter(|link| link["from"] == from && link["to"] == to);
    let row = |link: &Value| {
        let names =
            link["tensors"].as_array().unwrap().iter().map(|tensor| tensor["name"].as_str().unwrap().into());
        (link["messages"].as_u64().unwrap(), names.collect())
    };
    own.map(row).collect()
}

fn rows(rows: &[(u64, &[&str])]) -> Vec<(u64, Vec<String>)> {
    rows.iter().map(|(count, names)| (*count, names.iter().map(|name| (*name).into()).collect())).collect()
}

/// Six steps of three microbatches, and no message of an evaluation.
#[test]
fn rules_of_the_task_gradient_are_proven_local_with_w_and_b_on_two_hosts() {
    for rule in ["kolen_pollack", "product_feedback_alignment"] {
        proven(&format!("rule.name={rule}"));
    }
}

/// Checks what crosses under a rule that needs x and the error at y.
fn proven(rule: &str) {
    let bench = Bench::new();
    let found = findings(&bench, &[rule, "optimizer.weight_decay=1e-4"]);
    // Below the hidden layer are the images alone, which need no error.
    for (stage, layer, returned) in [(0, "hidden", 0), (1, "classes", 18)] {
        let (forward, backward) = (format!("stage {stage}"), format!("stage {stage}, backward"));
        let [x, error] = ["x", "error"].map(|suffix| format!("{layer}.{suffix}"));
        let due = rows(&[(18, &[&x]), (18, &[&error])]);
        assert_eq!(crossed(&found, &forward, &backward), due, "{layer}, to the host of B");
        let due = if returned > 0 { rows(&[(returned, &[&x])]) } else { Vec::new() };
        assert_eq!(crossed(&found, &backward, &forward), due, "{layer}, from the host of B");
    }
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    assert!(layers.iter().all(|layer| layer["read"] == json!(["x", "error", "B"])), "{layers:?}");
    let consumed = found["consumed"].as_array().unwrap();
    let halves =
        consumed.iter().filter(|record| record["from"].as_str().unwrap().ends_with("backward")).count();
    assert_eq!(halves, 1, "what returned was consumed: {consumed:?}");
}

/// Thirty mirror steps before the first update, and one after each of the six.
#[test]
fn weight_mirror_is_proven_local_with_its_noise_in_the_delay_phase() {
    let bench = Bench::new();
    let found = findings(&bench, &["rule.name=weight_mirror", "rule.mirror_delay=30"]);
    let to_backward = crossed(&found, "stage 1", "stage 1, backward");
    let due = rows(&[(18, &["classes.error"]), (36, &["classes.noise", "classes.noise.y"])]);
    assert_eq!(to_backward, due);
    assert_eq!(crossed(&found, "stage 1, backward", "stage 1"), rows(&[(18, &["classes.x"])]));
    let aligned = found["control"].as_array().unwrap().iter().filter(|record| record["message"] == "aligned");
    let aligned: u64 = aligned.map(|record| record["messages"].as_u64().unwrap()).sum();
    assert_eq!(aligned, 8, "four nodes align in two parts");
}
