//! Reads and writes of a socket that never block, whatever the process that shares the socket does to its flags.

use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Reads into `buffer` what has come; 0 once the peer has closed the socket.
pub(super) async fn read(socket: &UnixStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        socket.readable().await?;
        let mut read = None;
        let tried = socket.try_io(Interest::READABLE, || {
            let (bytes, _) = recv(socket, &mut *buffer, RecvFlags::DONTWAIT)?;
            read = Some(bytes);
            // A full buffer may leave bytes behind. Otherwise the socket is empty, which spares the next read.
            if bytes == buffer.len() || bytes == 0 { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        });
        match (read, tried) {
            (Some(bytes), _) => return Ok(bytes),
            (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            (None, _) => {}
        }
    }
}

/// Writes all of `bytes`, waiting for room.
pub(super) async fn write(socket: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = socket.async_io(Interest::WRITABLE, || try_write(socket, bytes)).await?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// Writes as many of `bytes` as there is room for.
pub(super) fn try_write(socket: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
}
