//! Tests of the driver's error messages when a pipeline falls silent.

use super::outcome::{Around, outcome};
use super::reports::Reporting;
use super::*;
use crate::run_error::Cause;
use proto::clock::Clock;
use proto::control::{Measure, Report, Span};
use proto::lane::Action;
use proto::ledger::LinkLedger;
use proto::link::{Peer, Role};
use proto::spec::graph::{INPUT, Init, LayerSpec, Op, Value};
use proto::spec::rule::{Coefficients, RuleSpec};
use proto::spec::stage::StageSpec;

/// A driver of nodes that are silent by themselves; with it the senders of their reports, the commands to them, and the
/// sender of the loss task's results.
struct Silent {
    driver: Driver,
    reports: Vec<mpsc::Sender<Report>>,
    commands: Vec<mpsc::Receiver<Command>>,
    losses: mpsc::Sender<BatchLoss>,
    _fed: mpsc::Receiver<Minibatch>,
}

/// Two stages at a:1 and b:2.
fn silent() -> Silent {
    silent_at(&[(Role::Stage(0), "a:1"), (Role::Stage(1), "b:2")])
}

fn silent_at(nodes: &[(Role, &str)]) -> Silent {
    let (mut streams, mut reports, mut commands) = (Vec::new(), Vec::new(), Vec::new());
    for (role, address) in nodes {
        let ((to_node, taken), (sender, said)) = (mpsc::channel(4), mpsc::channel(4));
        let reporting = Reporting::of(&spec()).unwrap();
        let peer = Peer::of(*role).at(*address);
        streams.push(NodeStream { peer, reporting, commands: to_node, reports: said });
        reports.push(sender);
        commands.push(taken);
    }
    let ((to_driver, losses), (to_feeder, fed)) = (mpsc::channel(4), mpsc::channel(4));
    let driver = Driver {
        nodes: streams,
        audit: Audit {
            run: ("run".into(), 1),
            links: LinkLedger::new(Role::Coordinator),
            nodes: Vec::new(),
            held: 0,
        },
        to_feeder,
        losses,
        pending: VecDeque::new(),
        updates: 11,
        failures: FailureCollector::default(),
        tasks: JoinSet::new(),
        deadline: Duration::from_millis(50),
        wire: Kind::F32,
        lost_signal: None,
        journal: Journal::new(Clock::start()),
    };
    Silent { driver, reports, commands, losses: to_driver, _fed: fed }
}

/// A stage of one layer without weights.
fn spec() -> StageSpec {
    let input = Value { name: "below".into(), shape: vec![4] };
    StageSpec::alone(vec![LayerSpec::new("relu", &["below"], Op::Relu)], vec![input])
}

fn lanes() -> Arc<[Lane]> {
    let actions = "F0 E0 G0 U".split(' ').map(|word| word.parse::<Action>().unwrap()).collect();
    let lane = Lane::new(Phase::Train, Default::default(), actions).unwrap();
    vec![lane; 2].into()
}

async fn said(driver: &mut Driver) -> String {
    driver.next().await.err().map(|failure| failure.sentence).unwrap_or_default()
}

fn minibatch() -> Minibatch {
    let (step, phase) = (12, Phase::Train);
    Minibatch {
        step,
        phase,
        epoch: 0,
        indices: vec![0],
        microbatches: 1,
        measure: Measure::Nothing,
        timeline: false,
        place: Place::default(),
    }
}

const LOSS: BatchLoss = BatchLoss { loss: 1.0, accuracy: (0.0, 0.0), finite: true, guesses: Vec::new() };

#[test]
fn an_update_that_was_lost_or_doubled_is_a_violation() {
    let done = |updates| StepDone { step: 12, updates, ..StepDone::nothing(Phase::Train) };
    let peers = [Peer::stage(0).at("a:1"), Peer::stage(1).at("b:2")];
    let around = Around { peer: |stage: usize| &peers[stage], wire: Kind::F32, before: None };
    let after = |counts: [u64; 2]| outcome(minibatch(), LOSS, counts.map(done).into(), &around);
    assert!(after([12, 12]).is_ok());
    for wrong in [11, 13] {
        let failure = after([12, wrong]).err().unwrap();
        assert_eq!(failure.cause, Cause::Violation);
        let says = format!("stage 1 at b:2 has made {wrong} updates after train step 12");
        assert!(failure.sentence.starts_with(&says), "{failure}");
    }
    let evaluation = Minibatch { phase: Phase::Evaluate, ..minibatch() };
    assert!(outcome(evaluation, LOSS, vec![done(3)], &around).is_ok(), "an evaluation makes none");
}

#[tokio::test]
async fn what_is_missing_is_named_by_step_stage_and_address() {
    let mut silent = silent();
    let minibatch = minibatch();
    let driver = &mut silent.driver;
    driver.submit(minibatch.clone(), lanes().into()).await.unwrap();
    let outputs = said(driver).await;
    assert!(
        outputs.starts_with("the outputs of train step 12 from stage 1 at b:2 did not come within 0.05 s")
    );
    assert!(outputs.contains("network.message_deadline"), "{outputs}");

    silent.losses.send(LOSS).await.unwrap();
    driver.submit(minibatch, lanes().into()).await.unwrap();
    assert!(said(driver).await.starts_with("the report of train step 12 from stage 0 at a:1 did not come"));

    driver.snapshot(Keep(Vec::new())).await.unwrap();
    let done = SnapshotDone { updates: 13, bytes: 1, seconds: 0.0 };
    silent.reports[0].send(Report::Snapshot(done)).await.unwrap();
    assert!(said(driver).await.starts_with("the report of a snapshot from stage 1 at b:2 did not come"));

    driver.snapshot(Keep(Vec::new())).await.unwrap();
    silent.reports[0].send(Report::Snapshot(SnapshotDone { updates: 11, ..done })).await.unwrap();
    let untrue = said(driver).await;
    let says =
        "the report of a snapshot from stage 0 at a:1 is not true: it is of update 11, and update 13 is due";
    assert!(untrue.starts_with(says), "{untrue}");
}

