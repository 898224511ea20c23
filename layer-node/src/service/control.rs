//! The control plane: the coordinator's calls to this node.

use super::ledger::NodeLedger;
use super::occupancy::Occupancy;
use super::run::Opened;
use super::single_flight::SingleFlight;
use super::{Mailbox, Pinned, gone};
use crate::exec::account::Account;
use crate::exec::worker::Job;
use crate::meters::Meters;
use crate::state::checkpoint;
use futures::{Stream, StreamExt};
use proto::clock::Clock;
use proto::control::{Configured, DataAddress, Description, HeldSnapshot, PROTOCOL, Report, StepDone};
use proto::failure::Failure;
use proto::host::Memory;
use proto::link::LinkRegistry;
use proto::spec::stage::StageSpec;
use proto::transport::admission;
use proto::transport::tls::Security;
use proto::wire;
use proto::wire::node_server::Node;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// The number of reports that may wait between the worker and the control stream.
const REPORTS: usize = 16;

/// The node's description, fixed at start.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `cpu`, or `cuda:N` with the model of the GPU and its memory in parentheses.
    pub device: String,
    /// Compute threads.
    pub threads: u32,
    /// Where neighbours reach the node.
    pub data: DataAddress,
    /// The folder with the node's state.
    pub state_dir: PathBuf,
    /// The one stage that the node may become; `None` for any stage.
    pub pinned: Option<Arc<Pinned>>,
    /// The node's own certificate, or plaintext.
    pub security: Security,
}

impl Identity {
    /// Fails where the certificate is another stage's, or the node's owner pins another stage.
    fn check(&self, spec: &StageSpec) -> Result<(), Failure> {
        let role = spec.role();
        match self.security.identity() {
            Some(own) if own.role() != role => Err(Failure::refused(format!(
                "this node is {own} by its certificate, and cannot become {role}: check the addresses and their order"
            ))),
            _ => self.pinned.as_ref().map_or(Ok(()), |pinned| pinned.check(spec)),
        }
    }
}

/// Answers the coordinator; one run at a time.
#[derive(Clone)]
pub struct ControlService {
    identity: Identity,
    worker: Mailbox,
    occupancy: Occupancy,
    meters: Meters,
    clock: Clock,
    /// The snapshots on disk, or the reason why they could not be read.
    snapshots: SingleFlight<Result<Vec<HeldSnapshot>, String>>,
}

impl ControlService {
    /// A service that gives its work to `worker`; `registry` receives the links of its runs.
    pub fn new(
        identity: Identity,
        worker: mpsc::Sender<Job>,
        registry: LinkRegistry,
        meters: Meters,
        clock: Clock,
    ) -> Self {
        let occupancy = Occupancy::new(registry, meters.busy.clone());
        let (worker, snapshots) = (Mailbox(worker), SingleFlight::default());
        Self { identity, worker, occupancy, meters, clock, snapshots }
    }

    /// From now on the node answers no question and becomes no stage, since another process is going to take its place.
    /// A run under way goes on.
    pub fn stop(&self) {
        self.occupancy.stop();
    }

    /// Tells the coordinator of the current run, if there is one, that the node is being stopped because of `why`, and
    /// waits for the end of the run.
    pub async fn leave(&self, why: &str) {
        self.occupancy.leave(why).await;
    }

    /// Ends the current run, if there is one, with the reason `why`.
    pub fn end_run(&self, why: &str) {
        self.occupancy.end_run(why);
    }

    async fn become_stage(&self, spec: &StageSpec, account: Account) -> Result<Configured, Failure> {
        let spec = Box::new(spec.clone());
        let answer = self.worker.ask(|reply| Job::Configure { spec, account, reply }).await?;
        answer.await.map_err(|_| gone())?
    }
}

