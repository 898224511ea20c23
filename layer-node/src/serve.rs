//! The command `layer-node serve`: it opens the ports, starts the worker, and stops both.

mod device;
mod environment;
mod ports;
mod reach;

pub use device::DeviceName;

use crate::exec::worker::{self, Job, Spoiled};
use crate::failure::Failure;
use crate::meters::Meters;
use crate::service::{ControlService, NodeIdentity, Pinned};
use crate::state::state_dir::StateDir;
use clap::Args;
use ports::Ports;
use proto::clock::Clock;
use proto::link::LinkRegistry;
use proto::process::signals::{Asked, Signals};
use proto::process::{self, signals};
use proto::transport::address::{ListenAddress, SOCKET_FOLDER};
use proto::transport::grpc::LinkServer;
use proto::transport::tls::TlsFlags;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The reason that a coordinator gets while the node is stopping.
const STOPPED: &str = "the node is being stopped: start it again, then --resume auto";
/// How long the coordinator may take to end the run in order once the node was asked to stop. A supervisor that asked
/// kills after ten seconds or more.
const LEAVE: Duration = Duration::from_secs(5);
/// How long open streams may take to end once the node is stopping.
const DRAIN: Duration = Duration::from_secs(2);
/// The most compute threads of a node.
const MOST_THREADS: i64 = 1024;
/// The names under which health reports the node and each of its services.
const SERVICES: [&str; 3] = ["", "neuropil.v1.Node", "neuropil.v1.Layer"];

/// Flags of `layer-node serve`.
#[derive(Args, Debug)]
pub struct Serve {
    /// Where neighbours reach this node (data plane): IP:PORT, where port 0 picks a free one, or unix:PATH for processes of
    /// the same user on this host. Without the flag, only this host does
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7100")]
    pub listen: ListenAddress,
    /// Where the coordinator reaches this node (control plane): IP:PORT, or unix:PATH as --listen. Without the flag, only
    /// from this host
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7101")]
    pub control: ListenAddress,
    /// Where grpc.health.v1 answers, in plaintext: IP:PORT or unix:PATH
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7102")]
    pub health: ListenAddress,
    /// Where Prometheus scrapes this node, at http://ADDR/metrics; without it, nowhere
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<SocketAddr>,
    /// cpu or cuda:N
    #[arg(long, default_value = "cpu")]
    pub device: DeviceName,
    /// Compute threads, which are part of the result; without the flag, as many as this process may use cores
    #[arg(
        long,
        default_value_t = cores(),
        hide_default_value = true,
        value_parser = clap::value_parser!(u32).range(1..=MOST_THREADS)
    )]
    pub threads: u32,
    /// Where this node keeps its weights
    #[arg(long, value_name = "DIR", default_value = "state")]
    pub state_dir: PathBuf,
    /// The one stage that this node may become, in a file that coordinator plan --stage-specs wrote; without it, any
    /// stage. Read the file before you use it: it is all that a coordinator can make of this node
    #[arg(long, value_name = "FILE")]
    pub stage_spec: Option<PathBuf>,
    /// Only read the state folder: a run can be evaluated, and no file is made, moved or removed
    #[arg(long)]
    pub read_only: bool,
    /// How the data port and the control port are protected
    #[command(flatten)]
    pub tls: TlsFlags,
    /// Stop when standard input closes: the node then ends with the process that started it, however that ends
    #[arg(long)]
    pub exit_with_stdin: bool,
}

/// The cores that this process may use, under the quota of its control group and its affinity.
fn cores() -> u32 {
    let most = MOST_THREADS as usize;
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(most) as u32)
}

/// The reason why the node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The process that started the node is gone.
    Parent,
    /// A signal.
    Asked(Asked),
}

impl Stop {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Stop::Parent => 0,
            Stop::Asked(signal) => signal.code(),
        }
    }
}

