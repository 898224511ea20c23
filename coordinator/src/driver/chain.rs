//! Runs some stages without a data set: the coordinator is both ends of their ring and sends random values, so that
//! nothing else computes while the stages are measured.
//!
//! ```text
//! random activations ──▶ ┌─────────┐ ──▶ … ──▶ ┌───────────┐ ──▶ dropped
//!            dropped ◀── │ stage 0 │ ◀── … ◀── │ stage n-1 │ ◀── random errors
//!                        └─────────┘           └───────────┘
//! ```

use super::NodeAddress;
use super::connect::{Ready, drain, listen, prepare, start};
use super::failures::FailureCollector;
use super::journal::Journal;
use super::precedence::Precedence;
use crate::data::microbatches;
use crate::run_error::RunError;
use futures::future::try_join_all;
use proto::clock::Clock;
use proto::control::{Command, Measure, Report, RunLane, Start, StepDone};
use proto::lane::Lane;
use proto::link::{Link, Outgoing, Port};
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

/// One stage of a chain.
pub struct Part<'a> {
    /// The stage's specification.
    pub spec: &'a StageSpec,
    /// The stage's actions in every step.
    pub lane: &'a Lane,
    /// The node that is the stage.
    pub node: &'a NodeAddress,
}

/// Stages that are linked in order, and the steps that they make.
pub struct Chain<'a> {
    /// The stages, the one nearest the input first; at least one.
    pub parts: Vec<Part<'a>>,
    /// The security of the connections to the nodes.
    pub security: Security,
    /// N of every step.
    pub minibatch: u32,
    /// The number of steps.
    pub steps: u64,
    /// How long to try to reach a node.
    pub connect_deadline: Duration,
    /// How long to wait for a step.
    pub message_deadline: Duration,
}

/// A node's queue of commands, and that of its reports.
type Stream = (mpsc::Sender<Command>, mpsc::Receiver<Report>);

/// A chain whose links are open.
struct Opened {
    nodes: Vec<Ready>,
    runs: Runs,
    below: Port,
    above: Port,
}

/// The runs of the nodes of a chain.
struct Runs {
    streams: Vec<Stream>,
    /// The tasks that take the nodes' reports.
    listening: JoinSet<()>,
}

