//! Links over gRPC: each link is one call, on a connection of its own. The bodies of the calls are this module's own, so
//! that a tensor's bytes are shared with the socket on their way out, and copied once on their way in.

mod incoming;
mod outgoing;
mod parts;
mod server;

pub use parts::PartReader;
pub use server::LinkServer;

use super::codec::Received;
use super::dial::{connect, retry};
use super::status::failure_of;
use super::tls::Security;
use crate::failure::Failure;
use crate::link::framing::Direction;
use crate::link::{Contract, Link, PendingLink, Port};
use crate::wire::{Activation, ErrorSignal, LayerValues};
use incoming::Sender;
use std::future::poll_fn;
use std::time::Duration;
use tonic::body::Body;
use tonic::codegen::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use tonic::codegen::http::{Method, Request, Response, StatusCode, Uri, Version};
use tonic::metadata::GRPC_CONTENT_TYPE;
use tonic::{Code, Status};
use tower_service::Service;

/// The metadata that names a call's run, so that a node refuses an unknown connection before its first message.
const RUN: &str = "neuropil-run";
const INCARNATION: &str = "neuropil-incarnation";

/// The paths of the calls that open links.
const EXCHANGE: &str = "/neuropil.v1.Layer/Exchange";
const COLLECT: &str = "/neuropil.v1.Layer/Collect";
const SERVE: &str = "/neuropil.v1.Layer/Serve";

/// Opens `link` from below. The caller tries a node again where the node's run has not begun yet.
///
/// # Errors
/// When the deadline passes or the node refuses.
pub async fn exchange(security: &Security, link: &Link, deadline: Duration) -> Result<Port, Failure> {
    retry(&link.peer, deadline, || call::<Activation, ErrorSignal>(security, link, EXCHANGE)).await
}

/// Opens `link` from above, to the last stage, as [`exchange`] does from below.
///
/// # Errors
/// As [`exchange`].
pub async fn collect(security: &Security, link: &Link, deadline: Duration) -> Result<Port, Failure> {
    retry(&link.peer, deadline, || call::<ErrorSignal, Activation>(security, link, COLLECT)).await
}

/// Opens `link` from the host of W to the host of B, as [`exchange`] does from below.
///
/// # Errors
/// As [`exchange`].
pub async fn serve(security: &Security, link: &Link, deadline: Duration) -> Result<Port, Failure> {
    retry(&link.peer, deadline, || call::<LayerValues, ErrorSignal>(security, link, SERVE)).await
}

/// Opens `link` by one call of `path`, on a connection of its own: HTTP/2 is fastest with one bulk stream per
/// connection.
async fn call<Out: Direction + Received, In: Direction + Received>(
    security: &Security,
    link: &Link,
    path: &'static str,
) -> Result<Port, Failure> {
    let (port, PendingLink { link, received, to_send }) = link.clone().queues();
    let body = outgoing::body(outgoing::frames::<Out>(link.observer.clone(), to_send));
    let request = request(&link.contract, path, body)?;
    let mut channel = connect(security, &link.peer).await?.0;
    let lost = |error: tonic::transport::Error| failure_of(&Status::from_error(error.into()));
    poll_fn(|cx| channel.poll_ready(cx)).await.map_err(lost)?;
    let answer = channel.call(request).await.map_err(lost)?;
    check(&answer).map_err(|status| failure_of(&status))?;
    tokio::spawn(incoming::read::<In>(answer.into_body(), Sender::Server, link, received));
    Ok(port)
}

fn request(contract: &Contract, path: &'static str, body: Body) -> Result<Request<Body>, Failure> {
    let Contract { run, incarnation, .. } = contract;
    let name = HeaderValue::from_str(run);
    let name = name.map_err(|_| Failure::refused(format!("'{run}' cannot name a run")))?;
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from_static(path);
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(HeaderName::from_static(RUN), name);
    headers.insert(HeaderName::from_static(INCARNATION), (*incarnation).into());
    Ok(request)
}

/// Checks the headers of the answer to a call: an answer that is a failure has nothing else.
fn check(answer: &Response<Body>) -> Result<(), Status> {
    match (Status::from_header_map(answer.headers()), answer.status()) {
        (Some(status), _) if status.code() != Code::Ok => Err(status),
        (Some(_), _) | (None, StatusCode::OK) => Ok(()),
        (None, StatusCode::NOT_FOUND) => Err(Status::unimplemented("")),
        (None, status) => Err(Status::unknown(format!("HTTP status {status} in the place of gRPC's"))),
    }
}
