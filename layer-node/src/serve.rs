//! `layer-node serve`: from birth to drain.

use crate::failure::Failure;
use crate::meters::Meters;
use crate::service::{ControlService, DataService, Hub, NodeIdentity};
use crate::state_dir;
use crate::torch;
use crate::worker::{self, Job};
use clap::Args;
use futures::Stream;
use proto::door;
use proto::metrics::{self, Shown};
use proto::transport::{self, CONTROL_MESSAGE_LIMIT, DATA_MESSAGE_LIMIT};
use proto::wire;
use proto::wire::layer_server::LayerServer;
use proto::wire::node_server::NodeServer;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tch::Device;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Status};
use tonic_health::ServingStatus;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

/// How long streams may take to end once the node is stopping.
const DRAIN: Duration = Duration::from_secs(2);
/// The longest question about the schema: the name of a symbol or file.
const QUESTION_LIMIT: usize = 16 << 10;

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
    /// Stop when standard input closes: the node then ends with whoever started it, however that ends
    #[arg(long)]
    pub exit_with_stdin: bool,
}

/// A device by name.
#[derive(Clone, Copy, Debug)]
pub struct DeviceName(Device);

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.split_once(':') {
            None if name == "cpu" => Ok(Self(Device::Cpu)),
            None if name == "cuda" => Ok(Self(Device::Cuda(0))),
            Some(("cuda", index)) => index
                .parse()
                .map(|index| Self(Device::Cuda(index)))
                .map_err(|_| format!("'{index}' is no number of a GPU")),
            _ => Err(format!("'{name}' is no device: cpu and cuda:N are")),
        }
    }
}

impl DeviceName {
    /// Opens the device.
    fn open(self) -> Result<Device, String> {
        let Device::Cuda(index) = self.0 else { return Ok(self.0) };
        if !torch::load_cuda() || !tch::Cuda::is_available() {
            return Err(
                "CUDA is not available: put a libtorch with CUDA on LD_LIBRARY_PATH, and check nvidia-smi"
                    .into(),
            );
        }
        let count = tch::Cuda::device_count();
        if index as i64 >= count {
            return Err(format!("there is no cuda:{index}: this host has {count} GPUs, numbered from 0"));
        }
        Ok(self.0)
    }

    fn name(self) -> String {
        match self.0 {
            Device::Cuda(index) => format!("cuda:{index}"),
            _ => "cpu".into(),
        }
    }
}

/// Why the node stops, which is also its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Whoever started it is gone.
    Parent = 0,
    /// SIGINT.
    Interrupt = 130,
    /// SIGTERM.
    Terminate = 143,
}

