//! Opens a pipeline: configures every node, starts every run, and opens both ends of the ring.

use super::failures::FailureCollector;
use super::feed::Feeder;
use super::journal::{Journal, at};
use super::loss_task::LossTask;
use super::others::of_others;
use super::precedence::Precedence;
use super::reports::Reporting;
use super::stream::NodeStream;
use super::{Audit, Driver, Sets};
use crate::run_error::{Cause, RunError};
use futures::future::try_join_all;
use proto::client::{Node, Reports, other_release};
use proto::clock::Clock;
use proto::control::{Command, Configured, DataAddress, Report, Start};
use proto::ledger::LinkLedger;
use proto::link::{Carried, Contract, Incoming, Link, Outgoing, Peer, QUEUE, Role};
use proto::microbatch::Message;
use proto::process::threads;
use proto::spec::stage::{Half, StageSpec};
use proto::transport::address::path_of;
use proto::transport::links::Opener;
use proto::transport::tls::Security;
use proto::transport::waiting::Waiting;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The capacity of the queues of reports and of losses: as many as there are minibatches under way
/// ([`MOST_UNDER_WAY`](super::MOST_UNDER_WAY)).
const REPORTS: usize = super::MOST_UNDER_WAY as usize;
/// The time by which a node's answer may exceed the node's own deadline for its neighbour.
const STARTING: Duration = Duration::from_secs(4);
/// The number of microbatches, for each stage and for the loss, whose labels may wait for their logits.
const EXPECTED: usize = 8;

/// The address of one node.
#[derive(Clone, Debug)]
pub struct NodeAddress {
    /// Its control address, `host:port` or `unix:PATH`.
    pub control: String,
}

/// The parts of a pipeline.
pub struct Setup {
    /// The specification of each node: those of the stages in order, and those of their backward nodes, if the pipeline
    /// has any. Without them the pipeline can evaluate, but cannot train a split stage.
    pub specs: Vec<StageSpec>,
    /// The addresses of the nodes, in the same order.
    pub nodes: Vec<NodeAddress>,
    /// The security of the connections to the nodes.
    pub security: Security,
    /// The data, for inputs and labels.
    pub sets: Sets,
    /// Number of classes.
    pub classes: usize,
    /// ε of label smoothing.
    pub smoothing: f64,
    /// How long to try to reach a node.
    pub connect_deadline: Duration,
    /// How long to wait for any message once connected.
    pub message_deadline: Duration,
}

/// A node that was configured as a stage or the half of one.
pub(super) struct Ready {
    pub(super) node: Node,
    /// The same node on the data plane.
    pub(super) data: Peer,
    configured: Configured,
    /// The snapshots that the node held before, of any run.
    held: usize,
}

impl Ready {
    /// The same node, whose exchanges with the coordinator are timed by `clock`.
    fn timed_by(self, clock: Clock) -> Self {
        Self { node: self.node.timed_by(clock), ..self }
    }
}

/// Opens the pipeline of `setup`. Returns it with each node's answer to its configuration.
///
/// # Errors
/// The first node, by its stage and address, that could not be reached or that refused.
pub async fn open(setup: Setup, failures: FailureCollector) -> Result<(Driver, Vec<Configured>), RunError> {
    tokio::select! {
        biased;
        opened = open_all(setup, failures.clone()) => opened,
        () = failures.ended() => Err(failures.verdict().await),
    }
}

