//! The options of a connection's socket, at both ends.

use socket2::SockRef;
use tokio::net::TcpStream;

/// Bytes that may wait in the kernel for their turn, beyond those on the wire. The answer to a keepalive waits behind
/// them: over a slow link, the kernel's own bound of megabytes would make a live peer seem silent.
const UNSENT: u32 = 128 << 10;

/// Sets the options. A connection works without them, so a failure is none.
pub(super) fn prepare(stream: &TcpStream) {
    // Without this, every small message waits for the other side's delayed acknowledgement, up to 40 ms.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_socket_takes_the_options() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        prepare(&stream);
        assert!(stream.nodelay().unwrap());
        assert_eq!(SockRef::from(&stream).tcp_notsent_lowat().unwrap(), UNSENT);
    }
}
