//! The ports of a node, and the services that answer on each port.

use super::Serve;
use crate::failure::Failure;
use crate::meters::Meters;
use crate::service::ControlService;
use futures::Stream;
use proto::identity::Identity;
use proto::link::Role;
use proto::metrics::{self, Shown};
use proto::transport::admission::{self, CALLS, PROBES};
use proto::transport::grpc::LinkServer;
use proto::transport::tls::{Callers, Security};
use proto::transport::{self, CONTROL_MESSAGE_LIMIT, REPORT_MESSAGE_LIMIT};
use proto::wire;
use proto::wire::node_server::NodeServer;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;
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
    data: TcpListener,
    control: TcpListener,
    health: TcpListener,
    metrics: Option<TcpListener>,
}

impl Ports {
    /// Binds the ports to the addresses of the flags.
    pub(super) async fn bind(flags: &Serve) -> Result<Self, Failure> {
        Ok(Self {
            data: bind("--listen", flags.listen).await?,
            control: bind("--control", flags.control).await?,
            health: bind("--health", flags.health).await?,
            metrics: match flags.metrics {
                Some(address) => Some(bind("--metrics", address).await?),
                None => None,
            },
        })
    }

    /// The number of the data port, by which neighbours dial this host.
    pub(super) fn data_port(&self) -> Result<u16, String> {
        Ok(address(&self.data)?.port())
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

fn address(listener: &TcpListener) -> Result<SocketAddr, String> {
    listener.local_addr().map_err(|error| error.to_string())
}

async fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    admission::listen(flag, address).await.map_err(Failure::configuration)
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
