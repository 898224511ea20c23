//! Sockets of this host, each of which connects processes of one user.

use super::tls::Security;
use crate::failure::{Failure, FailureKind};
use crate::link::Peer;
use rustix::process::geteuid;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use tokio::net::{UnixListener, UnixStream};

/// Opens the socket at `path`. A socket there of a process that is gone is replaced.
pub(super) async fn bind(path: &Path) -> io::Result<UnixListener> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(error),
            _ => return Err(io::Error::new(ErrorKind::AddrInUse, "another process listens there")),
        }
    }
    UnixListener::bind(path)
}

/// Connects to the socket of `peer` at `path`.
///
/// # Errors
/// [`FailureKind::Lost`] where no process listens; [`FailureKind::Address`] where `security` is TLS, or where the
/// process there is of another user.
pub(super) async fn connect(security: &Security, peer: &Peer, path: &Path) -> Result<UnixStream, Failure> {
    let refused = |why| Failure::new(FailureKind::Address, why);
    security.check_unix(&peer.to_string()).map_err(refused)?;
    let stream = UnixStream::connect(path).await.map_err(|error| Failure::new(FailureKind::Lost, error))?;
    check_user(&stream).map_err(|why| refused(format!("{peer} {why}")))?;
    Ok(stream)
}

/// Checks that the process at the other end of `stream` is of the same user as this process.
///
/// # Errors
/// The rest of a sentence that begins with the name of the other process.
pub(super) fn check_user(stream: &UnixStream) -> Result<(), String> {
    let other = stream.peer_cred().map_err(|error| format!("does not tell its user ({error})"))?;
    same_user(other.uid(), geteuid().as_raw())
}

fn same_user(other: u32, own: u32) -> Result<(), String> {
    match other == own {
        true => Ok(()),
        false => Err(format!(
            "is of user {other}, and a socket of this host connects processes of one user, here of user {own}: start both programs as the same user, or give them addresses of TCP"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::address::{ListenAddress, Origin};
    use crate::transport::listener::listen;

    #[tokio::test]
    async fn a_socket_of_a_process_that_is_gone_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let address = ListenAddress::Unix(path.clone());
        let listener = listen("--listen", &address).await.unwrap();
        assert_eq!(listener.address().unwrap(), address);
        let taken = listen("--listen", &address).await.err().unwrap();
        assert!(taken.contains("another process listens there") && taken.contains("--listen"), "{taken}");
        let client = UnixStream::connect(&path).await.unwrap();
        let (_, origin) = listener.accept().await.unwrap();
        assert_eq!(origin, Origin::Process(Some(std::process::id() as i32)));
        assert_eq!(check_user(&client), Ok(()));
        drop(listener.file());
        assert!(!path.exists());
        fs::write(&path, "no socket").unwrap();
        assert!(listen("--listen", &address).await.is_err() && path.exists(), "a file of the user stays");
    }

    #[test]
    fn a_process_of_another_user_is_refused_in_a_sentence() {
        assert_eq!(same_user(7, 7), Ok(()));
        for (other, own) in [(0, 7), (7, 0), (8, 7)] {
            let refused = same_user(other, own).unwrap_err();
            assert!(
                refused.starts_with(&format!("is of user {other}, and"))
                    && refused.contains("as the same user")
            );
        }
    }
}
