//! Ports of both families: a port of TCP, or a socket of this host.

use super::address::{ListenAddress, Origin};
use super::{socket, unix};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// The file of a socket, which is removed with this handle unless another process has put its own there meanwhile.
#[must_use = "the file is removed once this is dropped"]
pub struct SocketFile {
    path: PathBuf,
    numbers: Option<(u64, u64)>,
}

impl SocketFile {
    fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), numbers: numbers(path) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.numbers.is_some() && numbers(&self.path) == self.numbers {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The numbers by which the system tells a file from all others.
fn numbers(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// A port that is open.
pub enum Listener {
    /// A port of TCP.
    Tcp(TcpListener),
    /// A socket of this host.
    Unix(UnixListener, PathBuf),
}

/// An accepted connection, before any handshake.
pub(crate) enum Accepted {
    /// A connection over TCP.
    Tcp(TcpStream),
    /// A connection within this host.
    Unix(UnixStream),
}

/// Opens a port at `address`, which `flag` names.
///
/// # Errors
/// One sentence, for example where the address is in use.
pub async fn listen(flag: &str, address: &ListenAddress) -> Result<Listener, String> {
    let (bound, otherwise) = match address {
        ListenAddress::Tcp(address) => {
            let otherwise = if address.port() == 0 { "" } else { ", or port 0 for a free one" };
            (TcpListener::bind(address).await.map(Listener::Tcp), otherwise)
        }
        ListenAddress::Unix(path) => {
            (unix::bind(path).await.map(|listener| Listener::Unix(listener, path.clone())), "")
        }
    };
    bound.map_err(|error| {
        format!("cannot listen on {address} ({error}): give {flag} another address{otherwise}")
    })
}

impl Listener {
    /// The address at which the port listens.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(ListenAddress::Tcp),
            Self::Unix(_, path) => Ok(ListenAddress::Unix(path.clone())),
        }
    }

    /// The file of a socket of this host, which is removed with the returned handle.
    pub fn file(&self) -> Option<SocketFile> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(_, path) => Some(SocketFile::of(path)),
        }
    }

    /// The next connection, and its origin.
    pub(crate) async fn accept(&self) -> io::Result<(Accepted, Origin)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                socket::prepare(&stream);
                Ok((Accepted::Tcp(stream), Origin::Tcp(peer)))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let process = stream.peer_cred().ok().and_then(|peer| peer.pid());
                Ok((Accepted::Unix(stream), Origin::Process(process)))
            }
        }
    }
}