/// The message for `report`, which departs now, counted in the ledger of the run that the call has started.
fn counted(
    mut report: Result<Report, Failure>,
    clock: Clock,
    ledger: &OnceLock<NodeLedger>,
) -> Result<wire::Report, Status> {
    if let Ok(Report::Step(StepDone { timeline: Some(timeline), .. })) = &mut report {
        timeline.exchange.answered_ns = clock.now_ns();
    }
    let report = report.map(wire::Report::from).map_err(Status::from);
    if let Some(NodeLedger { control, .. }) = ledger.get() {
        match &report {
            Ok(report) => control.sent(report),
            Err(status) => control.failure_sent(status.details()),
        }
    }
    report
}

type Reports = Pin<Box<dyn Stream<Item = Result<wire::Report, Status>> + Send>>;

#[tonic::async_trait]
impl Node for ControlService {
    async fn describe(
        &self,
        request: Request<wire::DescribeRequest>,
    ) -> Result<Response<wire::Description>, Status> {
        admission::connection(&request).as_ref().inspect(|connection| connection.answered());
        self.occupancy.check_staying()?;
        let state_dir = self.identity.state_dir.clone();
        let held = move || checkpoint::held(&state_dir).map_err(|error| error.to_string());
        let snapshots = self.snapshots.share(held).await?.map_err(Failure::refused)?;
        let (memory_total, memory_available) =
            Memory::now().map_or((0, 0), |memory| (memory.total, memory.available));
        let description = Description {
            version: env!("CARGO_PKG_VERSION").into(),
            protocol: PROTOCOL,
            device: self.identity.device.clone(),
            threads: self.identity.threads,
            memory_total,
            memory_available,
            data: self.identity.data.clone(),
            run: self.occupancy.run(),
            snapshots,
            certificate_expires: self.identity.security.expires_at(),
        };
        Ok(Response::new(description.into()))
    }

    async fn configure(&self, request: Request<wire::Stage>) -> Result<Response<wire::Configured>, Status> {
        let connection = admission::connection(&request);
        // A working node has no time to decode the specification of a stage that it will refuse.
        self.occupancy.check_idle()?;
        let stage = request.into_inner();
        let control = NodeLedger::begin(&stage);
        let spec = StageSpec::try_from(stage)?;
        self.identity.check(&spec)?;
        let ledger = NodeLedger::of(&spec, control.clone());
        let account = ledger.account.clone();
        let configuring = self.occupancy.configure(ledger, connection.as_ref())?;
        let configured = self.become_stage(&spec, account).await.map_err(|failure| {
            let status = Status::from(failure);
            control.failure_sent(status.details());
            status
        })?;
        configuring.done(spec);
        let configured = wire::Configured::from(configured);
        control.sent(&configured);
        Ok(Response::new(configured))
    }

    type RunStream = Reports;

    async fn run(&self, request: Request<Streaming<wire::Command>>) -> Result<Response<Reports>, Status> {
        self.occupancy.check_configured()?;
        let connection = admission::connection(&request);
        connection.as_ref().inspect(|connection| connection.answered());
        let (reports, answers) = mpsc::channel(REPORTS);
        let ledger = Arc::new(OnceLock::new());
        let opened = Opened {
            ledger: ledger.clone(),
            occupancy: self.occupancy.clone(),
            worker: self.worker.clone(),
            meters: self.meters.clone(),
            clock: self.clock,
            security: self.identity.security.clone(),
            reports,
            commands: request.into_inner(),
            connection,
        };
        // The response's headers are sent at once, and the run continues in its own task.
        tokio::spawn(opened.run());
        let clock = self.clock;
        let answers = ReceiverStream::new(answers).map(move |report| counted(report, clock, &ledger));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn audit(&self, request: Request<wire::AuditRequest>) -> Result<Response<wire::Ledger>, Status> {
        admission::connection(&request).as_ref().inspect(|connection| connection.answered());
        Ok(Response::new(self.occupancy.ledger()?.show().into()))
    }
}
