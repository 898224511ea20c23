//! Tests of the check on runs in which layers are split: `a` of stage 0 and `classes` of stage 1; `skip` of stage 0 has
//! its B beside its W.

use super::*;

const B0: Role = Role::Backward(0);
const VALUES: Carried = Carried::LayerValues;

/// A run by Kolen-Pollack after `tamper`.
fn tampered(tamper: impl FnOnce(&mut Run)) -> Vec<String> {
    let mut run = Run::split(&["name=kolen_pollack"], 0);
    tamper(&mut run);
    run.findings(Allowed::Local).violations.iter().map(ToString::to_string).collect()
}

#[test]
fn honest_ledgers_of_both_halves_have_no_violation_and_every_check_holds() {
    let mirror = ["name=weight_mirror", "mirror_every=2", "mirror_delay=25"];
    for (rule, delay) in
        [(&["name=kolen_pollack"][..], 0), (&["name=feedback_alignment"], 0), (&mirror, 25), (&mirror, 40)]
    {
        let findings = Run::split(rule, delay).findings(Allowed::Local);
        assert_eq!(findings.violations, [], "{rule:?}");
        for link in &findings.links {
            assert_eq!([link.ends, link.tensors, link.count, link.size], [Verdict::Holds; 4]);
        }
        let halves = findings.consumed.iter().filter(|link| matches!(link.record.to, Role::Backward(_)));
        assert!(halves.clone().count() > 0 && halves.clone().all(|link| link.verdict() == Verdict::Holds));
        assert!(findings.control.iter().all(|control| control.size == Verdict::Holds));
        let nodes: Vec<_> = findings.layers.iter().map(|layer| (layer.name.as_str(), layer.node())).collect();
        assert_eq!(nodes, [("skip", S0), ("a", B0), ("classes", Role::Backward(1))]);
        assert_eq!(findings.split, 2);
    }
}

/// A record of one message from the stage to its backward node, at both ends.
fn extra(run: &mut Run, tensors: Vec<Value>, form: u32) {
    let empty = LinkRecord::empty([S0, B0], VALUES, TRAIN);
    let extra = LinkRecord { messages: 1, ..empty.of(form, tensors, Kind::F32) };
    for node in [S0, B0] {
        run.node(node).crossed.push(extra.clone());
    }
}

