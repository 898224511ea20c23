//! The loop of a run, which acts on the supervisor's commands: it finds nodes, opens the pipeline, submits the
//! course of the run, and passes events to the recorder.

use super::recorder::Recorder;
use super::resume::{Resume, Survey};
use super::supervisor::{Command, Decision, Event, Supervisor};
use crate::driver::{
    self, Audit, Driver, FailureCollector, Ledgers, Minibatch, NodeAddress, SETTLING, Setup,
};
use crate::node::{self, Nodes, Rooms};
use crate::prepare::{Item, Lanes, Placement, Prepared, nodes};
use crate::run_error::RunError;
use proto::control::{Configured, Description, HeldSnapshot};
use proto::link::{Peer, Role};
use proto::spec::stage::StageSpec;
use proto::transport::tls::Security;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A run under way; the nodes and the pipeline are those of its newest start.
pub struct Run<'a> {
    prepared: &'a Prepared,
    placement: &'a Placement,
    stop: CancellationToken,
    /// The recorder of the pipeline's events.
    pub recorder: Recorder<'a>,
    /// The addresses of the nodes, stages first.
    pub addresses: Vec<NodeAddress>,
    /// The roles of the nodes, in the same order.
    roles: Vec<Role>,
    lanes: Lanes,
    failures: FailureCollector,
    nodes: Option<Nodes>,
    /// The peaks of the nodes' memory in the newest start that has ended, in bytes, as far as they are known.
    pub peaks: Vec<Option<u64>>,
    driver: Option<Driver>,
    /// The specifications of the stages in the newest start.
    pub stages: Vec<StageSpec>,
    /// The answers of the nodes to their specifications, those of the stages first.
    pub configured: Vec<Configured>,
    /// The audit of a start that is not in the run's folder yet.
    audit: Option<Audit>,
    /// The ledgers of the newest start that has ended; `None` where its pipeline was never open.
    pub ledgers: Option<Ledgers>,
}

impl<'a> Run<'a> {
    /// A run of `prepared` on nodes at `placement`, which ends in order when `stop` is cancelled.
    pub fn new(
        prepared: &'a Prepared,
        placement: &'a Placement,
        stop: CancellationToken,
        recorder: Recorder<'a>,
    ) -> Self {
        let (lanes, failures) = (prepared.lanes(), FailureCollector::default());
        Self {
            prepared,
            placement,
            stop,
            recorder,
            addresses: Vec::new(),
            roles: prepared.roles(),
            lanes,
            failures,
            nodes: None,
            peaks: Vec::new(),
            driver: None,
            stages: Vec::new(),
            configured: Vec::new(),
            audit: None,
            ledgers: None,
        }
    }

    /// Trains until the run ends, over all its starts.
    ///
    /// # Errors
    /// The reason why the run ended early.
    pub async fn drive(&mut self, resume: Option<Resume>, restarts: u32) -> Result<(), RunError> {
        let (course, folder) = (self.prepared.course(), self.recorder.folder().path().to_owned());
        let begin = self.recorder.folder().identity().begin.clone();
        let mut supervisor = Supervisor::new(&course, folder, resume, restarts).from(begin);
        let (begun, mut event) = (Instant::now(), Event::Begun);
        loop {
            if self.stop.is_cancelled() {
                supervisor.stop();
            }
            // A pipeline that was closed because of a node must not be the reason to close the next one.
            if let Some(why) = self.driver.as_ref().and_then(|_| self.failures.leaving()) {
                supervisor.leave(why);
            }
            let Decision { say, command } = supervisor.on(event, begun.elapsed());
            say.iter().for_each(|line| self.recorder.say(line));
            event = match command {
                Command::End(result) => return result,
                command => self.act(command).await.unwrap_or_else(Event::Failed),
            };
        }
    }

