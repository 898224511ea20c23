//! The coordinator's Run call, from its Start to its end: it opens the links, and passes commands to the worker.

use super::Mailbox;
use super::ledger::NodeLedger;
use super::links::Connecting;
use super::occupancy::{Claimed, Occupancy};
use crate::exec::moments::Moments;
use crate::exec::session::{Call, Session};
use crate::exec::worker::Job;
use crate::meters::Meters;
use proto::cancellation::Cancellation;
use proto::clock::Clock;
use proto::control::{Command, Report, RunLane, Start};
use proto::error::ProtocolError;
use proto::failure::{Failure, FailureKind};
use proto::spec::stage::StageSpec;
use proto::transport::admission::ConnectionInfo;
use proto::transport::codec::refused_here;
use proto::transport::tls::Security;
use proto::wire;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

/// The number of commands that may wait between the control stream and the worker.
const COMMANDS: usize = 64;
/// How long an opened Run call may stay without its Start.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// A Run call that has not sent its Start. It holds only its own connection.
pub(super) struct Opened {
    pub occupancy: Occupancy,
    pub worker: Mailbox,
    pub meters: Meters,
    pub clock: Clock,
    pub security: Security,
    pub reports: mpsc::Sender<Result<Report, Failure>>,
    pub commands: Streaming<wire::Command>,
    pub connection: Option<ConnectionInfo>,
    /// The ledger of the run, once the call has started it: only its messages count.
    pub ledger: Arc<OnceLock<NodeLedger>>,
}

impl Opened {
    pub async fn run(mut self) {
        let begun = self.start().await;
        // This connection replaces the connection that configured the stage, so it must be kept before that.
        let _kept = begun.is_ok().then(|| self.connection.as_ref().map(ConnectionInfo::keep));
        let begun = begun.and_then(|(start, message)| {
            let claimed = self.occupancy.claim(&start, self.reports.clone())?;
            claimed.ledger.control.received(&message);
            Ok((claimed, start))
        });
        let (Claimed { spec, cancellation, ledger, running }, start) = match begun {
            Ok(begun) => begun,
            Err(failure) => {
                let _ = self.reports.send(Err(failure)).await;
                return;
            }
        };
        let _ = self.ledger.set(ledger.clone());
        Run { call: self, spec, cancellation, ledger }.run(start).await;
        drop(running);
    }

    /// The first command, which starts the run, and its message.
    async fn start(&mut self) -> Result<(Start, wire::Command), Failure> {
        let first = tokio::time::timeout(START_DEADLINE, self.commands.message()).await;
        let late = |_| Failure::refused("the run was opened but never started");
        let first = first.map_err(late)?.map_err(|status| ended(&status))?;
        if let Some(first @ wire::Command { command: Some(wire::command::Command::Start(_)) }) = first
            && let Command::Start(start) = command(first.clone())?
        {
            return Ok((start, first));
        }
        Err(Failure::refused("a run begins with Start"))
    }
}

/// One Run call, from its Start to its end.
struct Run {
    call: Opened,
    spec: StageSpec,
    cancellation: Cancellation,
    ledger: NodeLedger,
}

impl Run {
    async fn run(&mut self, start: Start) {
        if let Err(failure) = self.try_run(start).await {
            self.cancellation.fail(failure.clone());
            let _ = self.call.reports.send(Err(failure)).await;
        }
        self.cancellation.end();
    }

    async fn try_run(&mut self, start: Start) -> Result<(), Failure> {
        let (to_worker, commands) = mpsc::channel(COMMANDS);
        let moments = Moments::new(self.call.clock);
        let connecting = Connecting {
            spec: &self.spec,
            start: &start,
            registry: &self.call.occupancy.registry,
            security: &self.call.security,
            cancellation: &self.cancellation,
            ledger: &self.ledger,
            meters: &self.call.meters,
            moments: &moments,
        };
        let links = connecting.links().await?;
        if self.call.reports.send(Ok(Report::Started)).await.is_err() {
            return Err(Failure::own("the coordinator went away"));
        }
        let (reports, cancellation) = (self.call.reports.clone(), self.cancellation.clone());
        let call = Call { start, reports, cancellation, moments: moments.clone() };
        let session = Box::new(Session { links, commands, call });
        let idle = self.call.worker.ask(|done| Job::Run { session, done }).await?;
        self.forward(to_worker, &moments).await;
        let _ = idle.await;
        Ok(())
    }

    /// Passes commands to the worker until the coordinator closes the stream or is gone, or the run has ended.
    async fn forward(&mut self, to_worker: mpsc::Sender<Command>, moments: &Moments) {
        loop {
            let received = tokio::select! {
                () = self.cancellation.ended() => return,
                () = to_worker.closed() => return,
                received = self.call.commands.message() => received,
            };
            let taken = match received {
                Ok(Some(message)) => {
                    self.ledger.control.received(&message);
                    command(message)
                }
                Ok(None) => return,
                Err(status) => {
                    if let Some(error) = refused_here(&status) {
                        self.ledger.control.refused(&error.to_string());
                    }
                    Err(ended(&status))
                }
            };
            match taken {
                Ok(command) => {
                    asked(&command, moments);
                    if to_worker.send(command).await.is_err() {
                        return;
                    }
                }
                Err(failure) => return self.cancellation.fail(failure),
            }
        }
    }
}

/// Notes the arrival of a lane with a timeline.
fn asked(command: &Command, moments: &Moments) {
    let Command::Lane(RunLane { lane, minibatches }) = command else { return };
    for (step, _) in (lane.first()..).zip(minibatches).filter(|(_, minibatch)| minibatch.timeline) {
        moments.asked(lane.phase(), step);
    }
}

/// The command of `message`.
fn command(message: wire::Command) -> Result<Command, Failure> {
    Command::try_from(message).map_err(|error| not_allowed(&error))
}

/// The failure of a control stream that ended with `status`.
fn ended(status: &Status) -> Failure {
    match refused_here(status) {
        Some(error) => not_allowed(error),
        None => Failure::own(format!("the coordinator went away ({})", status.message())),
    }
}

fn not_allowed(error: &ProtocolError) -> Failure {
    Failure::new(FailureKind::Protocol, format!("the coordinator sent a forbidden message: {error}"))
}
