//! The transports of links and calls: gRPC, with the HTTP/2 settings of both ends and their reasons, since most defaults
//! do not fit large tensors; and shared memory, for links between processes of one host.

pub mod address;
pub mod admission;
pub mod codec;
pub mod dial;
pub mod grpc;
pub mod links;
pub mod listener;
mod reading;
pub mod shared_memory;
mod socket;
pub(crate) mod status;
pub mod tls;
mod unix;
pub mod waiting;

use crate::link::framing::CHUNK;
use std::time::Duration;
use tonic::transport::{Endpoint, Server};

/// Bytes in flight on one stream. The window divided by the round-trip time bounds the speed: 16 MiB carry
/// 1 GB/s over 16 ms, where hyper's 1 MiB (server) carries 1 GB/s over 1 ms.
const STREAM_WINDOW: u32 = 16 << 20;
/// Bytes in flight on one connection. The two directions of a link share no window, and control has a connection of
/// its own, so twice the stream's window is never the bound.
const CONNECTION_WINDOW: u32 = 32 << 20;
/// Frames of 16 KiB (the default) cost a lock and a wake-up each; 256 KiB make them rare.
const FRAME: u32 = 256 << 10;
/// Bytes in flight on one stream of the control and health ports: reports and lanes are small.
const CONTROL_WINDOW: u32 = 1 << 20;
/// A silent peer (stopped, or its host gone) is noticed after interval + timeout. A failure must name it within
/// 15 s, and its other neighbours may notice it up to another interval later.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// See [`KEEPALIVE_INTERVAL`].
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(7);
/// Streams that one connection may open: a peer needs one per call of this protocol.
const STREAMS: u32 = 16;
/// A call's headers, unpacked: its path, the run's name, and a proxy's additions.
const HEADERS: u32 = 16 << 10;
/// Streams that a peer may open and reset before this end handles them; more close its connection. The bound is the
/// number of streams that a peer may have open.
const RESETS: usize = STREAMS as usize;
/// Streams that this end may have to reset for the peer's errors; more close the connection.
const OFFENCES: usize = 64;

/// The largest part on the data plane: one chunk and room for a header's names and shapes.
pub const DATA_MESSAGE_LIMIT: usize = CHUNK + (256 << 10);
/// The largest message that a node takes on the control plane. A stage of [`MAX_LAYERS`] has 256 bytes for each
/// layer, and the longest lane takes 90 kB. In memory, a message takes many times its size on the wire: see
/// [`codec`], too.
///
/// [`MAX_LAYERS`]: crate::spec::graph::MAX_LAYERS
pub const CONTROL_MESSAGE_LIMIT: usize = 1 << 20;
/// The largest message that a node sends on the control plane: the report of the longest lane, with every layer's
/// measures.
pub const REPORT_MESSAGE_LIMIT: usize = 8 << 20;
/// A server with this protocol's settings for the data plane.
pub fn data_server() -> Server {
    server().initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW)
}

/// A server with this protocol's settings for everything but tensors.
pub fn control_server() -> Server {
    server().initial_stream_window_size(CONTROL_WINDOW).initial_connection_window_size(2 * CONTROL_WINDOW)
}

fn server() -> Server {
    Server::builder()
        .max_frame_size(FRAME)
        .max_concurrent_streams(STREAMS)
        .http2_max_header_list_size(HEADERS)
        .http2_max_pending_accept_reset_streams(Some(RESETS))
        .http2_max_local_error_reset_streams(Some(OFFENCES))
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}

/// An endpoint for `address` (`host:port`, or `unix:PATH`) with this protocol's settings.
///
/// # Errors
/// When `address` is no address.
pub fn endpoint(address: &str) -> Result<Endpoint, tonic::transport::Error> {
    // A path is no authority; the connector knows the path.
    let authority = if address::path_of(address).is_some() { "localhost" } else { address };
    Ok(Endpoint::from_shared(format!("http://{authority}"))?
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_timeout(Duration::from_secs(5)))
}