/// Serves until a signal or the parent's end, and then writes the state to disk.
///
/// # Errors
/// A port that is taken, a device that does not exist or fails, or a state that cannot be written; the error is one
/// sentence.
pub async fn serve(flags: Serve) -> Result<Stop, Failure> {
    let mut signals = begin()?;
    warn(&flags);
    let pinned = flags.stage_spec.as_deref().map(Pinned::open).transpose()?.map(Arc::new);
    let security = reach::open(&flags).map_err(Failure::configuration)?;
    let (device, named) = flags.device.open().map_err(Failure::configuration)?;
    let state = StateDir { path: flags.state_dir.clone(), read_only: flags.read_only };
    // The process that started this node chose the folder, and has no such flag.
    let elsewhere = if flags.exit_with_stdin { "" } else { "give --state-dir another folder" };
    let waits = state.clone();
    let locking = tokio::task::spawn_blocking(move || waits.lock(elsewhere));
    let _locked = tokio::select! {
        locked = locking => locked.map_err(|error| error.to_string())?.map_err(Failure::configuration)?,
        asked = signals.first() => return Ok(Stop::Asked(asked)),
    };
    let parent = CancellationToken::new();
    if flags.exit_with_stdin {
        signals::when_stdin_ends(parent.clone())?;
    }
    let _folder = SocketFolder::of(&flags);
    let (mut ports, sockets) = Ports::bind(&flags).await?;
    let ready = ports.ready()?;
    let identity = NodeIdentity {
        device: named,
        threads: flags.threads,
        data: ports.data()?,
        state_dir: flags.state_dir.clone(),
        pinned,
        security: security.clone(),
    };
    let (clock, meters, runtime) = (Clock::start(), Meters::default(), tokio::runtime::Handle::current());
    let preparing = worker::spawn(device, flags.threads, state, runtime, clock, meters.clone());
    let (mailbox, spoiled) = tokio::select! {
        ready = preparing => ready.map_err(Failure::configuration)?,
        asked = signals.first() => return Ok(Stop::Asked(asked)),
    };
    let registry = LinkRegistry::default();
    let control = ControlService::new(identity, mailbox.clone(), registry.clone(), meters.clone(), clock);
    let stopping = CancellationToken::new();
    ports.serve_side(&registry, &meters, &stopping);
    let data = LinkServer::new(registry, meters.refused_links.clone());
    let (reporter, health) = tonic_health::server::health_reporter();
    tell(&reporter, ServingStatus::Serving).await;
    let servers = ports.serve(data, control.clone(), health, &meters, &security, &stopping)?;
    // A node whose ports were given is useful even if nobody can read this line.
    let _ = writeln!(io::stdout(), "{ready}");
    tracing::info!(%ready, "serving");

    let stop = stop_reason(&mut signals, &parent, &mailbox, &spoiled).await;
    control.stop();
    tell(&reporter, ServingStatus::NotServing).await;
    let saved = match stop {
        Ok(stop) => {
            tokio::spawn(end_at_once(signals, stop));
            save(&control, &mailbox, stop).await
        }
        // The worker is gone with all that it could have saved. What it said is still on its way to the coordinator.
        Err(_) => Ok(()),
    };
    stopping.cancel();
    for server in servers {
        // Graceful shutdown waits for open streams without limit, so it gets a deadline.
        let _ = tokio::time::timeout(DRAIN, server).await;
    }
    drop(sockets);
    let stop = stop?;
    Ok(saved.map(|()| stop)?)
}

/// The folder of this node's sockets, which the coordinator that started the node has made. It is removed with this handle
/// if nothing else is in it: the coordinator may be gone, and the last of its nodes leaves nothing behind.
struct SocketFolder(Option<PathBuf>);

impl SocketFolder {
    fn of(flags: &Serve) -> Self {
        let (true, ListenAddress::Unix(path)) = (flags.exit_with_stdin, &flags.listen) else {
            return Self(None);
        };
        let folder = path.parent().filter(|folder| {
            folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(SOCKET_FOLDER))
        });
        Self(folder.map(PathBuf::from))
    }
}

impl Drop for SocketFolder {
    fn drop(&mut self) {
        let _ = self.0.as_ref().map(std::fs::remove_dir);
    }
}

/// Handles signals from now on, and logs which attempt this process belongs to. The signals come before all else: the
/// kernel drops a signal to the first process of a container unless it is handled.
fn begin() -> Result<Signals, Failure> {
    let signals = signals::listen().map_err(|error| format!("cannot listen for signals: {error}"))?;
    if let Some(attempt) = process::attempt() {
        tracing::info!("{attempt}");
    }
    Ok(signals)
}

/// Logs what harms this node, and what it opens to others.
fn warn(flags: &Serve) {
    let text = |word: OsString| word.to_string_lossy().into_owned();
    let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
    let warnings = environment::harms(variables, flags.threads).into_iter().chain(reach::warnings(flags));
    warnings.for_each(|warning| tracing::warn!("{warning}"));
}

/// Ends the current run, and has the worker write its state.
async fn save(control: &ControlService, mailbox: &mpsc::Sender<Job>, stop: Stop) -> Result<(), String> {
    if let Stop::Asked(_) = stop {
        // Where all processes of a run are asked to stop together, nodes that stopped at once would save different
        // steps, and no snapshot would be common to all.
        let _ = tokio::time::timeout(LEAVE, control.leave(STOPPED)).await;
    }
    control.end_run(STOPPED);
    let (reply, saved) = oneshot::channel();
    let _ = mailbox.send(Job::Stop { reply }).await;
    saved.await.unwrap_or_else(|_| Err("the worker is gone".into()))
}

async fn tell(reporter: &HealthReporter, status: ServingStatus) {
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}

async fn stop_reason(
    signals: &mut Signals,
    parent: &CancellationToken,
    mailbox: &mpsc::Sender<Job>,
    spoiled: &Spoiled,
) -> Result<Stop, Failure> {
    tokio::select! {
        asked = signals.first() => Ok(Stop::Asked(asked)),
        () = parent.cancelled() => Ok(Stop::Parent),
        () = mailbox.closed() => Err(match spoiled.get() {
            Some(why) => Failure::spoiled(why),
            None => Failure::from("the worker is gone: this is a bug, please report it".to_owned()),
        }),
    }
}

/// Ends the process at a second signal.
async fn end_at_once(mut signals: Signals, stop: Stop) {
    if stop == Stop::Parent {
        signals.first().await;
    }
    let asked = signals.again().await;
    let _ = writeln!(
        io::stderr(),
        "error: stopped at once by a second signal: what was saved before is still there"
    );
    std::process::exit(asked.code().into());
}
