//! The control plane: what the coordinator asks of this node.

use super::hub::{Hub, Slot};
use super::look::Look;
use super::pump;
use crate::checkpoint;
use crate::fault::{Fault, Trouble};
use crate::meters::Meters;
use crate::session::{Port, Session};
use crate::worker::Job;
use futures::Stream;
use proto::client;
use proto::control::{Command, Description, HeldSnapshot, PROTOCOL, Report, Start};
use proto::door::{self, Kept, Visit};
use proto::stage::StageSpec;
use proto::transport::QUEUE;
use proto::wire;
use proto::wire::node_server::Node;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// Commands and reports that may wait between the control stream and the worker.
const COMMANDS: usize = 16;
/// How long an opened Run call may stay without its Start.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// What the node is, fixed at start.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Compute threads.
    pub threads: u32,
    /// Where neighbours reach it.
    pub data_port: u16,
    /// Where it keeps its state.
    pub state_dir: PathBuf,
}

/// Answers the coordinator; one run at a time.
#[derive(Clone)]
pub struct ControlService {
    identity: Identity,
    worker: mpsc::Sender<Job>,
    hub: Hub,
    meters: Meters,
    /// Ends the run that is under way when the node is stopped.
    current: Arc<Mutex<Current>>,
    /// The snapshots on disk, or why they could not be seen.
    snapshots: Look<Result<Vec<HeldSnapshot>, String>>,
}

#[derive(Default)]
struct Current {
    spec: Option<StageSpec>,
    run: Option<Fault>,
    configuring: bool,
    /// The connection that the stage came by, kept until the stage is replaced or its run begins: one at most.
    configurer: Option<Kept>,
}

impl Current {
    fn check_idle(&self) -> Result<(), Status> {
        if self.run.is_some() || self.configuring {
            return Err(busy(self));
        }
        Ok(())
    }

    /// The stage of an idle node.
    fn stage(&self) -> Result<&StageSpec, Status> {
        self.check_idle()?;
        self.spec.as_ref().ok_or_else(|| Status::failed_precondition("the node is not configured"))
    }
}

impl ControlService {
    /// A service that gives its work to `worker`.
    pub fn new(identity: Identity, worker: mpsc::Sender<Job>, hub: Hub, meters: Meters) -> Self {
        Self { identity, worker, hub, meters, current: Arc::default(), snapshots: Look::default() }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Ends the run that is under way, if there is one, because of `why`.
    pub fn end_run(&self, why: &str) {
        if let Some(fault) = &self.current().run {
            fault.fail(Trouble::own(why));
        }
    }

    async fn submit(&self, job: Job) -> Result<(), Status> {
        self.worker.send(job).await.map_err(|_| Status::internal("the worker is gone: restart the node"))
    }

    /// Claims the node for the run that `start` names, which is that of its configured stage.
    fn claim(&self, start: &Start) -> Result<(StageSpec, Fault, Claim), Status> {
        let mut current = self.current();
        let spec = current.stage()?.clone();
        if start.run != spec.run || start.incarnation != spec.incarnation {
            return Err(Status::permission_denied("the node was configured for another run since"));
        }
        let fault = Fault::default();
        current.run = Some(fault.clone());
        // Only who knows the run has a part in it, and takes the place over from who configured it.
        current.configurer = None;
        self.meters.busy.set(1);
        Ok((spec, fault, Claim(self.clone())))
    }
}

fn busy(current: &Current) -> Status {
    let run = current.spec.as_ref().map_or_else(|| "another run".into(), |spec| format!("run {}", spec.run));
    Status::failed_precondition(format!("the node is busy with {run}: wait for its end, or restart the node"))
}

/// Puts the node back to idle, however the run ends.
struct Claim(ControlService);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.hub.clear();
        self.0.current().run = None;
        self.0.meters.busy.set(0);
    }
}

/// Holds the node while it is being configured, also when the caller gives up in the middle.
struct Configuring(ControlService);

impl Configuring {
    fn claim(service: &ControlService) -> Result<Self, Status> {
        let mut current = service.current();
        current.check_idle()?;
        current.configuring = true;
        current.spec = None;
        current.configurer = None;
        Ok(Self(service.clone()))
    }
}

