//! Tests of the check: honest ledgers give no violation, and every kind of tampering gives the violation that names it.

mod split;

use super::super::findings::Verdict;
use super::super::fixtures::Run;
use super::*;
use proto::ledger::{ControlMessage, ControlRecord, LayerReads, LinkRecord, Refusal};
use proto::link::Carried;
use proto::microbatch::Phase;
use proto::spec::graph::Value;
use proto::spec::reads::Reads;
use proto::tensor::Kind;

/// The violations of a run after `tamper`.
fn violations(tamper: impl FnOnce(&mut Run)) -> Vec<String> {
    let mut run = Run::of("kolen_pollack");
    tamper(&mut run);
    run.findings(Allowed::Declared).violations.iter().map(ToString::to_string).collect()
}

const S0: Role = Role::Stage(0);
const S1: Role = Role::Stage(1);
const S2: Role = Role::Stage(2);
const UP: Carried = Carried::Activations;
const DOWN: Carried = Carried::ErrorSignals;
const TRAIN: Phase = Phase::Train;

#[test]
fn honest_ledgers_have_no_violation_and_every_check_holds() {
    let findings = Run::of("kolen_pollack").findings(Allowed::Local);
    assert_eq!(findings.violations, []);
    assert_eq!((findings.links.len(), findings.consumed.len(), findings.layers.len()), (12, 8, 3));
    let shown: Vec<String> = findings.links.iter().map(|link| words::tensors(&link.record)).collect();
    assert_eq!(shown[..4], ["input 1×4×4", "none", "input 1×4×4", "skip 2×4×4, relu 2×4×4"]);
    for link in &findings.links {
        assert_eq!([link.ends, link.tensors, link.count, link.size], [Verdict::Holds; 4]);
    }
    // Three steps of eight, eight and four samples, in three microbatches each; an evaluation of eleven in six.
    let counts = |at: usize| (findings.links[at].record.messages, findings.links[at].record.samples);
    assert_eq!([counts(0), counts(2)], [(9, 20), (6, 11)]);
    assert!(findings.control.iter().all(|control| control.size == Verdict::Holds));
}

type Tampering = fn(&mut Run);

