//! The command `layer-node serve`: it opens the ports, starts the worker, and stops both.

mod device;
mod ports;

pub use device::DeviceName;

use crate::exec::worker::{self, Job};
use crate::failure::Failure;
use crate::meters::Meters;
use crate::service::{ControlService, DataService, NodeIdentity};
use crate::state::state_dir::StateDir;
use clap::Args;
use ports::Ports;
use proto::link::LinkRegistry;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// How long open streams may take to end once the node is stopping.
const DRAIN: Duration = Duration::from_secs(2);
/// The names under which health reports the node and each of its services.
const SERVICES: [&str; 3] = ["", "neuropil.v1.Node", "neuropil.v1.Layer"];

/// Flags of `layer-node serve`.
#[derive(Args, Debug)]
pub struct Serve {
    /// Where neighbours reach this node (data plane); port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:7100")]
    pub listen: SocketAddr,
    /// Where the coordinator reaches this node (control plane)
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:7101")]
    pub control: SocketAddr,
    /// Where grpc.health.v1 answers, in plaintext
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:7102")]
    pub health: SocketAddr,
    /// Where Prometheus scrapes this node, at http://ADDR/metrics; without it, nowhere
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<SocketAddr>,
    /// cpu or cuda:N
    #[arg(long, default_value = "cpu")]
    pub device: DeviceName,
    /// Compute threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: u32,
    /// Where this node keeps its weights
    #[arg(long, value_name = "DIR", default_value = "state")]
    pub state_dir: PathBuf,
    /// Only read the state folder: a run can be evaluated, and no file is made, moved or removed
    #[arg(long)]
    pub read_only: bool,
    /// Stop when standard input closes: the node then ends with the process that started it, however that ends
    #[arg(long)]
    pub exit_with_stdin: bool,
}

/// The reason why the node stops, which is also its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The process that started the node is gone.
    Parent = 0,
    /// SIGINT.
    Interrupt = 130,
    /// SIGTERM.
    Terminate = 143,
}

/// Serves until a signal or the parent's end, and then writes the state to disk.
///
/// # Errors
/// A port that is taken, a device that does not exist, or a state that cannot be written; the error is one sentence.
pub async fn serve(flags: Serve) -> Result<Stop, Failure> {
    let device = flags.device.open().map_err(Failure::configuration)?;
    let state = StateDir { path: flags.state_dir.clone(), read_only: flags.read_only };
    // The process that started this node chose the folder, and has no such flag.
    let elsewhere = if flags.exit_with_stdin { "" } else { "give --state-dir another folder" };
    let _locked = state.lock(elsewhere).map_err(Failure::configuration)?;
    let ports = Ports::bind(&flags).await?;
    let ready = ports.ready()?;
    let identity = NodeIdentity {
        device: flags.device.name(),
        threads: flags.threads,
        data_port: ports.data_port()?,
        state_dir: flags.state_dir.clone(),
    };
    let (meters, runtime) = (Meters::default(), tokio::runtime::Handle::current());
    let mailbox = worker::spawn(device, flags.threads, state, runtime, meters.clone())
        .map_err(|error| format!("cannot start the worker: {error}"))?;
    let registry = LinkRegistry::default();
    let control = ControlService::new(identity, mailbox.clone(), registry.clone(), meters.clone());
    let data = DataService::new(registry, meters.clone());
    let (reporter, health) = tonic_health::server::health_reporter();
    tell(&reporter, ServingStatus::Serving).await;
    let stopping = CancellationToken::new();
    let servers = ports.serve(data, control.clone(), health, &meters, &stopping)?;
    // A node whose ports were given is useful even if nobody can read this line.
    let _ = writeln!(io::stdout(), "{ready}");
    tracing::info!(%ready, "serving");

    let stop = stop_reason(flags.exit_with_stdin, &mailbox).await?;
    tell(&reporter, ServingStatus::NotServing).await;
    control.end_run("the node is being stopped: start it again, then --resume auto");
    let (reply, saved) = oneshot::channel();
    let _ = mailbox.send(Job::Stop { reply }).await;
    let saved = saved.await.map_err(|_| "the worker is gone".to_owned())?;
    stopping.cancel();
    for server in servers {
        // Graceful shutdown waits for open streams without limit, so it gets a deadline.
        let _ = tokio::time::timeout(DRAIN, server).await;
    }
    Ok(saved.map(|()| stop)?)
}

async fn tell(reporter: &HealthReporter, status: ServingStatus) {
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}

async fn stop_reason(exit_with_stdin: bool, mailbox: &mpsc::Sender<Job>) -> Result<Stop, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => Ok(Stop::Interrupt),
        _ = terminate.recv() => Ok(Stop::Terminate),
        () = stdin_closed(), if exit_with_stdin => Ok(Stop::Parent),
        () = mailbox.closed() => Err("the worker is gone: this is a bug, please report it".into()),
    }
}

async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 64];
    while matches!(stdin.read(&mut ignored).await, Ok(1..)) {}
}