    async fn act(&mut self, command: Command) -> Result<Event, RunError> {
        match command {
            Command::Find => self.find().await,
            Command::Ask(pause) => self.ask(pause).await,
            Command::Rewind(common) => self.recorder.rewind(&common).map(|()| Event::Rewound),
            Command::Open(restore) => self.open(restore).await,
            Command::Submit(item) => self.submit(item).await,
            Command::Take => {
                if let Some(event) = pipeline(&mut self.driver)?.next().await? {
                    self.recorder.record(event)?;
                }
                Ok(Event::Taken)
            }
            Command::Close => {
                self.audited(SETTLING).await?;
                if let Some(driver) = self.driver.take() {
                    driver.close().await;
                }
                Ok(Event::Closed)
            }
            Command::Release | Command::End(_) => {
                self.driver = None;
                // The start failed, and its failure tells more than a file that could not be written after it.
                if let Err(failure) = self.audited(Duration::ZERO).await {
                    tracing::warn!(%failure, "the ledger of this start is lost");
                }
                if let Some(nodes) = self.nodes.take() {
                    self.peaks = nodes.peaks();
                    nodes.stop().await;
                }
                Ok(Event::Released)
            }
            Command::Restart => self.recorder.start_again().map(|()| Event::Begun),
        }
    }

    async fn find(&mut self) -> Result<Event, RunError> {
        (self.failures, self.addresses) = (FailureCollector::default(), Vec::new());
        let rooms = Rooms::of(self.recorder.folder().path());
        let settings = &self.prepared.config.node;
        let finding = Nodes::find(self.placement, &self.roles, settings, &rooms, &self.failures);
        let Some(nodes) = unless_stopped(&self.stop, finding).await? else { return Ok(Event::Stopped) };
        self.addresses = nodes.addresses().to_vec();
        self.nodes = Some(nodes);
        Ok(Event::Found(self.peers()))
    }

    /// The nodes by their roles, at their control addresses.
    fn peers(&self) -> Vec<Peer> {
        let nodes = self.roles.iter().zip(&self.addresses);
        nodes.map(|(role, node)| Peer::of(*role).at(&node.control)).collect()
    }

    /// Asks every node for its snapshots of the run.
    async fn ask(&self, pause: Duration) -> Result<Event, RunError> {
        let peers = self.peers();
        let deadline = Duration::from_secs_f64(self.prepared.config.network.connect_deadline);
        let asking = async {
            tokio::time::sleep(pause).await;
            node::wait_for(&self.placement.security(), &peers, deadline).await.map_err(RunError::from)
        };
        let found = tokio::select! {
            found = unless_stopped(&self.stop, asking) => found?,
            () = self.failures.ended() => return Err(self.failures.verdict().await),
        };
        found.map_or(Ok(Event::Stopped), |found| self.survey(&found))
    }

    fn survey(&self, found: &[Description]) -> Result<Event, RunError> {
        let folder = self.recorder.folder();
        let identity = folder.identity();
        if let Some(node) = found.iter().position(|node| node.run.as_deref() == Some(&identity.id)) {
            return Ok(Event::Busy(node));
        }
        let own = |node: &Description| {
            let held = node.snapshots.clone().into_iter();
            held.filter(|held| held.run == identity.id && held.updates > 0).collect::<Vec<_>>()
        };
        let held: Vec<_> = found.iter().map(own).collect();
        // A node that came back with the state folder of another run says more than that it lacks this run's.
        let lacking = held.iter().zip(found).zip(self.peers()).filter(|((own, _), _)| own.is_empty());
        for ((_, node), peer) in lacking.filter(|_| identity.saved > 0) {
            let others = driver::of_others(&node.snapshots, &identity.id);
            others.iter().for_each(|others| tracing::warn!("{peer} {others}"));
        }
        let (held, other_cut) = self.of_this_cut(held)?;
        let imported = held.iter().flatten().filter(|held| held.imported).map(|held| held.updates).collect();
        let updates = |held: &Vec<HeldSnapshot>| held.iter().map(|held| held.updates).collect();
        let snapshots = held.iter().map(updates).collect();
        let (written, saved) = (folder.last_step()?, identity.saved);
        Ok(Event::Held(Survey { snapshots, other_cut, imported, written, saved }))
    }

