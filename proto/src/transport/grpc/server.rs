//! The server of the data plane: the links that neighbours open, each as one call of the service `Layer`.

use super::incoming::{self, Sender};
use super::outgoing::{Framed, body, frames};
use super::{COLLECT, EXCHANGE, INCARNATION, RUN, SERVE};
use crate::cancellation::Cancellation;
use crate::identity::Identity;
use crate::link::framing::Direction;
use crate::link::{End, LinkRefusal, LinkRegistry, PendingLink};
use crate::transport::admission::{self, ConnectionInfo, Kept};
use crate::transport::codec::Received;
use crate::wire::layer_server::SERVICE_NAME;
use crate::wire::{Activation, ErrorSignal, LayerValues};
use futures::{StreamExt, stream};
use hyper::body::Frame;
use prometheus_client::metrics::counter::Counter;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::http::header::CONTENT_TYPE;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::metadata::{GRPC_CONTENT_TYPE, MetadataMap};
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower_service::Service;

/// Answers the calls that open links of the current run.
#[derive(Clone)]
pub struct LinkServer {
    registry: LinkRegistry,
    refused: Counter,
}

impl LinkServer {
    /// A server of the links in `registry`. It counts in `refused` the links that were for no run here.
    pub fn new(registry: LinkRegistry, refused: Counter) -> Self {
        Self { registry, refused }
    }

    fn answer(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let accepted = match request.uri().path() {
            EXCHANGE => accept::<Activation, ErrorSignal>(&self.registry, End::Below, request),
            COLLECT => accept::<ErrorSignal, Activation>(&self.registry, End::Above, request),
            SERVE => accept::<LayerValues, ErrorSignal>(&self.registry, End::Forward, request),
            _ => return Err(Status::unimplemented("")),
        };
        accepted.map_err(|refusal| {
            // An early refusal is not counted: the caller came before the run, and will try again.
            if refusal != LinkRefusal::Early {
                self.refused.inc();
            }
            refusal.into()
        })
    }
}

impl NamedService for LinkServer {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<Request<Body>> for LinkServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ready(Ok(self.answer(request).unwrap_or_else(Status::into_http)))
    }
}

/// Takes the link at `end` that the peer opens by `request`.
fn accept<In: Direction + Received, Out: Direction + Received>(
    registry: &LinkRegistry,
    end: End,
    request: Request<Body>,
) -> Result<Response<Body>, LinkRefusal> {
    let request = tonic::Request::from_http(request);
    let connection = admission::connection(&request);
    let caller = connection.as_ref().and_then(ConnectionInfo::identity).map(Identity::role);
    let pending = registry.take(end, named_run(request.metadata()), caller)?;
    let PendingLink { mut link, received, to_send } = pending;
    if let Some(connection) = &connection {
        link.peer = link.peer.at(connection.peer().to_string());
    }
    let kept = connection.as_ref().map(ConnectionInfo::keep);
    tracing::debug!(?end, peer = %link.peer, "link opened");
    let (cancellation, ended) = (link.cancellation.clone(), link.cancellation.clone());
    let frames = frames::<Out>(link.observer.clone(), to_send);
    let frames = frames.take_until(async move { ended.ended().await });
    tokio::spawn(incoming::read::<In>(request.into_inner(), Sender::Caller, link, received));
    let mut response = Response::new(body(frames.chain(stream::once(reason(cancellation, kept)))));
    response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    Ok(response)
}

/// The run and incarnation that a call's metadata names.
fn named_run(metadata: &MetadataMap) -> Option<(&str, u32)> {
    let run = metadata.get(RUN)?.to_str().ok()?;
    let incarnation = metadata.get(INCARNATION)?.to_str().ok()?.parse().ok()?;
    Some((run, incarnation))
}

/// The last frame of a call: the run's failure, for the neighbour, if the run failed. Until this future ends, the
/// connection is kept.
async fn reason(cancellation: Cancellation, _kept: Option<Kept>) -> Framed {
    let failed = cancellation.failure().cloned().map(Status::from);
    let mut trailers = HeaderMap::new();
    failed.unwrap_or_else(|| Status::new(Code::Ok, "")).add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}
