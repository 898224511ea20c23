//! Opening a pipeline: configure every node, start every run, open both ends of the ring.

use super::failures::{FailureCollector, Precedence};
use super::feed::Feeder;
use super::loss_task::LossTask;
use super::{Driver, Sets, Stage};
use crate::failure::{Cause, Failure};
use futures::future::try_join_all;
use proto::client::{self, CallError, Node, Reports};
use proto::control::{Command, Configured, Report, Start};
use proto::link::Contract;
use proto::link::{Incoming, Link, broken};
use proto::microbatch::Message;
use proto::spec::stage::StageSpec;
use proto::transport::QUEUE;
use proto::wire;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Reports that may wait to be collected: some minibatches' worth.
const REPORTS: usize = 16;
/// How much longer than a node's own deadline for its neighbour its answer may take.
const STARTING: Duration = Duration::from_secs(4);
/// Microbatches whose labels may wait for their logits.
const EXPECTED: usize = 64;

/// How to reach one node.
#[derive(Clone, Debug)]
pub struct NodeAddress {
    /// Its control address, `host:port`.
    pub control: String,
}

/// Everything that a pipeline is made of.
pub struct Setup {
    /// One per node, in order.
    pub stages: Vec<StageSpec>,
    /// Their nodes.
    pub nodes: Vec<NodeAddress>,
    /// Inputs and labels.
    pub sets: Sets,
    /// Number of classes.
    pub classes: usize,
    /// ε of label smoothing.
    pub smoothing: f64,
    /// How long to try to reach a node.
    pub connect_deadline: Duration,
    /// How long to wait for anything once connected.
    pub message_deadline: Duration,
}

/// A node that has become a stage.
pub(super) struct Ready {
    pub(super) node: Node,
    pub(super) data: String,
    configured: Configured,
}

/// Opens the pipeline of `setup`. Returns it with what each node said when it was configured.
///
/// # Errors
/// The first node, by its stage and address, that could not be reached or refused.
pub async fn open(setup: Setup, board: FailureCollector) -> Result<(Driver, Vec<Configured>), Failure> {
    tokio::select! {
        biased;
        opened = open_all(setup, board.clone()) => opened,
        () = board.ended() => Err(board.verdict().await),
    }
}

async fn open_all(setup: Setup, board: FailureCollector) -> Result<(Driver, Vec<Configured>), Failure> {
    let Setup { stages: specs, nodes, sets, classes, smoothing, connect_deadline, message_deadline } = setup;
    let preparing = specs.iter().zip(&nodes).map(|(spec, node)| prepare(spec, node, connect_deadline));
    let ready = try_join_all(preparing).await?;

    let above = ready.iter().skip(1).map(|next| Some(next.data.clone())).chain([None]);
    let starting = specs.iter().zip(&ready).zip(above).map(|((spec, ready), above)| {
        let (run, incarnation) = (spec.run.clone(), spec.incarnation);
        start(spec.index, ready, Start { run, incarnation, above, connect_deadline, message_deadline })
    });
    let (Some(first), Some(last)) = (specs.first(), specs.last()) else {
        return Err(Failure::configuration("a pipeline needs at least one stage"));
    };
    let done = Contract { values: Vec::new(), ..first.activations_below() };
    let logits = last.activations_above().map_err(Failure::internal)?;
    let output = logits.values[0].name.clone();
    let (bottom, top) = (&ready[0].data, &ready[ready.len() - 1].data);
    let (running, inputs, outputs) = tokio::try_join!(
        try_join_all(starting),
        named(first.index, client::exchange(bottom, &done, connect_deadline)),
        named(last.index, client::collect(top, &logits, connect_deadline)),
    )?;

    let mut tasks = JoinSet::new();
    let mut stages = Vec::with_capacity(running.len());
    for (index, ((commands, reports), ready)) in running.into_iter().zip(&ready).enumerate() {
        let (sender, receiver) = mpsc::channel(REPORTS);
        let address = ready.node.address().to_owned();
        tasks.spawn(listen(index, address.clone(), reports, sender, board.clone()));
        stages.push(Stage { address, commands, reports: receiver });
    }
    tasks.spawn(drain(inputs.incoming, bottom.clone(), board.clone()));

    let (to_judge, expected) = mpsc::channel(EXPECTED);
    let (to_feeder, queue) = mpsc::channel(QUEUE);
    let run = (first.run.clone(), first.incarnation);
    let feeder =
        Feeder { sets, run, wire: first.wire, to_first: inputs.sender, to_judge, board: board.clone() };
    std::thread::Builder::new()
        .name("feeder".into())
        .spawn(move || feeder.run(queue))
        .map_err(Failure::internal)?;

    let (outbox, errors) = mpsc::channel(first.max_microbatches as usize);
    let (results, judged) = mpsc::channel(REPORTS);
    let Link { sender, incoming } = outputs;
    tasks.spawn(post(errors, sender));
    let peer = format!("stage {} at {top}", last.index);
    let judge = LossTask {
        classes,
        smoothing,
        wire: last.wire,
        peer,
        output,
        logits: incoming,
        outbox,
        results,
        board: board.clone(),
    };
    tasks.spawn(judge.run(expected));

    let configured = ready.iter().map(|ready| ready.configured).collect();
    let driver = Driver {
        stages,
        to_feeder,
        judged,
        pending: Default::default(),
        board,
        tasks,
        deadline: message_deadline,
    };
    Ok((driver, configured))
}

