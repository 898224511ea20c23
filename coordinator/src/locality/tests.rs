//! Tests of what a proof shows: the table, the JSON and the page say the same.

use super::fixtures::Run;
use super::*;
use proto::link::{Carried, Role};
use proto::microbatch::Phase;
use proto::spec::graph::Value;
use serde_json::{Value as Json, json};

/// An honest run, and one in which a tensor too many crossed.
fn runs() -> [Run; 2] {
    let mut leaking = Run::of("symmetric_alignment");
    leaking.both(Role::Stage(0), Carried::Activations, Phase::Train, |record| {
        record.tensors.push(Value { name: "skip.weight".into(), shape: vec![2, 1, 3, 3] });
    });
    [Run::of("kolen_pollack"), leaking]
}

fn shown(run: &Run) -> (String, Json, String) {
    let findings = run.findings(Allowed::Declared);
    let facts = vec!["3 stages".into(), "links in <f32>".into()];
    let addresses = vec!["10.0.0.1:7101".into()];
    let about = About { title: "c".into(), facts, addresses };
    let page = page(&about, &run.stages, &findings, Allowed::Declared);
    assert_eq!(page, super::page(&about, &run.stages, &findings, Allowed::Declared), "the same every time");
    let json = serde_json::from_str(&super::json(&findings).unwrap()).unwrap();
    (table(&findings, Allowed::Declared), json, page)
}

#[test]
fn the_json_has_the_names_of_the_contract() {
    let (_, json, _) = shown(&runs()[0]);
    let skip = json!({"name": "skip", "format": "f32", "shape": [2, 4, 4]});
    let relu = json!({"name": "relu", "format": "f32", "shape": [2, 4, 4]});
    let link = json["links"].as_array().unwrap().iter().find(|link| {
        (&link["from"], &link["kind"], &link["phase"])
            == (&"stage 0".into(), &"activation".into(), &"train".into())
    });
    let mut link = link.unwrap().clone();
    assert!(link["hash"].as_str().is_some_and(|hash| hash.len() == 64));
    link["hash"] = Json::Null;
    // Twenty samples of two values of 32 numbers.
    let payload = 20 * 2 * 32 * 4;
    let bytes = link["bytes"].take();
    assert!(
        bytes.as_u64().is_some_and(|bytes| (payload + 9 * 60..payload + 9 * 140).contains(&bytes)),
        "{bytes}"
    );
    let due = json!({
        "from": "stage 0", "to": "stage 1", "kind": "activation", "phase": "train", "tensors": [skip, relu],
        "messages": 9, "bytes": null, "payload": payload, "hash": null
    });
    assert_eq!(link, due);
    let layer = json!({
        "stage": 0, "name": "skip", "rule": "kolen_pollack", "read": ["x", "error", "B"],
        "declared": ["x", "error", "B"]
    });
    assert_eq!((&json["layers"][0], &json["violations"]), (&layer, &json!([])));
    assert_eq!((&json["steps"], &json["stages"]), (&json!(3), &json!(3)));
    let step = json["control"].as_array().unwrap().iter().find(|record| record["message"] == "step").unwrap();
    assert_eq!(
        (&step["from"], &step["to"], &step["messages"]),
        (&"stage 0".into(), &"coordinator".into(), &5.into())
    );
    let consumed = json["consumed"].as_array().unwrap();
    assert!(consumed.len() == 8 && consumed.iter().all(|record| record["phase"] == "train"));
}

#[test]
fn a_violation_is_told_by_the_table_the_json_and_the_page() {
    let sentence = "both ends counted the tensors skip 2×4×4, relu 2×4×4, skip.weight 2×1×3×3, where the plan has skip 2×4×4, relu 2×4×4";
    let [honest, leaking] = runs().map(|run| shown(&run));
    let (table, json, page) = leaking;
    let violation = json!({
        "link": "stage 0 → stage 1", "message": "train activation", "tensor": "skip.weight", "sentence": sentence
    });
    assert_eq!(json["violations"], json!([violation]));
    let told = format!("violation: stage 0 → stage 1, train activation, skip.weight: {sentence}\n");
    assert!(table.contains(&told) && table.ends_with("\nlocality is not proven: 1 violation\n"), "{table}");
    let row = table
        .lines()
        .find(|line| line.starts_with("stage 0 → stage 1 ") && line.contains("train activation"))
        .unwrap();
    assert!(row.ends_with("ok       NO     ok    ok    ok"), "{row}");
    assert_eq!(page.matches(sentence).count(), 2, "in the head, and at its link");
    assert!(page.contains(r#"<div class="flow up broken">"#));

    let (table, _, page) = honest;
    let last = table.lines().last().unwrap();
    assert!(last.starts_with("no weight crossed a link in 3 steps over 3 stages: "), "{last}");
    assert!(last.contains("each rule read only what it declares. Not proven: "), "{last}");
    assert!(
        !table.contains("NO") && !page.contains("broken\">") && page.contains("No weight crossed a link")
    );
}

#[test]
fn the_page_fetches_nothing_and_escapes_every_string() {
    let [(.., page), _] = runs().map(|run| shown(&run));
    for fetch in ["http://", "https://", "src=", "url(", "@import", "<link", "<script", "<f32>"] {
        assert!(!page.contains(fetch), "{fetch} in the page");
    }
    assert!(page.contains("links in &#60;f32&#62;") && page.contains("10.0.0.1:7101"));
    let at = |name: &str| page.find(&format!("<h3>{name} <small>")).unwrap_or_else(|| panic!("{name}"));
    assert!(at("stage 2") < at("stage 1") && at("stage 1") < at("stage 0"), "above is nearer the output");
}
