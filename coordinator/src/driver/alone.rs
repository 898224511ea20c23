//! Runs one stage alone: the coordinator is both of its neighbours and sends random values, so that nothing else
//! computes while the stage is measured.
//!
//! ```text
//! random activations ──▶ ┌───────┐ ──▶ dropped
//!            dropped ◀── │ stage │ ◀── random errors
//!                        └───────┘
//! ```

use super::NodeAddress;
use super::connect::{drain, listen, prepare, start};
use super::failures::FailureCollector;
use super::journal::Journal;
use super::precedence::Precedence;
use crate::data::microbatches;
use crate::run_error::RunError;
use proto::clock::Clock;
use proto::control::{Command, Measure, Report, RunLane, Start, StepDone};
use proto::lane::Lane;
use proto::link::{Contract, Link, Outgoing};
use proto::microbatch::Phase;
use proto::microbatch::{Message, MicrobatchHeader, MicrobatchId};
use proto::seed;
use proto::spec::graph::INPUT;
use proto::spec::graph::Value;
use proto::spec::stage::StageSpec;
use proto::tensor::{Kind, TensorData};
use proto::transport::links::Opener;
use proto::transport::tls::Security;
use proto::transport::waiting::Waiting;
use rand::RngExt;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Steps and reports under way: enough that the worker always has a next step.
const UNDER_WAY: usize = 4;

/// The trial of a stage that runs alone.
pub struct Alone {
    /// The stage's specification.
    pub spec: StageSpec,
    /// The stage's actions in every step.
    pub lane: Lane,
    /// N of every step.
    pub minibatch: u32,
    /// The number of steps.
    pub steps: u64,
    /// How long to try to reach the node.
    pub connect_deadline: Duration,
    /// How long to wait for a step.
    pub message_deadline: Duration,
}

/// Runs the steps of a stage on `node`, and returns the node's report of each step.
///
/// # Errors
/// The stage and its address, if the node could not be reached, failed, or fell silent.
pub async fn alone(
    trial: &Alone,
    node: &NodeAddress,
    failures: &FailureCollector,
) -> Result<Vec<StepDone>, RunError> {
    tokio::select! {
        biased;
        () = failures.ended() => Err(failures.verdict().await),
        done = run(trial, node, failures) => match done {
            Ok(done) => Ok(done),
            // A closer reason may still be reported.
            Err(failure) => {
                failures.fail(Precedence::Lost, failure);
                Err(failures.verdict().await)
            }
        },
    }
}

async fn run(
    trial: &Alone,
    node: &NodeAddress,
    failures: &FailureCollector,
) -> Result<Vec<StepDone>, RunError> {
    let Alone { spec, connect_deadline, message_deadline, .. } = trial;
    // The node is a local one.
    let security = Security::plaintext();
    let ready = prepare(&security, spec, node, *connect_deadline, &Waiting::default()).await?;
    let begin = Start {
        run: spec.run.clone(),
        incarnation: spec.incarnation,
        above: None,
        backward: None,
        connect_deadline: *connect_deadline,
        message_deadline: *message_deadline,
    };
    let up = spec.activations_below();
    let logits = spec.activations_above().map_err(RunError::internal)?;
    let down = spec.errors_above().map_err(RunError::internal)?;
    let answers = up.values().iter().filter(|value| value.name != INPUT).cloned().collect();
    let answers = up.with_values(answers);
    let below = Link::new(ready.data.clone(), answers);
    let above = Link::new(ready.data.clone(), logits);
    let opener = Opener { security: &security, transport: spec.transport, deadline: *connect_deadline };
    let ((commands, reports), below, above) = tokio::try_join!(
        start(&ready, begin),
        async { opener.exchange(&below).await.map_err(RunError::from) },
        async { opener.collect(&above).await.map_err(RunError::from) },
    )?;

    // Dropping the set at the end aborts all tasks.
    let mut tasks = JoinSet::new();
    let (to_us, mut done) = mpsc::channel(UNDER_WAY);
    let peer = ready.node.peer();
    tasks.spawn(listen(peer.clone(), reports, to_us, failures.clone()));
    let errors = messages(trial, &down, 1.0 / f64::from(trial.minibatch))?;
    tasks.spawn(feed(below.outgoing, messages(trial, &up, 1.0)?, trial.steps));
    tasks.spawn(feed(above.outgoing, errors, trial.steps));
    let journal = Journal::new(Clock::start());
    tasks.spawn(drain(below.incoming, failures.clone(), journal.clone()));
    tasks.spawn(drain(above.incoming, failures.clone(), journal));

    let gone = || RunError::node(format!("{peer} ended its run"));
    let mut found = Vec::new();
    for step in 1..=trial.steps {
        let work = RunLane::of_one_step(trial.lane.starting_at(step), trial.minibatch, Measure::Nothing);
        commands.send(Command::Lane(work)).await.map_err(|_| gone())?;
        match tokio::time::timeout(*message_deadline, done.recv()).await {
            Ok(Some(Report::Step(done))) => found.push(done),
            Ok(_) => return Err(gone()),
            Err(_) => {
                let seconds = message_deadline.as_secs();
                let why = "network.message_deadline says how long to wait";
                return Err(RunError::node(format!("{peer} was silent for {seconds} s: {why}")));
            }
        }
    }
    Ok(found)
}

/// One step's messages of `contract`, drawn evenly from −`scale` to `scale`, and the network's input from all bytes.
fn messages(trial: &Alone, contract: &Contract, scale: f64) -> Result<Vec<Message>, RunError> {
    let Alone { spec, lane, minibatch, .. } = trial;
    let count = lane.microbatches()[0];
    let cuts = microbatches(*minibatch as usize, count as usize);
    let mut rng = seed::rng(spec.seed, &["measure"]);
    let mut message = |(index, range): (usize, &std::ops::Range<usize>)| {
        let header = MicrobatchHeader {
            run: spec.run.clone(),
            incarnation: spec.incarnation,
            phase: Phase::Train,
            id: MicrobatchId { step: 1, index: index as u32 },
            minibatch: *minibatch,
            microbatches: count,
            offset: range.start as u32,
            size: range.len() as u32,
            form: 0,
        };
        let mut tensor = |value: &Value| {
            let shape: Vec<u64> =
                std::iter::once(range.len() as u64).chain(value.shape.iter().copied()).collect();
            let count = shape.iter().product::<u64>();
            let kind = value.kind(contract.kind);
            let (middle, scale) = if kind == Kind::U8 { (127.5, 127.5) } else { (0.0, scale) };
            let number = |_| (middle + rng.random_range(-1.0..1.0) * scale) as f32;
            let numbers: Vec<f32> = (0..count).map(number).collect();
            let tensor = TensorData::round_from_f32(kind, shape, &numbers).map_err(RunError::internal)?;
            Ok((value.name.clone(), tensor))
        };
        let tensors = contract.values().iter().map(&mut tensor).collect::<Result<_, RunError>>()?;
        Ok(Message { header, tensors })
    };
    cuts.iter().enumerate().map(&mut message).collect()
}

/// Sends one step's messages again and again, as fast as the stage takes them.
async fn feed(link: Outgoing, messages: Vec<Message>, steps: u64) {
    for step in 1..=steps {
        for message in &messages {
            let id = MicrobatchId { step, ..message.header.id };
            let header = MicrobatchHeader { id, ..message.header.clone() };
            if !link.put(Message { header, tensors: message.tensors.clone() }).await {
                return;
            }
        }
    }
    // The link stays open until the run ends.
    std::future::pending().await
}