    /// The snapshots of each node that are of the node's place in this cut, and the nodes that hold others.
    fn of_this_cut(
        &self,
        mut held: Vec<Vec<HeldSnapshot>>,
    ) -> Result<(Vec<Vec<HeldSnapshot>>, Vec<usize>), RunError> {
        let due = self.prepared.fingerprints()?;
        let mut other_cut = Vec::new();
        for (node, (held, due)) in held.iter_mut().zip(due).enumerate() {
            let all = held.len();
            held.retain(|held| held.tensors == due);
            if held.len() < all {
                other_cut.push(node);
            }
        }
        Ok((held, other_cut))
    }

    async fn open(&mut self, restore: Option<u64>) -> Result<Event, RunError> {
        let identity = self.recorder.folder().identity();
        let stages =
            self.prepared.stages(&identity.id, identity.incarnation, restore, identity.begin.as_ref())?;
        let specs = nodes(&stages);
        self.stages = stages;
        let setup = setup(self.prepared, specs, &self.addresses, self.placement.security());
        let opening = driver::open(setup, self.failures.clone());
        let Some((driver, configured)) = unless_stopped(&self.stop, opening).await? else {
            return Ok(Event::Stopped);
        };
        (self.audit, self.ledgers) = (Some(driver.audit()), None);
        (self.driver, self.configured) = (Some(driver), configured);
        Ok(Event::Opened)
    }

    /// Fetches the ledgers of this start and writes them into the run's folder, once.
    async fn audited(&mut self, settling: Duration) -> Result<(), RunError> {
        let Some(audit) = self.audit.take() else { return Ok(()) };
        let ledgers = self.ledgers.insert(audit.ledgers(settling).await);
        self.recorder.audited(ledgers)
    }

    async fn submit(&mut self, item: Item) -> Result<Event, RunError> {
        let driver = pipeline(&mut self.driver)?;
        match item {
            Item::Snapshot { step } => driver.snapshot(self.recorder.keep(step)).await?,
            Item::Align(steps) => driver.align(steps).await?,
            Item::Minibatch(mut minibatch) => {
                let traces = self.recorder.traces();
                minibatch.timeline |= traces;
                minibatch.place.following.iter_mut().for_each(|following| following.timeline |= traces);
                submit(driver, &mut self.lanes, minibatch).await?;
            }
        }
        Ok(Event::Submitted)
    }
}

fn pipeline(driver: &mut Option<Driver>) -> Result<&mut Driver, RunError> {
    driver
        .as_mut()
        .ok_or_else(|| RunError::internal("the pipeline is not open: this is a bug, please report it"))
}

/// The result of `work`; `None` if `stop` comes first, because before the first step there is nothing to save.
async fn unless_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, RunError>>,
) -> Result<Option<T>, RunError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(None),
        done = work => done.map(Some),
    }
}

/// The setup of the driver for a pipeline of these nodes.
pub fn setup(prepared: &Prepared, specs: Vec<StageSpec>, nodes: &[NodeAddress], security: Security) -> Setup {
    let config = &prepared.config;
    Setup {
        specs,
        nodes: nodes.to_vec(),
        security,
        sets: prepared.sets.clone(),
        classes: config.model.classes as usize,
        smoothing: config.train.label_smoothing,
        connect_deadline: Duration::from_secs_f64(config.network.connect_deadline),
        message_deadline: Duration::from_secs_f64(config.network.message_deadline),
    }
}

/// Puts a minibatch into the pipeline.
///
/// # Errors
/// The run's failure, if it has failed.
pub async fn submit(driver: &mut Driver, lanes: &mut Lanes, minibatch: Minibatch) -> Result<(), RunError> {
    let lanes = lanes.of(&minibatch)?;
    driver.submit(minibatch, lanes).await
}
