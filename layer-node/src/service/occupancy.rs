//! The occupancy of a node: the stage that it is configured as, and the one run that it works for.

use super::ledger::NodeLedger;
use prometheus_client::metrics::gauge::Gauge;
use proto::cancellation::Cancellation;
use proto::control::{Report, Start};
use proto::failure::{Failure, FailureKind};
use proto::link::LinkRegistry;
use proto::spec::stage::StageSpec;
use proto::transport::admission::{ConnectionInfo, Kept};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc;

/// The occupancy, shared by all calls of the control plane.
#[derive(Clone)]
pub(super) struct Occupancy {
    current: Arc<Mutex<Current>>,
    /// The registry of the current run's links.
    pub registry: LinkRegistry,
    /// The gauge that is 1 during a run.
    busy: Gauge,
}

#[derive(Default)]
struct Current {
    spec: Option<StageSpec>,
    /// The ledger of the newest start, which outlives the start's end.
    ledger: Option<NodeLedger>,
    /// The current run, for a node that is being stopped.
    run: Option<UnderWay>,
    configuring: bool,
    /// Whether the node is being stopped: another process is going to take its place, and callers should try that
    /// process.
    stopping: bool,
    /// The connection that configured the stage, kept until the stage is replaced or its run begins. At most one
    /// connection is kept.
    configurer: Option<Kept>,
}

/// A run under way.
#[derive(Clone)]
struct UnderWay {
    cancellation: Cancellation,
    reports: mpsc::Sender<Result<Report, Failure>>,
}

impl Current {
    fn check_staying(&self) -> Result<(), Failure> {
        if self.stopping {
            Err(Failure::new(FailureKind::Early, "the node is being stopped"))
        } else {
            Ok(())
        }
    }

    fn check_idle(&self) -> Result<(), Failure> {
        self.check_staying()?;
        if self.run.is_none() && !self.configuring {
            return Ok(());
        }
        let run = self.spec.as_ref().map_or_else(|| "another run".into(), |spec| format!("run {}", spec.run));
        Err(Failure::refused(format!("the node is busy with {run}: wait for its end, or restart the node")))
    }

    fn stage(&self) -> Result<&StageSpec, Failure> {
        self.check_idle()?;
        self.spec.as_ref().ok_or_else(|| Failure::refused("the node is not configured"))
    }
}

impl Occupancy {
    /// An idle node. `registry` receives the links of its runs.
    pub fn new(registry: LinkRegistry, busy: Gauge) -> Self {
        Self { current: Arc::default(), registry, busy }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The name of the current run.
    pub fn run(&self) -> Option<String> {
        let current = self.current();
        current.run.as_ref().and(current.spec.as_ref()).map(|spec| spec.run.clone())
    }

    /// From now on the node answers no question and becomes no stage.
    pub fn stop(&self) {
        self.current().stopping = true;
    }

    /// Fails if the node is being stopped.
    pub fn check_staying(&self) -> Result<(), Failure> {
        self.current().check_staying()
    }

    /// Ends the current run, if there is one, with the reason `why`.
    pub fn end_run(&self, why: &str) {
        if let Some(run) = &self.current().run {
            run.cancellation.fail(Failure::own(why));
        }
    }

    /// Tells the coordinator of the current run, if there is one, that the node is being stopped because of `why`, and
    /// waits for the end of the run.
    pub async fn leave(&self, why: &str) {
        let (run, of) = {
            let current = self.current();
            (current.run.clone(), current.spec.as_ref().map(StageSpec::role))
        };
        let Some(UnderWay { cancellation, reports }) = run else { return };
        let why = Failure { of, ..Failure::own(why) };
        // A run that has ended takes no report.
        let _ = reports.send(Ok(Report::Leaving(why))).await;
        drop(reports);
        cancellation.ended().await;
    }

    /// Fails unless the node is idle.
    pub fn check_idle(&self) -> Result<(), Failure> {
        self.current().check_idle()
    }

    /// Fails unless the node is idle and configured.
    pub fn check_configured(&self) -> Result<(), Failure> {
        self.current().stage().map(drop)
    }

    /// The ledger of the newest start.
    pub fn ledger(&self) -> Result<NodeLedger, Failure> {
        let none =
            || Failure::refused("the node has no ledger: no run was configured since the node started");
        self.current().ledger.clone().ok_or_else(none)
    }

    /// Claims the node for the run that `start` names, which takes `reports`. It must be the run of the configured
    /// stage.
    pub fn claim(
        &self,
        start: &Start,
        reports: mpsc::Sender<Result<Report, Failure>>,
    ) -> Result<Claimed, Failure> {
        let mut current = self.current();
        let spec = current.stage()?.clone();
        let ledger = current.ledger.clone().ok_or_else(|| Failure::refused("the node is not configured"))?;
        if start.run != spec.run || start.incarnation != spec.incarnation {
            return Err(Failure::refused("the node was configured for another run since"));
        }
        let cancellation = Cancellation::default();
        current.run = Some(UnderWay { cancellation: cancellation.clone(), reports });
        // The run's connection replaces the connection that configured the stage.
        current.configurer = None;
        self.busy.set(1);
        Ok(Claimed { spec, cancellation, ledger, running: Running(self.clone()) })
    }

    /// Claims the node for a new configuration, which came over `connection` and whose ledger replaces the one before.
    pub fn configure(
        &self,
        ledger: NodeLedger,
        connection: Option<&ConnectionInfo>,
    ) -> Result<Configuring, Failure> {
        let mut current = self.current();
        current.check_idle()?;
        // The same connection may have configured the stage before.
        let configurer = connection.map(ConnectionInfo::keep);
        *current = Current { configuring: true, ledger: Some(ledger), ..Current::default() };
        Ok(Configuring { occupancy: self.clone(), configurer })
    }
}

/// A run that has claimed the node.
pub(super) struct Claimed {
    pub spec: StageSpec,
    pub cancellation: Cancellation,
    pub ledger: NodeLedger,
    pub running: Running,
}

/// The claim of a current run: the node is idle again once the claim is dropped, however the run ends.
pub(super) struct Running(Occupancy);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.registry.clear();
        self.0.current().run = None;
        self.0.busy.set(0);
    }
}

/// The claim of a configuration in progress. It is dropped even if the caller leaves before the end.
pub(super) struct Configuring {
    occupancy: Occupancy,
    configurer: Option<Kept>,
}

impl Configuring {
    /// Records that the node is now the stage `spec`.
    pub fn done(mut self, spec: StageSpec) {
        let configurer = self.configurer.take();
        let mut current = self.occupancy.current();
        current.spec = Some(spec);
        current.configurer = configurer;
    }
}

impl Drop for Configuring {
    fn drop(&mut self) {
        self.occupancy.current().configuring = false;
    }
}
