//! The control plane: what the coordinator asks of this node.

use super::registry::LinkRegistry;
use super::run::Opened;
use super::single_flight::SingleFlight;
use crate::exec::cancellation::{Cancellation, Trouble};
use crate::exec::worker::Job;
use crate::meters::Meters;
use crate::state::checkpoint;
use futures::Stream;
use proto::control::{Description, HeldSnapshot, PROTOCOL, Start};
use proto::spec::stage::StageSpec;
use proto::transport::admission::{self, ConnectionInfo, Kept};
use proto::wire;
use proto::wire::node_server::Node;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// Reports that may wait between the worker and the control stream.
const REPORTS: usize = 16;

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
    pub(super) hub: LinkRegistry,
    pub(super) meters: Meters,
    /// Ends the run that is under way when the node is stopped.
    current: Arc<Mutex<Current>>,
    /// The snapshots on disk, or why they could not be seen.
    snapshots: SingleFlight<Result<Vec<HeldSnapshot>, String>>,
}

#[derive(Default)]
struct Current {
    spec: Option<StageSpec>,
    run: Option<Cancellation>,
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
    pub fn new(identity: Identity, worker: mpsc::Sender<Job>, hub: LinkRegistry, meters: Meters) -> Self {
        Self { identity, worker, hub, meters, current: Arc::default(), snapshots: SingleFlight::default() }
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

    pub(super) async fn submit(&self, job: Job) -> Result<(), Status> {
        self.worker.send(job).await.map_err(|_| Status::internal("the worker is gone: restart the node"))
    }

    /// Claims the node for the run that `start` names, which is that of its configured stage.
    pub(super) fn claim(&self, start: &Start) -> Result<(StageSpec, Cancellation, Claim), Status> {
        let mut current = self.current();
        let spec = current.stage()?.clone();
        if start.run != spec.run || start.incarnation != spec.incarnation {
            return Err(Status::permission_denied("the node was configured for another run since"));
        }
        let fault = Cancellation::default();
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
pub(super) struct Claim(ControlService);

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
        admission::visit(&request).as_ref().inspect(|visit| visit.called());
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
        let visit = admission::visit(&request);
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
            current.configurer = visit.as_ref().map(ConnectionInfo::keep);
        }
        drop(configuring);
        Ok(Response::new(configured.into()))
    }

    type RunStream = Reports;

    async fn run(&self, request: Request<Streaming<wire::Command>>) -> Result<Response<Reports>, Status> {
        self.current().stage()?;
        let visit = admission::visit(&request);
        visit.as_ref().inspect(|visit| visit.called());
        let (reports, answers) = mpsc::channel(REPORTS);
        let opened = Opened { service: self.clone(), reports, commands: request.into_inner(), visit };
        // The answer's headers go out at once; the run goes on beside them.
        tokio::spawn(opened.run());
        let answers =
            futures::StreamExt::map(ReceiverStream::new(answers), |report| report.map(wire::Report::from));
        Ok(Response::new(Box::pin(answers)))
    }
}