/// Serves until a signal or the parent's end, and leaves the state on disk.
///
/// # Errors
/// One sentence: a port that is taken, a device that is not there, a state that cannot be written.
pub async fn serve(flags: Serve) -> Result<Stop, Failure> {
    let device = flags.device.open().map_err(Failure::configuration)?;
    let _owned = state_dir::own(&flags.state_dir).map_err(Failure::configuration)?;
    let [data, control, health] = [
        bind("--listen", flags.listen).await?,
        bind("--control", flags.control).await?,
        bind("--health", flags.health).await?,
    ];
    let scraped = match flags.metrics {
        Some(address) => Some(bind("--metrics", address).await?),
        None => None,
    };
    let address = |listener: &TcpListener| listener.local_addr().map_err(|error| error.to_string());
    let mut ready = serde_json::json!({
        "event": "ready",
        "data": address(&data)?.to_string(),
        "control": address(&control)?.to_string(),
        "health": address(&health)?.to_string(),
    });
    if let Some(listener) = &scraped {
        ready["metrics"] = address(listener)?.to_string().into();
    }

    let identity = NodeIdentity {
        device: flags.device.name(),
        threads: flags.threads,
        data_port: address(&data)?.port(),
        state_dir: flags.state_dir.clone(),
    };
    let meters = Meters::default();
    let mailbox = worker::spawn(
        device,
        flags.threads,
        flags.state_dir,
        tokio::runtime::Handle::current(),
        meters.clone(),
    )
    .map_err(|error| format!("cannot start the worker: {error}"))?;
    let hub = Hub::default();
    let control_service = ControlService::new(identity, mailbox.clone(), hub.clone(), meters.clone());
    let (reporter, health_service) = tonic_health::server::health_reporter();
    reporter.set_service_status("", ServingStatus::Serving).await;
    reporter.set_service_status("neuropil.v1.Node", ServingStatus::Serving).await;
    reporter.set_service_status("neuropil.v1.Layer", ServingStatus::Serving).await;

    let stopping = CancellationToken::new();
    let servers = [
        spawn_server(
            door::guests(data, door::GUESTS, meters.refused_connections("data")),
            transport::data_server().add_service(data_plane(hub, meters.clone())).add_service(reflection()?),
            &stopping,
        ),
        spawn_server(
            door::guests(control, door::GUESTS, meters.refused_connections("control")),
            transport::control_server()
                .add_service(control_plane(control_service.clone()))
                .add_service(reflection()?),
            &stopping,
        ),
        spawn_server(
            door::guests(health, door::PROBES, meters.refused_connections("health")),
            transport::control_server().add_service(InterceptedService::new(health_service, door::note)),
            &stopping,
        ),
    ];
    if let Some(listener) = scraped {
        let refused = meters.refused_connections("metrics");
        tokio::spawn(metrics::serve(listener, Shown::new(meters.registry()), refused));
    }
    // With ports that were given, a node is of use also where nobody can read this.
    let _ = writeln!(io::stdout(), "{ready}");
    tracing::info!(%ready, "serving");

    let stop = stop_reason(flags.exit_with_stdin, &mailbox).await?;
    for service in ["", "neuropil.v1.Node", "neuropil.v1.Layer"] {
        reporter.set_service_status(service, ServingStatus::NotServing).await;
    }
    control_service.end_run("the node is being stopped: start it again, then --resume auto");
    let (reply, saved) = oneshot::channel();
    let _ = mailbox.send(Job::Stop { reply }).await;
    let saved = saved.await.map_err(|_| "the worker is gone".to_owned())?;
    stopping.cancel();
    for server in servers {
        // Graceful shutdown waits for open streams without end, so it gets a deadline.
        let _ = tokio::time::timeout(DRAIN, server).await;
    }
    Ok(saved.map(|()| stop)?)
}

async fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    door::listen(flag, address).await.map_err(Failure::configuration)
}

fn data_plane(hub: Hub, meters: Meters) -> LayerServer<DataService> {
    LayerServer::new(DataService::new(hub, meters))
        .max_decoding_message_size(DATA_MESSAGE_LIMIT)
        .max_encoding_message_size(DATA_MESSAGE_LIMIT)
}

fn control_plane(service: ControlService) -> NodeServer<ControlService> {
    NodeServer::new(service)
        .max_decoding_message_size(CONTROL_MESSAGE_LIMIT)
        .max_encoding_message_size(CONTROL_MESSAGE_LIMIT)
}

/// Passes calls to the service within, and notes them at the door.
type Noted<S> = InterceptedService<S, fn(Request<()>) -> Result<Request<()>, Status>>;

fn reflection() -> Result<Noted<ServerReflectionServer<impl ServerReflection>>, String> {
    let service = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(wire::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| format!("the schema cannot be shown by reflection: {error}"))?;
    Ok(InterceptedService::new(service.max_decoding_message_size(QUESTION_LIMIT), door::note))
}

fn spawn_server(
    guests: impl Stream<Item = io::Result<door::Guest>> + Send + 'static,
    router: tonic::transport::server::Router,
    stopping: &CancellationToken,
) -> tokio::task::JoinHandle<()> {
    let stopping = stopping.clone();
    tokio::spawn(async move {
        if let Err(error) = router.serve_with_incoming_shutdown(guests, stopping.cancelled_owned()).await {
            tracing::error!(%error, "a port stopped serving");
        }
    })
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
