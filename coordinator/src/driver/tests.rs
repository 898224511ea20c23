//! Tests of the driver's error messages when a pipeline falls silent.

use super::*;
use proto::lane::Action;
use proto::ledger::LinkLedger;
use proto::link::Role;
use proto::spec::graph::{LayerSpec, Op, Value};
use proto::spec::stage::StageSpec;

/// A driver of two stages, the sender of stage 0's reports, the sender of the loss task's results, and the unread
/// commands.
struct Silent {
    driver: Driver,
    first: mpsc::Sender<Report>,
    losses: mpsc::Sender<BatchLoss>,
    _open: (mpsc::Sender<Report>, Vec<mpsc::Receiver<Command>>, mpsc::Receiver<Minibatch>),
}

fn silent() -> Silent {
    let stage = |index, address: &str| {
        let ((commands, taken), (sender, reports)) = (mpsc::channel(4), mpsc::channel(4));
        let reporting = Reporting::of(&spec()).unwrap();
        (Stage { peer: Peer::stage(index).at(address), reporting, commands, reports }, sender, taken)
    };
    let (bottom, first, taken) = stage(0, "a:1");
    let (top, second, also_taken) = stage(1, "b:2");
    let ((to_driver, losses), (to_feeder, fed)) = (mpsc::channel(4), mpsc::channel(4));
    let driver = Driver {
        stages: vec![bottom, top],
        audit: Audit {
            run: ("run".into(), 1),
            links: LinkLedger::new(Role::Coordinator),
            nodes: Vec::new(),
            held: 0,
        },
        to_feeder,
        losses,
        pending: VecDeque::new(),
        updates: 10,
        failures: FailureCollector::default(),
        tasks: JoinSet::new(),
        deadline: Duration::from_millis(50),
        wire: Kind::F32,
        lost_signal: None,
    };
    Silent { driver, first, losses: to_driver, _open: (second, vec![taken, also_taken], fed) }
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
    Minibatch { step, phase, epoch: 0, indices: vec![0], microbatches: 1, measure: false }
}

const LOSS: BatchLoss = BatchLoss { loss: 1.0, accuracy: (0.0, 0.0), finite: true };

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
    driver.submit(minibatch.clone(), lanes()).await.unwrap();
    let outputs = said(driver).await;
    assert!(
        outputs.starts_with("the outputs of train step 12 from stage 1 at b:2 did not come within 0.05 s")
    );
    assert!(outputs.contains("network.message_deadline"), "{outputs}");

    silent.losses.send(LOSS).await.unwrap();
    driver.submit(minibatch, lanes()).await.unwrap();
    assert!(said(driver).await.starts_with("the report of train step 12 from stage 0 at a:1 did not come"));

    driver.snapshot(Keep(Vec::new())).await.unwrap();
    let done = SnapshotDone { updates: 12, bytes: 1, seconds: 0.0 };
    silent.first.send(Report::Snapshot(done)).await.unwrap();
    assert!(said(driver).await.starts_with("the report of a snapshot from stage 1 at b:2 did not come"));

    driver.snapshot(Keep(Vec::new())).await.unwrap();
    silent.first.send(Report::Snapshot(SnapshotDone { updates: 11, ..done })).await.unwrap();
    let untrue = said(driver).await;
    let says =
        "the report of a snapshot from stage 0 at a:1 is not true: it is of update 11, and update 12 is due";
    assert!(untrue.starts_with(says), "{untrue}");
}
