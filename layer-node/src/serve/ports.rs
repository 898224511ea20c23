//! The ports of a node, and the services that answer on each port.

use super::Serve;
use crate::failure::Failure;
use crate::meters::Meters;
use crate::service::ControlService;
use futures::Stream;
use proto::control::DataAddress;
use proto::identity::Identity;
use proto::link::{LinkRegistry, Role};
use proto::metrics::{self, Shown};
use proto::transport::address::{ListenAddress, side_of};
use proto::transport::admission::{self, CALLS, PROBES};
use proto::transport::grpc::LinkServer;
use proto::transport::listener::{self, Listener, SocketFile};
use proto::transport::tls::{Callers, Security};
use proto::transport::{self, CONTROL_MESSAGE_LIMIT, REPORT_MESSAGE_LIMIT, shared_memory};
use proto::wire;
use proto::wire::node_server::NodeServer;
use std::io;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Status};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

/// The longest reflection request: the name of a symbol or file.
const QUESTION_LIMIT: usize = 16 << 10;

/// The bound ports, which do not answer yet.
pub(super) struct Ports {
    data: Listener,
    /// The side socket of a data socket.
    side: Option<Listener>,
    control: Listener,
    health: Listener,
    metrics: Option<Listener>,
}

impl Ports {
    /// Binds the ports to the addresses of the flags. The files of sockets are removed with the handles, also where a
    /// later port cannot be bound.
    pub(super) async fn bind(flags: &Serve) -> Result<(Self, Vec<SocketFile>), Failure> {
        let mut files = Vec::new();
        let ports = Self {
            data: bind("--listen", &flags.listen, &mut files).await?,
            side: match &flags.listen {
                ListenAddress::Unix(path) => {
                    Some(bind("--listen", &ListenAddress::Unix(side_of(path)), &mut files).await?)
                }
                ListenAddress::Tcp(_) => None,
            },
            control: bind("--control", &flags.control, &mut files).await?,
            health: bind("--health", &flags.health, &mut files).await?,
            metrics: match flags.metrics {
                Some(address) => Some(bind("--metrics", &address.into(), &mut files).await?),
                None => None,
            },
        };
        Ok((ports, files))
    }

    /// Where neighbours dial this node: a port of this host, or a socket.
    pub(super) fn data(&self) -> Result<DataAddress, String> {
        Ok(match address(&self.data)? {
            ListenAddress::Tcp(address) => DataAddress::Port(address.port()),
            ListenAddress::Unix(path) => DataAddress::Path(path.display().to_string()),
        })
    }

    /// The line on stdout with the node's addresses.
    pub(super) fn ready(&self) -> Result<serde_json::Value, String> {
        let mut ready = serde_json::json!({
            "event": "ready",
            "data": address(&self.data)?.to_string(),
            "control": address(&self.control)?.to_string(),
            "health": address(&self.health)?.to_string(),
        });
        if let Some(listener) = &self.metrics {
            ready["metrics"] = address(listener)?.to_string().into();
        }
        Ok(ready)
    }

    /// Takes the links of `registry` that come through the side socket, until `stopping`.
    pub(super) fn serve_side(
        &mut self,
        registry: &LinkRegistry,
        meters: &Meters,
        stopping: &CancellationToken,
    ) {
        if let Some(side) = self.side.take() {
            let (refused, links) = (meters.refused("data"), meters.refused_links.clone());
            let serving = shared_memory::take_links(side, registry.clone(), refused, links);
            tokio::spawn(stopping.clone().run_until_cancelled_owned(serving));
        }
    }

    /// Serves the ports until `stopping`. Each port whose streams must end has its own task.
    pub(super) fn serve(
        self,
        data: LinkServer,
        control: ControlService,
        health: HealthServer<impl Health>,
        meters: &Meters,
        security: &Security,
        stopping: &CancellationToken,
    ) -> Result<[JoinHandle<()>; 3], String> {
        let servers = [
            spawn_server(
                admission::connections(
                    self.data,
                    CALLS,
                    meters.refused("data"),
                    Callers::of(security, below(security)),
                ),
                transport::data_server().add_service(data).add_service(reflection()?),
                stopping,
            ),
            spawn_server(
                admission::connections(
                    self.control,
                    CALLS,
                    meters.refused("control"),
                    Callers::of(security, vec![Role::Coordinator]),
                ),
                transport::control_server().add_service(control_plane(control)).add_service(reflection()?),
                stopping,
            ),
            spawn_server(
                admission::connections(self.health, PROBES, meters.refused("health"), Callers::anybody()),
                transport::control_server().add_service(InterceptedService::new(health, admission::note)),
                stopping,
            ),
        ];
        if let Some(listener) = self.metrics {
            let refused = meters.refused("metrics");
            let shown = Shown::new(meters.registry());
            shown.show_expiry(security);
            tokio::spawn(metrics::serve(listener, shown, refused));
        }
        Ok(servers)
    }
}

/// The roles that send this node data: to a stage the stage below, and the coordinator at both ends of the ring; to a
/// backward node its stage.
fn below(security: &Security) -> Vec<Role> {
    match security.identity().as_ref().map(Identity::role) {
        Some(Role::Backward(index)) => vec![Role::Stage(index)],
        Some(Role::Stage(index @ 1..)) => vec![Role::Coordinator, Role::Stage(index - 1)],
        _ => vec![Role::Coordinator],
    }
}

fn address(listener: &Listener) -> Result<ListenAddress, String> {
    listener.address().map_err(|error| error.to_string())
}

async fn bind(flag: &str, address: &ListenAddress, files: &mut Vec<SocketFile>) -> Result<Listener, Failure> {
    let listener = listener::listen(flag, address).await.map_err(Failure::configuration)?;
    files.extend(listener.file());
    Ok(listener)
}

fn control_plane(service: ControlService) -> NodeServer<ControlService> {
    NodeServer::new(service)
        .max_decoding_message_size(CONTROL_MESSAGE_LIMIT)
        .max_encoding_message_size(REPORT_MESSAGE_LIMIT)
}

/// A service whose calls identify their connections for admission.
type Noted<S> = InterceptedService<S, fn(Request<()>) -> Result<Request<()>, Status>>;

fn reflection() -> Result<Noted<ServerReflectionServer<impl ServerReflection>>, String> {
    let service = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(wire::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| format!("the schema cannot be shown by reflection: {error}"))?;
    Ok(InterceptedService::new(service.max_decoding_message_size(QUESTION_LIMIT), admission::note))
}

fn spawn_server(
    connections: impl Stream<Item = io::Result<admission::LimitedStream>> + Send + 'static,
    router: tonic::transport::server::Router,
    stopping: &CancellationToken,
) -> JoinHandle<()> {
    let stopping = stopping.clone();
    tokio::spawn(async move {
        if let Err(error) = router.serve_with_incoming_shutdown(connections, stopping.cancelled_owned()).await
        {
            tracing::error!(%error, "a port stopped serving");
        }
    })
}