impl Drop for Configuring {
    fn drop(&mut self) {
        self.0.current().configuring = false;
    }
}

type Reports = Pin<Box<dyn Stream<Item = Result<wire::Report, Status>> + Send>>;

#[tonic::async_trait]
impl Node for ControlService {
    async fn describe(
        &self,
        request: Request<wire::DescribeRequest>,
    ) -> Result<Response<wire::Description>, Status> {
        door::visit(&request).as_ref().inspect(|visit| visit.called());
        let state_dir = self.identity.state_dir.clone();
        let look = move || checkpoint::held(&state_dir).map_err(|error| error.to_string());
        let snapshots = self.snapshots.share(look).await?.map_err(Status::failed_precondition)?;
        let (memory_total, memory_available) = crate::memory::read();
        let current = self.current();
        let run = current.run.as_ref().and(current.spec.as_ref()).map(|spec| spec.run.clone());
        let description = Description {
            version: env!("CARGO_PKG_VERSION").into(),
            protocol: PROTOCOL,
            device: self.identity.device.clone(),
            threads: self.identity.threads,
            memory_total,
            memory_available,
            data_port: self.identity.data_port,
            run,
            snapshots,
        };
        Ok(Response::new(description.into()))
    }

    async fn configure(&self, request: Request<wire::Stage>) -> Result<Response<wire::Configured>, Status> {
        let visit = door::visit(&request);
        // A node that is at work has no time for what a stranger would have it become.
        self.current().check_idle()?;
        let spec = StageSpec::try_from(request.into_inner())?;
        let configuring = Configuring::claim(self)?;
        visit.as_ref().inspect(|visit| visit.called());
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Configure { spec: Box::new(spec.clone()), reply }).await?;
        let configured =
            answer.await.map_err(|_| Status::internal("the worker is gone: restart the node"))?;
        let configured = configured.map_err(|refused| match refused.gone {
            true => Status::not_found(refused.why),
            false => Status::failed_precondition(refused.why),
        })?;
        {
            let mut current = self.current();
            current.spec = Some(spec);
            current.configurer = visit.as_ref().map(Visit::keep);
        }
        drop(configuring);
        Ok(Response::new(configured.into()))
    }

    type RunStream = Reports;

    async fn run(&self, request: Request<Streaming<wire::Command>>) -> Result<Response<Reports>, Status> {
        self.current().stage()?;
        let visit = door::visit(&request);
        visit.as_ref().inspect(|visit| visit.called());
        let (reports, answers) = mpsc::channel(COMMANDS);
        let opened = Opened { service: self.clone(), reports, commands: request.into_inner(), visit };
        // The answer's headers go out at once; the run goes on beside them.
        tokio::spawn(opened.run());
        let answers =
            futures::StreamExt::map(ReceiverStream::new(answers), |report| report.map(wire::Report::from));
        Ok(Response::new(Box::pin(answers)))
    }
}

/// A Run call that has not said its Start, and holds nothing yet but its own connection.
struct Opened {
    service: ControlService,
    reports: mpsc::Sender<Result<Report, Status>>,
    commands: Streaming<wire::Command>,
    visit: Option<Visit>,
}

impl Opened {
    async fn run(mut self) {
        let begun = self.start().await.and_then(|start| Ok((self.service.claim(&start)?, start)));
        let ((spec, fault, claim), start) = match begun {
            Ok(begun) => begun,
            Err(status) => {
                let _ = self.reports.send(Err(status)).await;
                return;
            }
        };
        let Self { service, reports, commands, visit } = self;
        let _kept = visit.as_ref().map(Visit::keep);
        let mut run = Run { service, spec, fault, reports, commands };
        run.run(start).await;
        drop(claim);
    }

    async fn start(&mut self) -> Result<Start, Status> {
        let first = tokio::time::timeout(START_DEADLINE, self.commands.message()).await;
        let first =
            first.map_err(|_| Status::deadline_exceeded("the run was opened but never started"))??;
        match first.map(Command::try_from).transpose()? {
            Some(Command::Start(start)) => Ok(start),
            _ => Err(Status::invalid_argument("a run begins with Start")),
        }
    }
}