/// Each tampering with honest ledgers, and the text of the only violation.
const TABLE: &[(&str, Tampering, &str)] = &[
    (
        "a weight as a message of its own, at one end",
        |run| {
            let weight =
                LinkRecord { tensors: vec![weight()], phase: Phase::Evaluate, carried: DOWN, ..any(run) };
            run.stage(1).crossed.push(LinkRecord { from: S1, to: S0, messages: 1, ..weight });
        },
        "stage 1 → stage 0, evaluate error signal, classes.weight: stage 1 counted 1 message with the tensors classes.weight 10×32, where the plan has no message",
    ),
    (
        "an extra tensor, at both ends",
        |run| run.both(S0, UP, TRAIN, |record| record.tensors.push(weight())),
        "stage 0 → stage 1, train activation, classes.weight: both ends counted the tensors skip 2×4×4, relu 2×4×4, classes.weight 10×32, where the plan has skip 2×4×4, relu 2×4×4",
    ),
    (
        "an extra tensor, at the receiver",
        |run| first(run.stage(1), S0, UP).tensors.push(weight()),
        "stage 0 → stage 1, train activation, classes.weight: stage 0 counted the tensors skip 2×4×4, relu 2×4×4 and stage 1 counted the tensors skip 2×4×4, relu 2×4×4, classes.weight 10×32, where",
    ),
    (
        "another shape",
        |run| run.both(S1, DOWN, TRAIN, |record| record.tensors[1].shape[0] = 3),
        "stage 1 → stage 0, train error signal, relu: both ends counted the tensors skip 2×4×4, relu 3×4×4, where",
    ),
    (
        "another name",
        |run| run.both(S1, UP, Phase::Evaluate, |record| record.tensors[0].name = "classes.weight".into()),
        "stage 1 → stage 2, evaluate activation, classes.weight: both ends counted the tensors classes.weight 32, where the plan has flat 32",
    ),
    (
        "another number format",
        |run| run.both(S0, UP, TRAIN, |record| record.kinds.fill(Kind::F16)),
        "stage 0 → stage 1, train activation, skip, relu: both ends counted tensors in f16, where the plan has f32",
    ),
    (
        "a message more, at both ends",
        |run| {
            run.both(S0, UP, TRAIN, |record| {
                (record.messages, record.samples) = (10, 23);
            });
        },
        "stage 0 → stage 1, train activation, skip, relu: both ends counted 10 messages, where the plan has 9",
    ),
    (
        "a message more, at the sender",
        |run| first(run.stage(0), S0, UP).messages += 1,
        "stage 0 → stage 1, train activation, skip, relu: stage 0 counted 10 messages and stage 1 counted 9 messages, where the plan has 9",
    ),
    (
        "done messages that carry something",
        |run| run.both(S0, DOWN, TRAIN, |record| record.tensors.push(weight())),
        "stage 0 → coordinator, train error signal, classes.weight: both ends counted the tensors classes.weight 10×32, where the plan has none",
    ),
    (
        "a sample more",
        |run| run.both(Role::Coordinator, UP, TRAIN, |record| record.samples += 1),
        "coordinator → stage 0, train activation, input: both ends counted 21 samples, where the plan has 20",
    ),
    (
        "more payload",
        |run| run.both(S0, UP, TRAIN, |record| record.payload += 4),
        "stage 0 → stage 1, train activation, skip, relu: both ends counted ",
    ),
    (
        "spare bytes beside the payload",
        |run| run.both(S0, UP, TRAIN, |record| record.bytes += 1),
        "stage 0 → stage 1, train activation, skip, relu: both ends counted ",
    ),
    (
        "other numbers on their way",
        |run| first(run.stage(1), S0, UP).chain.control(b"x"),
        "stage 0 → stage 1, train activation, skip, relu: stage 0 came to the hash 01be9d85",
    ),
    (
        "an end without a record",
        |run| run.stage(0).crossed.retain(|record| record.to != S1),
        "stage 0 → stage 1, train activation, skip, relu: stage 0 counted 0 messages and stage 1 counted 9 messages, where the plan has 9",
    ),
    (
        "a record twice",
        |run| {
            let again = run.stage(1).crossed[0].clone();
            run.stage(1).crossed.push(again);
        },
        "stage 0 → stage 1, train activation, skip, relu: stage 1 has two records of it",
    ),
    (
        "a link that the stage is no end of",
        |run| {
            let foreign = run.stage(2).crossed[0].clone();
            run.stage(0).crossed.push(foreign);
        },
        "stage 1 → stage 2, train activation, flat: stage 0 counted messages of a link that it is no end of",
    ),
    (
        "training on other numbers than those that crossed",
        |run| {
            let consumed = run.stage(1).consumed.iter_mut().find(|record| record.from == S0);
            consumed.unwrap().samples += 1;
        },
        "stage 0 → stage 1, train activation, skip, relu: stage 0 counted 20 samples and stage 1 counted 21 samples, where the plan has 20",
    ),
    (
        "training that has no beginning",
        |run| run.stage(2).consumed_since = 2,
        "stage 2, train: stage 2 counted what training consumed after update 2",
    ),
    (
        "a longer report, once",
        |run| run.control(S1, ControlMessage::Step, |record| record.largest += 1),
        "stage 1 → coordinator, step: a message of ",
    ),
    (
        "a slow leak of some bytes in each report",
        |run| run.control(S2, ControlMessage::Step, |record| record.bytes += record.messages),
        "stage 2 → coordinator, step: 5 messages of ",
    ),
    (
        "a snapshot's answer with a tensor in it",
        |run| run.control(S0, ControlMessage::SnapshotDone, |record| record.largest += 320),
        "stage 0 → coordinator, snapshot done: a message of ",
    ),
    (
        "a report more",
        |run| run.control(S0, ControlMessage::Step, |record| record.messages += 1),
        "stage 0 → coordinator, step: 6 messages where the run has 5",
    ),
    (
        "a report that only the node counts",
        |run| {
            run.stage(0).control.iter_mut().find(|r| r.message == ControlMessage::Step).unwrap().messages += 1
        },
        "stage 0 → coordinator, step: the coordinator counted 5 messages and stage 0 counted 6 messages",
    ),
    (
        "a report that changed on its way",
        |run| {
            run.coordinator
                .control
                .iter_mut()
                .find(|r| r.message == ControlMessage::Step)
                .unwrap()
                .chain
                .control(b"x")
        },
        "stage 0 → coordinator, step: the coordinator came to the hash ",
    ),
    (
        "a second description",
        |run| run.control(S0, ControlMessage::Description, |record| record.messages += 1),
        "stage 0 → coordinator, description: 2 messages where the run has 1",
    ),
    (
        "a ledger that nobody asked for",
        |run| run.control(S0, ControlMessage::Ledger, |record| record.messages += 1),
        "stage 0 → coordinator, ledger: 2 messages where the run has 1",
    ),
    (
        "a ledger that is longer than its records",
        |run| run.control(S0, ControlMessage::Ledger, |record| record.largest += 1),
        "stage 0 → coordinator, ledger: a message of ",
    ),
    (
        "a message that no run has",
        |run| {
            let leaving =
                ControlRecord { message: ControlMessage::Leaving, ..run.stage(0).control[1].clone() };
            run.coordinator.control.push(leaving.clone());
            run.stage(0).control.push(leaving);
        },
        "stage 0 → coordinator, leaving: 1 message where the run has 0",
    ),
    (
        "control messages between stages",
        |run| {
            let between = ControlRecord { from: S0, to: S1, ..run.stage(0).control[1].clone() };
            run.stage(0).control.push(between);
        },
        "stage 0 → stage 1, configured: stage 0 counted messages of a control plane that it is no end of",
    ),
    (
        "a rule that reads what it does not declare",
        |run| run.stage(1).layers[0].read.weight = true,
        "stage 1, rule kolen_pollack, a: the update of B read W, where kolen_pollack declares x, error, B",
    ),
    (
        "a layer without a record",
        |run| run.stage(2).layers.clear(),
        "stage 2, rule kolen_pollack, classes: the node has 0 records of what the rule read, where one is due",
    ),
    (
        "a layer that is not there",
        |run| run.stage(0).layers.push(LayerReads { layer: "hidden".into(), read: Reads::default() }),
        "stage 0, rule of no layer, hidden: the node says what the rule of 'hidden' read",
    ),
    (
        "a refused message, whose sentence is in the ledger that the node sends",
        |run| {
            let sentence =
                "'classes.weight' as f32 [10, 32] where 'flat' as f32 [3, 32] crosses this cut".to_owned();
            let longer = sentence.len() as u64;
            run.stage(2).refusals.push(Refusal { from: S1, carried: Some(UP), sentence });
            run.control(Role::Stage(2), ControlMessage::Ledger, |record| {
                record.bytes += longer;
                record.largest += longer;
            });
        },
        "stage 1 → stage 2, activation, classes.weight: stage 2 refused it: 'classes.weight' as f32 [10, 32] where",
    ),
    (
        "a control message that the coordinator refused",
        |run| {
            let sentence = "a Report has 1280 spare bytes".into();
            run.coordinator.refusals.push(Refusal { from: S1, carried: None, sentence });
        },
        "stage 1 → coordinator, control message: coordinator refused it: a Report has 1280 spare bytes",
    ),
    (
        "the ledger of another start",
        |run| run.stage(1).incarnation = 2,
        "stage 1, ledger: stage 1 answered with the ledger of stage 1 in start 2 of run 'rrrr",
    ),
];

