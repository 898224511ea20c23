//! One stage alone: the coordinator plays both of its neighbours, with random values, so that nothing else
//! computes while the stage is measured.
//!
//! ```text
//! random activations ──▶ ┌───────┐ ──▶ dropped
//!            dropped ◀── │ stage │ ◀── random errors
//!                        └───────┘
//! ```

use super::NodeAddress;
use super::connect::{listen, named, prepare, start};
use super::failures::{FailureCollector, Precedence};
use crate::data::microbatches;
use crate::failure::Failure;
use proto::client;
use proto::control::{Command, Report, RunLane, Start, StepDone};
use proto::lane::{Lane, Phase};
use proto::link::Contract;
use proto::link::framing::Direction;
use proto::link::{Incoming, broken};
use proto::microbatch::{Message, MicrobatchHeader, MicrobatchId};
use proto::seed;
use proto::spec::graph::INPUT;
use proto::spec::graph::Value;
use proto::spec::stage::StageSpec;
use proto::tensor::TensorData;
use rand::RngExt;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Steps and reports under way: the worker is never without the next.
const UNDER_WAY: usize = 4;

/// A stage to be run alone.
pub struct Alone {
    /// What it is.
    pub spec: StageSpec,
    /// What it does in every step.
    pub lane: Lane,
    /// N of every step.
    pub minibatch: u32,
    /// How many steps.
    pub steps: u64,
    /// How long to try to reach the node.
    pub connect_deadline: Duration,
    /// How long to wait for a step.
    pub message_deadline: Duration,
}

/// Runs the steps of a stage on `node`; returns what it says of each.
///
/// # Errors
/// The stage and its address, where it could not be reached, failed, or fell silent.
pub async fn alone(
    trial: &Alone,
    node: &NodeAddress,
    board: &FailureCollector,
) -> Result<Vec<StepDone>, Failure> {
    tokio::select! {
        biased;
        () = board.ended() => Err(board.verdict().await),
        done = run(trial, node, board) => match done {
            Ok(done) => Ok(done),
            // The board may come to know better why.
            Err(failure) => {
                board.fail(Precedence::Lost, failure);
                Err(board.verdict().await)
            }
        },
    }
}

async fn run(trial: &Alone, node: &NodeAddress, board: &FailureCollector) -> Result<Vec<StepDone>, Failure> {
    let Alone { spec, connect_deadline, message_deadline, .. } = trial;
    let ready = prepare(spec, node, *connect_deadline).await?;
    let begin = Start {
        run: spec.run.clone(),
        incarnation: spec.incarnation,
        above: None,
        connect_deadline: *connect_deadline,
        message_deadline: *message_deadline,
    };
    let up = spec.activations_below();
    let logits = spec.activations_above().map_err(Failure::internal)?;
    let down = spec.errors_above().map_err(Failure::internal)?;
    let answers = up.values.iter().filter(|value| value.name != INPUT).cloned().collect();
    let answers = Contract { values: answers, ..up.clone() };
    let ((commands, reports), below, above) = tokio::try_join!(
        start(spec.index, &ready, begin),
        named(spec.index, client::exchange(&ready.data, &answers, *connect_deadline)),
        named(spec.index, client::collect(&ready.data, &logits, *connect_deadline)),
    )?;

    // Dropped at the end, whereupon everything ends.
    let mut tasks = JoinSet::new();
    let (to_us, mut done) = mpsc::channel(UNDER_WAY);
    tasks.spawn(listen(spec.index as usize, ready.node.address().to_owned(), reports, to_us, board.clone()));
    tasks.spawn(feed(below.sender, messages(trial, &up.values, 1.0)?, trial.steps));
    tasks.spawn(feed(
        above.sender,
        messages(trial, &down.values, 1.0 / f64::from(trial.minibatch))?,
        trial.steps,
    ));
    tasks.spawn(drop_all(below.incoming, board.clone()));
    tasks.spawn(drop_all(above.incoming, board.clone()));

    let gone = || Failure::node(format!("stage {} at {} ended its run", spec.index, ready.node.address()));
    let mut found = Vec::new();
    for step in 1..=trial.steps {
        let work = RunLane::of_one_step(trial.lane.starting_at(step), trial.minibatch, false);
        commands.send(Command::Lane(work)).await.map_err(|_| gone())?;
        match tokio::time::timeout(*message_deadline, done.recv()).await {
            Ok(Some(Report::Step(done))) => found.push(done),
            Ok(_) => return Err(gone()),
            Err(_) => {
                let (index, address) = (spec.index, ready.node.address());
                let seconds = message_deadline.as_secs();
                let why = "network.message_deadline says how long to wait";
                return Err(Failure::node(format!(
                    "stage {index} at {address} was silent for {seconds} s: {why}"
                )));
            }
        }
    }
    Ok(found)
}

/// One step's messages of `values`, drawn evenly from −`scale` to `scale`.
fn messages(trial: &Alone, values: &[Value], scale: f64) -> Result<Vec<Message>, Failure> {
    let Alone { spec, lane, minibatch, .. } = trial;
    let count = lane.microbatches()[0];
    let cuts = microbatches(*minibatch as usize, count as usize);
    let mut rng = seed::rng(spec.seed, &["measure"]);
    let mut message = |(index, range): (usize, &std::ops::Range<usize>)| {
        let identity = MicrobatchHeader {
            run: spec.run.clone(),
            incarnation: spec.incarnation,
            phase: Phase::Train,
            id: MicrobatchId { step: 1, index: index as u32 },
            minibatch: *minibatch,
            microbatches: count,
            offset: range.start as u32,
            size: range.len() as u32,
        };
        let mut tensor = |value: &Value| {
            let shape: Vec<u64> =
                std::iter::once(range.len() as u64).chain(value.shape.iter().copied()).collect();
            let count = shape.iter().product::<u64>();
            let numbers: Vec<f32> =
                (0..count).map(|_| (rng.random_range(-1.0..1.0) * scale) as f32).collect();
            let tensor = TensorData::round_from_f32(spec.wire, shape, &numbers).map_err(Failure::internal)?;
            Ok((value.name.clone(), tensor))
        };
        let tensors = values.iter().map(&mut tensor).collect::<Result<_, Failure>>()?;
        Ok(Message { identity, tensors })
    };
    cuts.iter().enumerate().map(&mut message).collect()
}

/// Sends one step's messages again and again, as fast as the stage takes them.
async fn feed(link: mpsc::Sender<Message>, messages: Vec<Message>, steps: u64) {
    for step in 1..=steps {
        for message in &messages {
            let id = MicrobatchId { step, ..message.identity.id };
            let identity = MicrobatchHeader { id, ..message.identity.clone() };
            if link.send(Message { identity, tensors: message.tensors.clone() }).await.is_err() {
                return;
            }
        }
    }
    // The link stays open until everything ends.
    std::future::pending().await
}

/// Takes whatever comes out.
async fn drop_all<D: Direction>(mut link: Incoming<D>, board: FailureCollector) {
    loop {
        match link.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(status) => {
                return board.fail(Precedence::Hearsay, Failure::node(broken("the stage", &status)));
            }
        }
    }
}
