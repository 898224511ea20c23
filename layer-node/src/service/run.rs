//! A Run call of the coordinator, from its Start to its end: the links to both neighbours, and commands on
//! their way to the worker.

use super::control::ControlService;
use super::pump;
use super::registry::PendingLink;
use crate::exec::cancellation::{Cancellation, Trouble};
use crate::exec::links::{Port, Session};
use crate::exec::worker::Job;
use proto::client;
use proto::control::{Command, Report, Start};
use proto::spec::stage::StageSpec;
use proto::transport::QUEUE;
use proto::transport::admission::ConnectionInfo;
use proto::wire;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tonic::{Status, Streaming};

/// Commands that may wait between the control stream and the worker.
const COMMANDS: usize = 16;
/// How long an opened Run call may stay without its Start.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// A Run call that has not said its Start, and holds nothing yet but its own connection.
pub(super) struct Opened {
    pub service: ControlService,
    pub reports: mpsc::Sender<Result<Report, Status>>,
    pub commands: Streaming<wire::Command>,
    pub visit: Option<ConnectionInfo>,
}

impl Opened {
    pub async fn run(mut self) {
        let begun = self.start().await.and_then(|start| Ok((self.service.claim(&start)?, start)));
        let ((spec, fault, claim), start) = match begun {
            Ok(begun) => begun,
            Err(status) => {
                let _ = self.reports.send(Err(status)).await;
                return;
            }
        };
        let Self { service, reports, commands, visit } = self;
        let _kept = visit.as_ref().map(ConnectionInfo::keep);
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
    fault: Cancellation,
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
    fn slot(&self, peer: String, contract: proto::link::Contract) -> (Port, PendingLink) {
        let (to_worker, incoming) = mpsc::channel(QUEUE);
        let (outgoing, from_worker) = mpsc::channel(QUEUE);
        let fault = self.fault.clone();
        (
            Port { peer: peer.clone(), incoming, outgoing },
            PendingLink { peer, contract, to_worker, from_worker, fault },
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