#[test]
fn every_tampering_gives_the_violation_that_names_it() {
    for (name, tamper, says) in TABLE {
        let found = violations(tamper);
        assert!(found.iter().any(|said| said.starts_with(says)), "{name}: {found:#?}");
        // Each record that no end may have gives one violation, and so does each phase of a missing link.
        let few = if name.contains("no end") || name.contains("without a record") || name.contains("between")
        {
            4
        } else {
            1
        };
        assert!((1..=few).contains(&found.len()), "{name}: {found:#?}");
    }
}

/// Ledgers are fetched again until both ends of every link have counted alike.
#[test]
fn a_node_may_be_asked_for_its_ledger_several_times() {
    let thrice = |run: &mut Run, message| {
        run.control(S1, message, |record| {
            (record.messages, record.bytes) = (3 * record.messages, 3 * record.bytes);
        });
    };
    let asked = violations(|run| {
        thrice(run, ControlMessage::Audit);
        thrice(run, ControlMessage::Ledger);
    });
    assert!(asked.is_empty(), "{asked:?}");
    let answered = violations(|run| thrice(run, ControlMessage::Ledger));
    assert_eq!(answered, ["stage 1 → coordinator, ledger: 3 messages where the run has 1"]);
}

#[test]
fn a_rule_that_reads_w_is_told_with_its_reason_where_only_local_rules_are_allowed() {
    for (rule, why) in [
        ("backprop", "its B is W itself"),
        ("sign_symmetry", "it gives B the signs of W"),
        ("symmetric_alignment", "its primitive self, with coefficient 0.002, pulls B to W"),
    ] {
        let run = Run::of(rule);
        assert_eq!(run.findings(Allowed::Declared).violations, [], "{rule}");
        let local = run.findings(Allowed::Local);
        assert_eq!(local.violations.len(), 3, "{rule}");
        let said = local.verdict().unwrap();
        let begins =
            format!("stage 0, rule {rule}, skip: the rule reads W, which --rules local forbids: {why}");
        assert!(said.starts_with(&begins) && said.ends_with("; and 2 more violations"), "{said}");
    }
    for rule in ["feedback_alignment", "weight_mirror", "information_alignment", "activation_alignment"] {
        assert_eq!(Run::of(rule).findings(Allowed::Local).violations, [], "{rule}");
    }
}

#[test]
fn of_a_run_that_broke_off_nothing_is_counted_but_what_crossed_is_judged() {
    let mut run = Run::of("kolen_pollack");
    run.complete = false;
    first(run.stage(1), S0, UP).messages -= 2;
    run.stage(2).crossed.clear();
    run.nodes.remove(0);
    assert_eq!(run.findings(Allowed::Declared).violations, []);
    first(&mut run.nodes[0].1, S0, UP).tensors.push(weight());
    let said = run.findings(Allowed::Declared).verdict().unwrap();
    assert!(said.starts_with("stage 0 → stage 1, train activation, classes.weight: "), "{said}");
}

fn weight() -> Value {
    Value { name: "classes.weight".into(), shape: vec![10, 32] }
}

fn any(run: &Run) -> LinkRecord {
    run.coordinator.crossed[0].clone()
}

/// The record of training in this direction.
fn first(ledger: &mut Ledger, from: Role, carried: Carried) -> &mut LinkRecord {
    let of = |record: &&mut LinkRecord| (record.from, record.carried, record.phase) == (from, carried, TRAIN);
    ledger.crossed.iter_mut().find(of).unwrap()
}