/// Connects to a node, checks that it speaks this protocol, and makes it a stage.
pub(super) async fn prepare(
    spec: &StageSpec,
    address: &NodeAddress,
    deadline: Duration,
) -> Result<Ready, Failure> {
    let (node, data) = named(spec.index, dial(&address.control, deadline)).await?;
    let configured = named(spec.index, node.configure(spec.clone())).await?;
    let due = spec.restore.unwrap_or(0);
    if configured.updates != due {
        let (index, address, made) = (spec.index, node.address(), configured.updates);
        return Err(Failure::new(
            Cause::Violation,
            format!(
                "stage {index} at {address} has made {made} updates where the run has made {due}: look whether its state folder belongs to this run"
            ),
        ));
    }
    Ok(Ready { node, data, configured })
}

/// Connects to the node at a control address; returns it with its data address.
///
/// # Errors
/// When it cannot be reached in time or speaks another protocol.
async fn dial(control: &str, deadline: Duration) -> Result<(Node, String), CallError> {
    let (node, description) = Node::dial(control, deadline).await?;
    let host = control.rsplit_once(':').map_or(control, |(host, _)| host);
    Ok((node, format!("{host}:{}", description.data_port)))
}

/// Opens a run and waits until the node has reached its neighbour above.
pub(super) async fn start(
    index: u32,
    ready: &Ready,
    start: Start,
) -> Result<(mpsc::Sender<Command>, Reports), Failure> {
    let (commands, mut reports) = named(index, ready.node.run()).await?;
    let address = ready.node.address();
    let gone = || Failure::node(format!("stage {index} at {address} ended its run before it began"));
    // A node that cannot reach the one above says so at this deadline itself.
    let deadline = start.connect_deadline + STARTING;
    commands.send(Command::Start(start)).await.map_err(|_| gone())?;
    match tokio::time::timeout(deadline, named(index, reports.next())).await {
        Ok(started) => match started? {
            Some(Report::Started) => Ok((commands, reports)),
            _ => Err(gone()),
        },
        Err(_) => Err(Failure::node(format!(
            "stage {index} at {address} did not begin the run within {} s: look at its log, or start it again",
            deadline.as_secs_f64()
        ))),
    }
}

/// Says which stage a call was for.
pub(super) async fn named<T>(
    index: u32,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<T, Failure> {
    call.await.map_err(|error| describe(index as usize, &error).1)
}

/// How telling an error of stage `index` is, and its sentence.
fn describe(index: usize, error: &CallError) -> (Precedence, Failure) {
    let closeness = match error {
        CallError::Hearsay { .. } => Precedence::Hearsay,
        CallError::Refused { .. } | CallError::Gone { .. } | CallError::Address(_) => Precedence::Reason,
        CallError::Lost { .. } | CallError::Unreachable { .. } => Precedence::Lost,
    };
    let cause = match error {
        CallError::Address(_) => Cause::Configuration,
        CallError::Gone { .. } => Cause::SnapshotGone,
        _ => Cause::Node,
    };
    let sentence = match error {
        // The node names its stage itself.
        CallError::Refused { address, why }
        | CallError::Gone { address, why }
        | CallError::Hearsay { address, why }
            if why.starts_with("stage ") =>
        {
            format!("{why} (reported by {address})")
        }
        CallError::Lost { address, why } => {
            format!(
                "stage {index} at {address} was lost ({why}): check that its process and host are alive, then start the run again"
            )
        }
        other => format!("stage {index} at {other}"),
    };
    (closeness, Failure::new(cause, sentence))
}

/// Passes a node's reports on until its run ends. It listens on when the run has failed: this node's own
/// reason may be the most telling one.
pub(super) async fn listen(
    index: usize,
    address: String,
    mut reports: Reports,
    to: mpsc::Sender<Report>,
    board: FailureCollector,
) {
    loop {
        match reports.next().await {
            Ok(Some(report)) => {
                if to.send(report).await.is_err() {
                    return;
                }
            }
            Ok(None) if to.is_closed() => return,
            Ok(None) => {
                let why = format!("stage {index} at {address} ended its run before its time: see its log");
                return board.fail(Precedence::Lost, Failure::node(why));
            }
            Err(error) => {
                let (closeness, failure) = describe(index, &error);
                return board.fail(closeness, failure);
            }
        }
    }
}

/// Takes the first stage's answers; each says that a microbatch has been all the way down again.
async fn drain(mut done: Incoming<wire::ErrorSignal>, address: String, board: FailureCollector) {
    loop {
        match done.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(status) => {
                let why = broken(&format!("stage 0 at {address}"), &status);
                return board.fail(Precedence::Hearsay, Failure::node(why));
            }
        }
    }
}

/// Sends errors from the outbox as fast as the last stage takes them.
async fn post(mut outbox: mpsc::Receiver<Message>, link: mpsc::Sender<Message>) {
    while let Some(message) = outbox.recv().await {
        if link.send(message).await.is_err() {
            return;
        }
    }
}