impl Runs {
    /// Ends the nodes' runs, and waits until the nodes are idle: the next configuration finds no run under way.
    async fn close(mut self, chain: &Chain<'_>) {
        self.streams.clear();
        // Nodes end their streams once the commands are closed and the run has ended.
        let ended = async { while self.listening.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(chain.message_deadline, ended).await;
    }
}

/// Runs the steps of a chain, and returns the reports of each stage, by step.
///
/// # Errors
/// The stage and its address, if a node could not be reached, failed, or fell silent.
pub async fn chain(chain: &Chain<'_>, failures: &FailureCollector) -> Result<Vec<Vec<StepDone>>, RunError> {
    let (found, runs, _links) = unless_failed(failures, async {
        let opened = open(chain, failures).await?;
        run(chain, opened, failures).await
    })
    .await?;
    runs.close(chain).await;
    Ok(found)
}

/// Makes the nodes of a chain forget its updates: they are configured anew and begin a first step, at which a node
/// removes the snapshots of the run, and which is given up before its update.
///
/// # Errors
/// As [`chain`].
pub async fn forget(chain: &Chain<'_>, failures: &FailureCollector) -> Result<(), RunError> {
    let Opened { runs, below, above, .. } = unless_failed(failures, async {
        let mut opened = open(chain, failures).await?;
        for (part, (commands, _)) in chain.parts.iter().zip(&opened.runs.streams) {
            lane(chain, part, commands, 1).await.map_err(|()| gone(part))?;
        }
        // Every node has begun its lane once a message has come through all of them.
        let first = messages(chain, &chain.parts[0], Values::Activations)?.remove(0);
        if !opened.below.outgoing.put(first).await {
            return Err(gone(&chain.parts[0]));
        }
        let came = tokio::time::timeout(chain.message_deadline, opened.above.incoming.next()).await;
        match came {
            Ok(Ok(Some(_))) => Ok(opened),
            Ok(Err(failure)) => Err(failure.into()),
            Ok(Ok(None)) | Err(_) => Err(gone(&chain.parts[0])),
        }
    })
    .await?;
    // A node in the middle of a step ends its run because its links end.
    drop((below, above));
    runs.close(chain).await;
    Ok(())
}

/// The result of `work`, or the closest reason why the chain has failed.
async fn unless_failed<T>(
    failures: &FailureCollector,
    work: impl Future<Output = Result<T, RunError>>,
) -> Result<T, RunError> {
    tokio::select! {
        biased;
        () = failures.ended() => Err(failures.verdict().await),
        done = work => match done {
            Ok(done) => Ok(done),
            // A closer reason may still be reported.
            Err(failure) => {
                failures.fail(Precedence::Lost, failure);
                Err(failures.verdict().await)
            }
        },
    }
}

/// Configures the nodes, starts their runs, and opens both ends of the ring.
async fn open(chain: &Chain<'_>, failures: &FailureCollector) -> Result<Opened, RunError> {
    let Chain { parts, security, connect_deadline, message_deadline, .. } = chain;
    let waiting = Waiting::default();
    let preparing =
        parts.iter().map(|part| prepare(security, part.spec, part.node, *connect_deadline, &waiting));
    let nodes = try_join_all(preparing).await?;
    let starting = parts.iter().zip(&nodes).enumerate().map(|(at, (part, node))| {
        let begin = Start {
            run: part.spec.run.clone(),
            incarnation: part.spec.incarnation,
            above: nodes.get(at + 1).and_then(|above| above.data.address.clone()),
            backward: None,
            connect_deadline: *connect_deadline,
            message_deadline: *message_deadline,
        };
        start(node, begin)
    });
    let (first, last) = (parts[0].spec, parts[parts.len() - 1].spec);
    let up = first.activations_below();
    let answers = up.values().iter().filter(|value| value.name != INPUT).cloned().collect();
    let below = Link::new(nodes[0].data.clone(), up.with_values(answers));
    let logits = last.activations_above().map_err(RunError::internal)?;
    let above = Link::new(nodes[nodes.len() - 1].data.clone(), logits);
    let opener = Opener { security, transport: first.transport, deadline: *connect_deadline };
    let (started, below, above) = tokio::try_join!(
        try_join_all(starting),
        async { opener.exchange(&below).await.map_err(RunError::from) },
        async { opener.collect(&above).await.map_err(RunError::from) },
    )?;
    let mut listening = JoinSet::new();
    let streams = nodes.iter().zip(started).map(|(node, (commands, reports))| {
        let (to_us, done) = mpsc::channel(UNDER_WAY);
        listening.spawn(listen(node.node.peer().clone(), reports, to_us, failures.clone()));
        (commands, done)
    });
    let runs = Runs { streams: streams.collect(), listening };
    Ok(Opened { nodes, runs, below, above })
}

/// Makes the steps of an open chain. The nodes' runs go on until they are closed, with the tasks of the links.
async fn run(
    chain: &Chain<'_>,
    opened: Opened,
    failures: &FailureCollector,
) -> Result<(Vec<Vec<StepDone>>, Runs, JoinSet<()>), RunError> {
    let (Opened { nodes, mut runs, below, above }, mut links) = (opened, JoinSet::new());
    let (first, last) = (&chain.parts[0], &chain.parts[chain.parts.len() - 1]);
    links.spawn(feed(below.outgoing, messages(chain, first, Values::Activations)?, chain.steps));
    links.spawn(feed(above.outgoing, messages(chain, last, Values::Errors)?, chain.steps));
    let journal = Journal::new(Clock::start());
    links.spawn(drain(below.incoming, failures.clone(), journal.clone()));
    links.spawn(drain(above.incoming, failures.clone(), journal));
    let mut found = vec![Vec::new(); chain.parts.len()];
    for step in 1..=chain.steps {
        for (part, (commands, _)) in chain.parts.iter().zip(&runs.streams) {
            lane(chain, part, commands, step).await.map_err(|()| gone(part))?;
        }
        for (at, (_, reports)) in runs.streams.iter_mut().enumerate() {
            match tokio::time::timeout(chain.message_deadline, reports.recv()).await {
                Ok(Some(Report::Step(done))) => found[at].push(done),
                Ok(_) => return Err(gone(&chain.parts[at])),
                Err(_) => {
                    let (peer, seconds) = (nodes[at].node.peer(), chain.message_deadline.as_secs());
                    let why = "network.message_deadline says how long to wait";
                    return Err(RunError::node(format!("{peer} was silent for {seconds} s: {why}")));
                }
            }
        }
    }
    Ok((found, runs, links))
}

/// Makes a stage follow its lane for one step.
async fn lane(
    chain: &Chain<'_>,
    part: &Part<'_>,
    commands: &mpsc::Sender<Command>,
    step: u64,
) -> Result<(), ()> {
    let work = RunLane::of_one_step(part.lane.starting_at(step), chain.minibatch, Measure::Nothing);
    commands.send(Command::Lane(work)).await.map_err(|_| ())
}

/// The failure of a stage whose run ended before its time.
fn gone(part: &Part<'_>) -> RunError {
    let (role, address) = (part.spec.role(), &part.node.control);
    RunError::node(format!("{role} at {address} ended its run before its time: see its log"))
}

/// The values that the coordinator sends in place of a neighbour.
#[derive(Clone, Copy)]
enum Values {
    Activations,
    Errors,
}

/// One step's messages to a stage, drawn evenly: activations from −1 to 1, the network's input from all bytes, and
/// errors from −1/N to 1/N.
fn messages(chain: &Chain<'_>, part: &Part<'_>, which: Values) -> Result<Vec<Message>, RunError> {
    let Part { spec, lane, .. } = part;
    let (contract, scale) = match which {
        Values::Activations => (spec.activations_below(), 1.0),
        Values::Errors => {
            (spec.errors_above().map_err(RunError::internal)?, 1.0 / f64::from(chain.minibatch))
        }
    };
    let count = lane.microbatches()[0];
    let cuts = microbatches(chain.minibatch as usize, count as usize);
    let mut rng = seed::rng(spec.seed, &["measure"]);
    let mut message = |(index, range): (usize, &std::ops::Range<usize>)| {
        let header = MicrobatchHeader {
            run: spec.run.clone(),
            incarnation: spec.incarnation,
            phase: Phase::Train,
            id: MicrobatchId { step: 1, index: index as u32 },
            minibatch: chain.minibatch,
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