/// Two stages, of which the second is split.
fn split() -> Silent {
    silent_at(&[(Role::Stage(0), "a:1"), (Role::Stage(1), "b:2"), (Role::Backward(1), "c:3")])
}

/// The report of the training step 12 by a node that keeps no layer and sends the stage's four numbers up and down.
fn done(role: Role) -> Report {
    let bytes = if matches!(role, Role::Stage(_)) { 16 } else { 0 };
    let action = |word: &str| word.parse::<Action>().unwrap().in_step(12);
    let spans = "F0 E0 G0 U".split(' ').map(|word| Span::of(action(word), 1, 2));
    Report::Step(StepDone {
        step: 12,
        updates: 12,
        spans: spans.collect(),
        bytes_forward: bytes,
        bytes_backward: bytes,
        ..StepDone::nothing(Phase::Train)
    })
}

#[tokio::test]
async fn a_backward_node_follows_training_and_has_no_part_in_an_evaluation() {
    let mut split = split();
    split.driver.submit(minibatch(), lanes().into()).await.unwrap();
    let evaluation = Minibatch { phase: Phase::Evaluate, ..minibatch() };
    split.driver.submit(evaluation, Arc::<[Lane]>::from(vec![Lane::evaluate(1); 2]).into()).await.unwrap();
    split.driver.snapshot(Keep(Vec::new())).await.unwrap();
    split.driver.align(Align { done: 0, steps: 5 }).await.unwrap();
    let mut told = split.commands.into_iter().map(|mut commands| {
        let word = |command: &Command| match command {
            Command::Lane(work) => work.lane.phase().to_string(),
            Command::Snapshot(_) => "snapshot".into(),
            Command::Align(_) => "align".into(),
            Command::Start(_) => "start".into(),
        };
        let all: Vec<String> =
            std::iter::from_fn(|| commands.try_recv().ok()).map(|command| word(&command)).collect();
        all.join(" ")
    });
    assert_eq!(told.next().unwrap(), "train evaluate snapshot align");
    assert_eq!(told.next().unwrap(), "train evaluate snapshot align");
    assert_eq!(told.next().unwrap(), "train snapshot align");
}

#[tokio::test]
async fn a_result_holds_the_reports_of_both_halves_and_waits_for_both() {
    let mut split = split();
    split.driver.submit(minibatch(), lanes().into()).await.unwrap();
    split.losses.send(LOSS).await.unwrap();
    for at in [0, 1] {
        split.reports[at].send(done(Role::Stage(at as u32))).await.unwrap();
    }
    let missing = said(&mut split.driver).await;
    assert!(
        missing.starts_with("the report of train step 12 from stage 1, backward at c:3 did not come"),
        "{missing}"
    );

    let mut split = silent_at(&[(Role::Stage(0), "a:1"), (Role::Backward(0), "c:3")]);
    split.driver.nodes[1].reporting = Reporting::of(&half()).unwrap();
    split.driver.submit(minibatch(), Arc::<[Lane]>::from(vec![lanes()[0].clone()]).into()).await.unwrap();
    split.losses.send(LOSS).await.unwrap();
    for (at, role) in [Role::Stage(0), Role::Backward(0)].into_iter().enumerate() {
        split.reports[at].send(done(role)).await.unwrap();
    }
    let Some(Event::Done(outcome)) = split.driver.next().await.unwrap() else { panic!("a result is due") };
    assert_eq!((outcome.stages.len(), outcome.backward.len()), (1, 1));
    assert_eq!(outcome.backward[0].0, 0);
}

/// The backward half of a stage of one split layer, which returns nothing.
fn half() -> StageSpec {
    let op = Op::Linear { out: 4, bias: false, init: Init::FanIn };
    let rule = RuleSpec::learned("feedback_alignment", false, Coefficients::default());
    let layer = LayerSpec { rule, split: true, ..LayerSpec::new("fc", &[INPUT], op) };
    let input = Value { name: INPUT.into(), shape: vec![4] };
    StageSpec::alone(vec![layer], vec![input]).backward_half().unwrap()
}

#[test]
fn an_update_that_a_backward_node_lost_is_a_violation() {
    let peers = [Peer::stage(0).at("a:1"), Peer::of(Role::Backward(0)).at("c:3")];
    let around = Around { peer: |node: usize| &peers[node], wire: Kind::F32, before: None };
    let done = [12, 11].map(|updates| StepDone { step: 12, updates, ..StepDone::nothing(Phase::Train) });
    let failure = outcome(minibatch(), LOSS, done.into(), &around).err().unwrap();
    assert_eq!(failure.cause, Cause::Violation);
    assert!(failure.sentence.starts_with("stage 0, backward at c:3 has made 11 updates after train step 12"));
}