async fn open_all(setup: Setup, failures: FailureCollector) -> Result<(Driver, Vec<Configured>), RunError> {
    let Setup { specs, nodes, security, sets, classes, smoothing, connect_deadline, message_deadline } =
        setup;
    let (waiting, clock) = (Waiting::default(), Clock::start());
    let preparing = specs
        .iter()
        .zip(&nodes)
        .map(|(spec, node)| prepare(&security, spec, node, connect_deadline, &waiting));
    let ready = waiting.logged(try_join_all(preparing)).await?;
    let ready: Vec<Ready> = ready.into_iter().map(|ready| ready.timed_by(clock)).collect();
    let journal = Journal::new(clock);

    let data: Vec<&Peer> = ready.iter().map(|ready| &ready.data).collect();
    let deadlines = [connect_deadline, message_deadline];
    let tasks = Mutex::new(JoinSet::new());
    let starting = specs.iter().zip(&ready).map(|(spec, ready)| {
        let stream = stream(ready, spec, begin(spec, &data, deadlines), &tasks, &failures);
        waiting.during(ready.node.peer(), "its links to other nodes are not open yet: see its log", stream)
    });
    let is_last = |spec: &StageSpec| spec.half == Half::Forward && spec.index + 1 == spec.stages;
    let (Some(first), Some(top)) = (specs.first(), specs.iter().position(is_last)) else {
        return Err(RunError::configuration("a pipeline needs at least one stage"));
    };
    let last = &specs[top];
    let done = first.activations_below().with_values(Vec::new());
    let logits = last.activations_above().map_err(RunError::internal)?;
    let output = logits.values()[0].name.clone();
    let links = LinkLedger::new(Role::Coordinator);
    let link = |peer: &Peer, contract: Contract| {
        let observer = links.observer(peer.role);
        Link { observer, ..Link::new(peer.clone(), contract) }
    };
    let bottom = link(&ready[0].data, done);
    let top = link(&ready[top].data, logits);
    let opener = Opener { security: &security, transport: first.transport, deadline: connect_deadline };
    let (streams, bottom, top) = tokio::try_join!(
        waiting.logged(try_join_all(starting)),
        async { opener.exchange(&bottom).await.map_err(RunError::from) },
        async { opener.collect(&top).await.map_err(RunError::from) },
    )?;

    let mut tasks = tasks.into_inner().unwrap_or_else(PoisonError::into_inner);
    tasks.spawn(drain(bottom.incoming, failures.clone(), journal.clone()));

    let (to_loss, expected) = mpsc::channel(EXPECTED * (1 + first.stages as usize));
    let (to_feeder, queue) = mpsc::channel(QUEUE);
    let run = (first.run.clone(), first.incarnation);
    let nodes = ready.iter().map(|ready| ready.node.clone()).collect();
    let held = ready.iter().map(|ready| ready.held).max().unwrap_or(0);
    let audit = Audit { run: run.clone(), links, nodes, held };
    let to_first = bottom.outgoing;
    let feeder =
        Feeder { sets, run, to_first, to_loss, failures: failures.clone(), journal: journal.clone() };
    threads::spawn("feeder", move || feeder.run(queue)).map_err(RunError::internal)?;

    let (outbox, errors) = mpsc::channel(first.max_microbatches as usize);
    let (results, losses) = mpsc::channel(REPORTS);
    tasks.spawn(post(errors, top.outgoing, journal.clone()));
    let loss_task = LossTask {
        classes,
        smoothing,
        scale: last.loss_scale as f32,
        wire: last.wire_above(),
        output,
        logits: top.incoming,
        outbox,
        results,
        failures: failures.clone(),
        journal: journal.clone(),
    };
    tasks.spawn(loss_task.run(expected));

    let configured = ready.iter().map(|ready| ready.configured).collect();
    let driver = Driver {
        nodes: streams,
        audit,
        to_feeder,
        losses,
        pending: Default::default(),
        updates: first.restore.unwrap_or(0),
        failures,
        tasks,
        deadline: message_deadline,
        wire: first.wire,
        lost_signal: None,
        journal,
    };
    Ok((driver, configured))
}

/// The beginning of the run for the node of `spec`: a stage opens the links to the stage above and to its backward
/// node, and a backward node opens none. `data` are the nodes on the data plane.
fn begin(spec: &StageSpec, data: &[&Peer], [connect_deadline, message_deadline]: [Duration; 2]) -> Start {
    let opens = spec.half == Half::Forward;
    let address = |role| {
        let peer = data.iter().find(|peer| opens && peer.role == role)?;
        peer.address.clone()
    };
    Start {
        run: spec.run.clone(),
        incarnation: spec.incarnation,
        above: address(Role::Stage(spec.index + 1)),
        backward: address(Role::Backward(spec.index)),
        connect_deadline,
        message_deadline,
    }
}

/// Connects to a node, checks that it speaks this protocol, and makes it a stage or the half of one.
pub(super) async fn prepare(
    security: &Security,
    spec: &StageSpec,
    address: &NodeAddress,
    deadline: Duration,
    waiting: &Waiting,
) -> Result<Ready, RunError> {
    let control = Peer::of(spec.role()).at(&address.control);
    let (node, description) = Node::wait_for(security, &control, deadline, waiting).await?;
    if let Some(doubt) = other_release(&description) {
        tracing::warn!("{control}: {doubt}");
    }
    if matches!(description.data, DataAddress::Path(_)) != path_of(&address.control).is_some() {
        return Err(RunError::new(
            Cause::Violation,
            format!(
                "{control} says that its neighbours reach it at an address of another kind than its control address: give its --listen and --control both an IP:PORT, or both a unix:PATH"
            ),
        ));
    }
    let data = Peer::of(spec.role()).at(description.data.beside(&address.control));
    let configured = node.configure(spec.clone()).await?;
    let due = spec.restore.unwrap_or(0);
    if configured.updates != due {
        let made = configured.updates;
        return Err(RunError::new(
            Cause::Violation,
            format!(
                "{control} has made {made} updates where the run has made {due}: look whether its state folder belongs to this run"
            ),
        ));
    }
    let mut unused = description.snapshots.clone();
    unused.retain(|held| spec.begin.as_ref().is_none_or(|begin| begin.run != held.run));
    // A resumed run names the snapshots that a node lacks by itself.
    if spec.restore.is_none()
        && let Some(others) = of_others(&unused, &spec.run)
    {
        tracing::warn!("{control} {others}");
    }
    Ok(Ready { node, data, configured, held: description.snapshots.len() })
}

