//! Tests of a proof's results: the table, the JSON and the page say the same.

use super::fixtures::Run;
use super::*;
use proto::link::{Carried, Role};
use proto::microbatch::Phase;
use proto::spec::graph::Value;
use serde_json::{Value as Json, json};

/// An honest run, and a run in which one tensor too many crossed.
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
    let addresses = vec![(Role::Stage(0), "10.0.0.1:7101".into())];
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
    assert!(last.contains("each rule read only the values that it declares. Not proven: "), "{last}");
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

#[test]
fn the_reason_why_w_may_not_stay_secret_is_what_crosses() {
    let outputs = "stays secret from its backward node, since x and y of enough samples determine W";
    let steps = "stays secret from its backward node, since x and the error at y add up to W's own steps";
    for (rule, due) in [
        (&["name=feedback_alignment"][..], "and that numbers of the right shape hide nothing"),
        (&["name=custom", "sparse=0.1"], steps),
        (&["name=kolen_pollack"], steps),
        (&["name=weight_mirror"], outputs),
        (&["name=information_alignment"], outputs),
    ] {
        let (table, _, page) = shown(&Run::split(rule, 0));
        let last = table.lines().last().unwrap();
        assert!(last.ends_with(due), "{rule:?}: {last}");
        assert_eq!(
            page.contains("stays secret from its backward node"),
            due != "and that numbers of the right shape hide nothing"
        );
    }
}

#[test]
fn the_halves_of_a_stage_are_in_the_table_the_json_and_the_page() {
    let mut run = Run::split(&["name=kolen_pollack"], 0);
    let (table, json, page) = shown(&run);
    let row = |begins: &str| {
        let row = table.lines().find(|line| line.starts_with(begins)).unwrap_or_else(|| panic!("{table}"));
        row.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let there = row("stage 0 → stage 0, backward");
    assert!(there.starts_with("stage 0 → stage 0, backward train layer values a.x 2×4×4 f32 9 "), "{there}");
    let back = row("stage 0, backward → stage 0");
    assert!(back.starts_with("stage 0, backward → stage 0 train error signal a.x 2×4×4 f32 9 "), "{back}");
    assert!(there.ends_with(" ok ok ok ok ok") && back.ends_with(" ok ok ok ok ok"), "{there}\n{back}");
    assert!(row("coordinator → backward nodes  lane").contains(" lane 6 "), "{table}");
    assert_eq!(row("0, backward"), "0, backward a kolen_pollack x, error, B x, error, B ok");
    let last = table.lines().last().unwrap();
    assert!(
        last.contains("over 2 stages and 2 backward nodes: every message was an activation, an error"),
        "{last}"
    );
    let due = ", and that W stays secret from its backward node, since x and the error at y add up to W's own steps";
    assert!(last.ends_with(due), "{last}");

    let records = json["links"].as_array().unwrap();
    let forms: Vec<_> = records.iter().filter(|link| link["to"] == "stage 0, backward").collect();
    assert_eq!((&forms[0]["kind"], &forms[0]["form"]), (&json!("layer_values"), &Json::Null));
    assert_eq!((&forms[1]["tensors"][0]["name"], &forms[1]["form"]), (&json!("a.error"), &json!(1)));
    let split: Vec<_> = json["layers"].as_array().unwrap().iter().map(|layer| &layer["split"]).collect();
    assert_eq!(split, [&Json::Null, &json!(true), &json!(true)]);
    assert_eq!((&json["stages"], &json["backward_nodes"]), (&json!(2), &json!(2)));

    for shown in [r#"<div class="halves">"#, r#"<div class="flow there">"#, r#"<div class="flow back">"#] {
        assert_eq!(page.matches(shown).count(), 2, "{shown}");
    }
    assert!(page.contains("<h3>stage 1, backward <small>"));
    run.halves(0, "a.error", |record| record.messages += 1);
    let (_, _, page) = shown(&run);
    assert!(page.contains(r#"<div class="flow there broken">"#));
}