/// Each tampering with honest ledgers, and the text of the only violation.
const TABLE: &[(&str, Tampering, &str)] = &[
    (
        "W in the place of x",
        |run| {
            run.halves(0, "a.x", |record| {
                if record.carried == VALUES {
                    record.tensors[0].shape = vec![2, 3, 3];
                }
            });
        },
        "stage 0 → stage 0, backward, train layer values, a.x: both ends counted the tensors a.x 2×3×3, where the plan has a.x 2×4×4",
    ),
    (
        "W beside the error, at the sender",
        |run| {
            let record = run.node(S0).crossed.iter_mut().find(|record| record.form == 1).unwrap();
            record.tensors.push(Value { name: "a.weight".into(), shape: vec![2, 3, 3] });
        },
        "stage 0 → stage 0, backward, train layer values, a.weight: stage 0 counted the tensors a.error 2×4×4, a.weight 2×3×3 and stage 0, backward counted the tensors a.error 2×4×4, where",
    ),
    (
        "a form that the specification does not have",
        |run| extra(run, vec![weight()], 7),
        "stage 0 → stage 0, backward, train layer values, classes.weight: stage 0 counted 1 message with the tensors classes.weight 10×32 and stage 0, backward counted 1 message with the tensors classes.weight 10×32, where the plan has no message",
    ),
    (
        "noise under a rule without mirror steps",
        |run| extra(run, vec![Value { name: "a.noise".into(), shape: vec![2, 4, 4] }], 2),
        "stage 0 → stage 0, backward, train layer values, a.noise: stage 0 counted 1 message",
    ),
    (
        "a message that did not arrive",
        |run| {
            let record = run.node(B0).crossed.iter_mut().find(|record| record.form == 1).unwrap();
            record.messages -= 1;
        },
        "stage 0 → stage 0, backward, train layer values, a.error: stage 0 counted 9 messages and stage 0, backward counted 8 messages, where the plan has 9",
    ),
    (
        "an error that did not come back",
        |run| run.halves(0, "a.x", |record| record.messages -= u64::from(record.from == B0)),
        "stage 0, backward → stage 0, train error signal, a.x: both ends counted 8 messages, where the plan has 9",
    ),
    (
        "a returned error with a spare byte",
        |run| run.halves(0, "a.x", |record| record.bytes += u64::from(record.from == B0)),
        "stage 0, backward → stage 0, train error signal, a.x: both ends counted ",
    ),
    (
        "a form twice",
        |run| {
            let again = run.node(B0).crossed.iter().find(|record| record.form == 1).unwrap().clone();
            run.node(B0).crossed.push(again);
        },
        "stage 0 → stage 0, backward, train layer values, a.error: stage 0, backward has two records of it",
    ),
    (
        "training of B on other numbers than those that crossed",
        |run| run.node(B0).consumed.iter_mut().find(|record| record.form == 1).unwrap().chain.control(b"x"),
        "stage 0 → stage 0, backward, train layer values, a.error: stage 0 came to the hash 01be9d85",
    ),
    (
        "messages between a stage and the backward node of another",
        |run| {
            let foreign = LinkRecord { to: Role::Backward(1), ..any_of_halves(run) };
            run.node(S0).crossed.push(foreign);
        },
        "stage 0 → stage 1, backward, train layer values, a.x: stage 0 counted 9 messages with the tensors a.x 2×4×4, where the plan has no message",
    ),
    (
        "B that read W",
        |run| run.node(B0).layers[0].read.weight = true,
        "stage 0, backward, rule kolen_pollack, a: the update of B read W, where kolen_pollack declares x, error, B",
    ),
    (
        "a backward node without a record of what its rule read",
        |run| run.node(B0).layers.clear(),
        "stage 0, backward, rule kolen_pollack, a: the node has 0 records of what the rule read, where one is due",
    ),
    (
        "a stage that has a rule of a layer that is split",
        |run| {
            let of_backward = run.node(B0).layers[0].clone();
            run.node(S0).layers.push(of_backward);
        },
        "stage 0, rule kolen_pollack, a: the node says what the rule of 'a' read, and B of the layer is on stage 0, backward",
    ),
    (
        "a backward node that has a rule of a layer that is not split",
        |run| {
            let of_stage = run.node(S0).layers[0].clone();
            run.node(B0).layers.push(of_stage);
        },
        "stage 0, backward, rule kolen_pollack, skip: the node says what the rule of 'skip' read, and B of the layer is on stage 0",
    ),
    (
        "a backward node that is asked to evaluate",
        |run| {
            run.control(B0, ControlMessage::Lane, |record| record.messages += 2);
        },
        "coordinator → stage 0, backward, lane: 5 messages where the run has 3",
    ),
    (
        "a longer report of a backward node",
        |run| run.control(B0, ControlMessage::Step, |record| record.largest += 1),
        "stage 0, backward → coordinator, step: a message of ",
    ),
    (
        "the ledger of the stage in the place of that of its backward node",
        |run| run.node(B0).of = S0,
        "stage 0, backward, ledger: stage 0, backward answered with the ledger of stage 0 in start 1",
    ),
    (
        "a refused message",
        |run| {
            let sentence =
                "'a.weight' as f32 [2, 3, 3] where 'a.x' as f32 [3, 2, 4, 4] crosses this cut".into();
            run.node(B0).refusals.push(Refusal { from: S0, carried: Some(VALUES), sentence });
        },
        "stage 0 → stage 0, backward, layer values, a.weight: stage 0, backward refused it: 'a.weight' as f32",
    ),
];

#[test]
fn every_tampering_with_halves_gives_the_violation_that_names_it() {
    for (name, tamper, says) in TABLE {
        let found = tampered(tamper);
        assert!(found.len() == 1 && found[0].starts_with(says), "{name}: {found:#?}");
    }
}

#[test]
fn a_weight_in_the_place_of_y_is_told() {
    let mut run = Run::split(&["name=custom", "amp=1"], 0);
    run.halves(0, "a.y", |record| record.tensors[1].shape = vec![2, 2, 3, 3]);
    let found = run.findings(Allowed::Local).violations;
    let says = "stage 0 → stage 0, backward, train layer values, a.y: both ends counted the tensors a.x 2×4×4, a.y 2×2×3×3, where the plan has a.x 2×4×4, a.y 2×4×4";
    assert!(found.len() == 1 && found[0].to_string() == says, "{found:#?}");
}

#[test]
fn of_a_run_that_broke_off_a_backward_node_may_be_silent() {
    let mut run = Run::split(&["name=kolen_pollack"], 0);
    run.complete = false;
    run.nodes.retain(|(role, _)| *role != B0);
    assert_eq!(run.findings(Allowed::Local).violations, []);
    extra_at_stage(&mut run);
    let said = run.findings(Allowed::Local).verdict().unwrap();
    assert!(
        said.starts_with("stage 0 → stage 0, backward, train layer values, classes.weight: stage 0"),
        "{said}"
    );
}

fn extra_at_stage(run: &mut Run) {
    let record = LinkRecord { tensors: vec![weight()], form: 7, ..any_of_halves(run) };
    run.node(S0).crossed.push(record);
}

fn any_of_halves(run: &mut Run) -> LinkRecord {
    run.node(S0).crossed.iter().find(|record| record.to == B0).unwrap().clone()
}