/// Opens a run and waits until the node has reached its neighbours.
pub(super) async fn start(ready: &Ready, start: Start) -> Result<(mpsc::Sender<Command>, Reports), RunError> {
    let (commands, mut reports) = ready.node.run().await?;
    let peer = ready.node.peer();
    let gone = || RunError::node(format!("{peer} ended its run before it began"));
    // A node that cannot reach a neighbour reports that itself, at its own deadline.
    let deadline = start.connect_deadline + STARTING;
    commands.send(Command::Start(start)).await.map_err(|_| gone())?;
    match tokio::time::timeout(deadline, reports.next()).await {
        Ok(started) => match started? {
            Some(Report::Started) => Ok((commands, reports)),
            Some(Report::Leaving(why)) => Err(why.into()),
            _ => Err(gone()),
        },
        Err(_) => Err(RunError::node(format!(
            "{peer} did not begin the run within {} s: look at its log, or start it again",
            deadline.as_secs_f64()
        ))),
    }
}

/// Opens a run as [`start`] does, and lets a task of `tasks` listen from then on: a node that ends must not go
/// unnoticed while another one still waits for its links.
async fn stream(
    ready: &Ready,
    spec: &StageSpec,
    begin: Start,
    tasks: &Mutex<JoinSet<()>>,
    failures: &FailureCollector,
) -> Result<NodeStream, RunError> {
    let (commands, reports) = start(ready, begin).await?;
    let (peer, reporting) = (ready.node.peer().clone(), Reporting::of(spec).map_err(RunError::internal)?);
    let (sender, receiver) = mpsc::channel(REPORTS);
    let listening = listen(peer.clone(), reports, sender, failures.clone());
    tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(listening);
    Ok(NodeStream { peer, reporting, commands, reports: receiver })
}

/// Passes a node's reports on until its run ends. It goes on after the run has failed, because this node's own
/// reason may be the closest to the cause.
pub(super) async fn listen(
    peer: Peer,
    mut reports: Reports,
    to: mpsc::Sender<Report>,
    failures: FailureCollector,
) {
    loop {
        match reports.next().await {
            Ok(Some(Report::Leaving(why))) => failures.leave(why),
            Ok(Some(report)) => {
                if to.send(report).await.is_err() {
                    return;
                }
            }
            Ok(None) if to.is_closed() => return,
            Ok(None) => {
                let why = format!("{peer} ended its run before its time: see its log");
                return failures.fail(Precedence::Lost, RunError::node(why));
            }
            Err(failure) => return failures.report(failure),
        }
    }
}

/// Takes all messages from a link until the link ends: the first stage's `done`, each of which says that the errors of
/// a microbatch have come all the way down.
pub(super) async fn drain(mut link: Incoming, failures: FailureCollector, journal: Journal) {
    let peer = link.peer().role;
    loop {
        let start_ns = journal.now_ns();
        match link.next().await {
            Ok(Some(message)) => {
                let of = (peer, false, Carried::ErrorSignals);
                journal.transferred(of, at(&message.header), message.payload(), start_ns);
            }
            Ok(None) => return,
            Err(failure) => return failures.report(failure),
        }
    }
}

/// Sends error signals from the outbox as fast as the last stage takes them.
async fn post(mut outbox: mpsc::Receiver<Message>, link: Outgoing, journal: Journal) {
    let of = (link.peer().role, true, Carried::ErrorSignals);
    while let Some(message) = outbox.recv().await {
        let (at, bytes, start_ns) = (at(&message.header), message.payload(), journal.now_ns());
        if !link.put(message).await {
            return;
        }
        journal.transferred(of, at, bytes, start_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::spec::graph::{LayerSpec, Op, Value};

    #[test]
    fn a_stage_opens_the_links_to_the_stage_above_and_to_its_backward_node() {
        let peers = [(Role::Stage(0), "a:1"), (Role::Stage(1), "b:1"), (Role::Backward(1), "c:1")]
            .map(|(role, address)| Peer::of(role).at(address));
        let spec = |index, half| {
            let input = Value { name: "below".into(), shape: vec![4] };
            let alone = StageSpec::alone(vec![LayerSpec::new("relu", &["below"], Op::Relu)], vec![input]);
            StageSpec { index, stages: 2, half, ..alone }
        };
        let opens = |index, half, known: &[&Peer]| {
            let start = begin(&spec(index, half), known, [Duration::ZERO; 2]);
            [start.above, start.backward].map(Option::unwrap_or_default)
        };
        let all: Vec<&Peer> = peers.iter().collect();
        assert_eq!(opens(0, Half::Forward, &all), ["b:1", ""]);
        assert_eq!(opens(1, Half::Forward, &all), ["", "c:1"]);
        assert_eq!(opens(1, Half::Backward, &all), ["", ""]);
        assert_eq!(opens(1, Half::Forward, &all[..2]), ["", ""], "an evaluation has no backward node");
    }
}
