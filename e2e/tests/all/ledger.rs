//! Tests of `ledger.json`: both ends of every connection count the same messages.

use e2e::Bench;
use serde_json::{Value, json};

const KEYS: &str = r#"
[rule]
name = "kolen_pollack"
[train]
epochs = 1
batch = 30
[pipeline]
microbatches = 3
stages = ["branch2", "down"]
[snapshot]
every_steps = 2
"#;
/// 150 samples in minibatches of 30, each of 3 microbatches.
const STEPS: u64 = 5;

fn all<'a>(start: &'a Value, key: &str) -> &'a Vec<Value> {
    start[key].as_array().unwrap_or_else(|| panic!("{key} in {start}"))
}

#[test]
fn both_ends_of_every_link_and_control_plane_count_alike() {
    let bench = Bench::new();
    let run = bench.trained(&bench.config(KEYS), "counted", &[]);
    let ledger = run.json("ledger.json");
    let start = &all(&ledger, "starts")[0];
    assert_eq!((all(&ledger, "starts").len(), &start["incarnation"]), (1, &json!(1)));
    for key in ["refusals", "missing"] {
        assert!(all(start, key).is_empty(), "{}", start[key]);
    }

    // Up and down between the coordinator and three stages; an evaluation goes up alone.
    let links = all(start, "links");
    let of = |phase: &str| links.iter().filter(|link| link["phase"] == phase).count();
    assert_eq!([of("train"), of("evaluate"), links.len()], [8, 4, 12]);
    for link in links {
        let counted_by = [&link["from"], &link["to"]];
        let both = all(link, "counted_by").iter().all(|process| counted_by.contains(&process));
        assert!(both && all(link, "counted_by").len() == 2, "{link}");
        if link["phase"] == "train" {
            assert_eq!([&link["messages"], &link["samples"]], [STEPS * 3, STEPS * 30], "{link}");
        }
        let done = link["kind"] == "error_signal" && link["to"] == "coordinator";
        assert_eq!(done, link["payload"] == 0, "{link}");
        assert!(link["bytes"].as_u64() > link["payload"].as_u64(), "{link}");
    }
    for record in all(start, "control") {
        let of_no_start = ["describe", "description", "audit", "ledger"].map(Value::from);
        let processes = if of_no_start.contains(&record["message"]) { 1 } else { 2 };
        assert_eq!(all(record, "counted_by").len(), processes, "{record}");
    }
    let told = |message: &str| {
        let records = all(start, "control").iter().filter(|record| record["message"] == message);
        records.map(|record| record["messages"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    // An evaluation of 53 samples takes two minibatches.
    assert_eq!(
        [told("configure"), told("start"), told("lane"), told("step")],
        [1, 1, STEPS + 2, STEPS + 2].map(|count| vec![count; 3])
    );

    // Training consumed all training messages that crossed. The coordinator consumes none.
    let consumed = all(start, "consumed");
    assert_eq!((consumed.len(), &start["consumed_since"]), (8, &json!(0)));
    for record in consumed {
        let ends = [&record["from"], &record["to"]].into_iter().filter(|end| **end != "coordinator").count();
        assert_eq!(all(record, "counted_by").len(), ends, "{record}");
        let same = |link: &&Value| {
            ["from", "to", "kind", "phase", "tensors", "messages", "samples", "bytes", "payload"]
                .iter()
                .all(|key| link[key] == record[key])
        };
        let crossed = links.iter().find(same).unwrap_or_else(|| panic!("{record} in {links:?}"));
        assert_ne!(crossed["hash"], record["hash"], "the run is part of what crossed alone");
    }
    for layer in all(start, "layers") {
        assert_eq!(layer["read"], json!(["x", "error", "B"]), "{layer}");
    }
    assert_eq!(all(start, "layers").len(), 5);
}
