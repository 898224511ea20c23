//! The two messages that open a link, with the descriptors that travel beside them.

use super::frame::{Frames, NoFrame, append};
use super::memory::Memory;
use super::ring::{Received, Slots};
use crate::error::ProtocolError;
use crate::transport::codec::Received as Checked;
use crate::transport::unix::check_user;
use bytes::BytesMut;
use prost::Message;
use rustix::net::sockopt::{socket_domain, socket_type};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketType, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The most descriptors of a message: a ring's memory, and a socket.
const MOST: usize = 2;

/// Sends `message` with `descriptors`.
pub(super) async fn send(
    to: &UnixStream,
    message: &impl Message,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut bytes = BytesMut::new();
    append(message, &mut bytes);
    let sent = to.async_io(Interest::WRITABLE, || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            beside.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(sendmsg(to, &[IoSlice::new(&bytes)], &mut beside, flags)?)
    });
    let sent = sent.await?;
    super::socket::write(to, &bytes[sent..]).await
}

/// Receives a message, the descriptors beside it, and what came after it.
pub(super) async fn receive<M: Checked>(from: &UnixStream) -> Result<(M, Vec<OwnedFd>, Frames), NoFrame> {
    let (mut frames, mut descriptors) = (Frames::default(), Vec::new());
    loop {
        if let Some(message) = frames.take().map_err(NoFrame::Refused)? {
            return Ok((message, descriptors, frames));
        }
        let room = frames.room();
        let received = from.async_io(Interest::READABLE, || read(from, room, &mut descriptors)).await?;
        let (received, is_cut) = received;
        if is_cut || descriptors.len() > MOST {
            return Err(NoFrame::Refused(ProtocolError::invalid(
                "more descriptors beside a message than belong there, or than this process may open (ulimit -n)",
            )));
        }
        match received {
            0 => return Err(NoFrame::Lost(io::Error::other("the connection was closed"))),
            received => frames.came(received),
        }
    }
}

/// Reads into `room`, and says as well whether the system has left out descriptors.
fn read(from: &UnixStream, room: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<(usize, bool)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(from, &mut [IoSliceMut::new(room)], &mut beside, flags)?;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok((received.bytes, received.flags.contains(ReturnFlags::CTRUNC)))
}

/// The receiver's end of the ring that came as `memory`.
///
/// # Errors
/// The rest of a sentence that begins with the peer's name.
pub(super) fn ring(memory: Option<OwnedFd>) -> Result<Received, String> {
    let memory = memory.ok_or("sent no memory")?;
    let memory = Memory::received(memory).map_err(|why| format!("sent memory that {why}"))?;
    Received::new(&memory).map_err(|error| format!("sent memory that cannot be mapped ({error})"))
}

/// The socket that a caller of this user has sent.
///
/// # Errors
/// The rest of a sentence that begins with the caller's name.
pub(super) fn socket(socket: Option<OwnedFd>) -> Result<UnixStream, String> {
    let socket = socket.ok_or("sent no socket")?;
    let fits = socket_domain(&socket).is_ok_and(|domain| domain == AddressFamily::UNIX)
        && socket_type(&socket).is_ok_and(|kind| kind == SocketType::STREAM);
    if !fits {
        return Err("sent something that is no socket of this host".into());
    }
    let odd = |error: io::Error| format!("sent a socket that cannot be used ({error})");
    let socket = std::os::unix::net::UnixStream::from(socket);
    socket.set_nonblocking(true).map_err(odd)?;
    let socket = UnixStream::from_std(socket).map_err(odd)?;
    check_user(&socket)?;
    Ok(socket)
}

/// A new ring, and the sentence where the system has no memory for it.
pub(super) fn slots() -> Result<Slots, String> {
    Slots::new().map_err(|error| {
        format!("there is no shared memory for a link ({error}): free memory on this host or raise the limits of open files and file sizes (ulimit -n and -f), or set network.transport to \"grpc\"")
    })
}

/// The descriptor of a ring's memory.
pub(super) fn memory_of(slots: &Slots) -> BorrowedFd<'_> {
    slots.memory().file()
}
