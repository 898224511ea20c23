//! Reads and writes of a socket that never block, whatever the process that shares the socket does to its flags.

use bytes::{Buf, BytesMut};
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
            // A full buffer may leave bytes behind. Otherwise the socket is empty, which spares the next read: a read stops
            // early only behind descriptors, which no peer sends once its link is open.
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

/// Writes all of `bytes`, waiting for room, and takes off what is written: a write that is given up does not begin again.
pub(super) async fn drain(socket: &UnixStream, bytes: &mut BytesMut) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = socket.async_io(Interest::WRITABLE, || try_write(socket, bytes)).await?;
        bytes.advance(written);
    }
    Ok(())
}

/// Writes as many of `bytes` as there is room for.
pub(super) fn try_write(socket: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_write_that_was_given_up_goes_on_where_it_ended() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let whole: Vec<u8> = (0..1 << 20).map(|at: u32| (at >> 4) as u8).collect();
        let mut waiting = BytesMut::from(&whole[..]);
        let given_up = tokio::time::timeout(Duration::from_millis(20), drain(&ours, &mut waiting)).await;
        assert!(given_up.is_err() && !waiting.is_empty() && waiting.len() < whole.len());
        let reader = tokio::spawn(async move {
            let (mut came, mut room) = (Vec::new(), vec![0; 4096]);
            loop {
                match read(&theirs, &mut room).await.unwrap() {
                    0 => return came,
                    bytes => came.extend_from_slice(&room[..bytes]),
                }
            }
        });
        drain(&ours, &mut waiting).await.unwrap();
        drop(ours);
        assert!(reader.await.unwrap() == whole);
    }
}