/// One Run call, from its Start to its end.
struct Run {
    service: ControlService,
    spec: StageSpec,
    fault: Fault,
    reports: mpsc::Sender<Result<Report, Status>>,
    commands: Streaming<wire::Command>,
}

impl Run {
    async fn run(&mut self, start: Start) {
        if let Err(status) = self.try_run(start).await {
            self.fault.fail(Trouble::own(status.message()));
            let _ = self.reports.send(Err(status)).await;
        }
        self.fault.end();
    }

    async fn try_run(&mut self, start: Start) -> Result<(), Status> {
        let (to_worker, commands) = mpsc::channel(COMMANDS);
        let (below, above) = self.links(&start).await?;
        if self.reports.send(Ok(Report::Started)).await.is_err() {
            return Err(Status::cancelled("the coordinator went away"));
        }
        let session = Session {
            start,
            below,
            above,
            commands,
            reports: self.reports.clone(),
            fault: self.fault.clone(),
        };
        let (done, idle) = oneshot::channel();
        self.service.submit(Job::Run { session: Box::new(session), done }).await?;
        self.forward(to_worker).await;
        let _ = idle.await;
        Ok(())
    }

    /// Announces the links that others open, and opens the one above.
    async fn links(&mut self, start: &Start) -> Result<(Port, Port), Status> {
        let index = self.spec.index;
        let (below, slot_below) = self.slot(below_name(index), self.spec.activations_below());
        let errors = self.spec.errors_above()?;
        let (run, incarnation) = (self.spec.run.clone(), self.spec.incarnation);
        let Some(address) = &start.above else {
            let (above, slot_above) = self.slot("the coordinator".into(), errors);
            self.service.hub.announce(run, incarnation, slot_below, Some(slot_above));
            return Ok((below, above));
        };
        self.service.hub.announce(run, incarnation, slot_below, None);
        let peer = format!("stage {} at {address}", index + 1);
        let link = client::exchange(address, &errors, start.connect_deadline);
        let link = tokio::select! {
            link = link => link.map_err(|error| Trouble::neighbour(error.to_string()).of_stage(index).status())?,
            () = self.fault.ended() => {
                let trouble = self.fault.trouble().cloned();
                return Err(trouble.unwrap_or_else(|| Trouble::own("the run was ended")).status());
            }
        };
        let (to_worker, incoming) = mpsc::channel(QUEUE);
        let meters = self.service.meters.clone();
        tokio::spawn(pump(link.incoming, to_worker, self.fault.clone(), peer.clone(), meters));
        Ok((below, Port { peer, incoming, outgoing: link.sender }))
    }

    /// The worker's end of a link that the neighbour opens, and the slot that waits for it.
    fn slot(&self, peer: String, contract: proto::message::Contract) -> (Port, Slot) {
        let (to_worker, incoming) = mpsc::channel(QUEUE);
        let (outgoing, from_worker) = mpsc::channel(QUEUE);
        let fault = self.fault.clone();
        (
            Port { peer: peer.clone(), incoming, outgoing },
            Slot { peer, contract, to_worker, from_worker, fault },
        )
    }

    /// Passes commands on until the coordinator is done, gone, or the run has ended.
    async fn forward(&mut self, to_worker: mpsc::Sender<Command>) {
        loop {
            let command = tokio::select! {
                () = self.fault.ended() => return,
                () = to_worker.closed() => return,
                command = self.commands.message() => command,
            };
            match command.map(|command| command.map(Command::try_from).transpose()) {
                Ok(Ok(Some(command))) => {
                    if to_worker.send(command).await.is_err() {
                        return;
                    }
                }
                Ok(Ok(None)) => return,
                Ok(Err(invalid)) => {
                    return self
                        .fault
                        .fail(Trouble::own(format!("the coordinator sent what it may not: {invalid}")));
                }
                Err(status) => {
                    return self
                        .fault
                        .fail(Trouble::own(format!("the coordinator went away ({})", status.message())));
                }
            }
        }
    }
}

fn below_name(index: u32) -> String {
    index.checked_sub(1).map_or_else(|| "the coordinator".into(), |below| format!("stage {below}"))
}
