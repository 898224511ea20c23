//! Addresses of processes: `host:port`, or `unix:PATH` for a socket of this host.

use crate::failure::{Failure, FailureKind};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The word before the path of a socket of this host.
pub const UNIX: &str = "unix:";
/// The first letters of a folder that a coordinator makes for the sockets of its nodes, and that the last of them removes.
pub const SOCKET_FOLDER: &str = "neuropil-";
/// The most bytes in the path of a socket: the system keeps 108, of which the last is 0.
const LONGEST: usize = 107;
/// The most bytes in the path of a data socket, whose side socket has a longer one.
pub const MOST_OF_PATH: usize = LONGEST - SIDE.len();
/// The end of the name of a side socket, whose name begins with the name of its data socket.
const SIDE: &str = ".shm";

/// The path of an address of this host, `unix:PATH`; `None` for any other address.
pub fn path_of(address: &str) -> Option<&Path> {
    address.strip_prefix(UNIX).map(Path::new)
}

/// The address of the socket at `path`.
pub fn of_path(path: &Path) -> String {
    format!("{UNIX}{}", path.display())
}

/// The side socket of the data socket at `path`: it hands over the shared memory of links.
pub fn side_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SIDE);
    name.into()
}

/// Checks that `path` can be the path of a data socket.
///
/// # Errors
/// The rest of a sentence that begins with the path.
pub fn check_path(path: &Path) -> Result<(), String> {
    let length = path.as_os_str().len();
    if path.to_str().is_none_or(|path| !path.starts_with('/') || path.contains(['\0', '\n', ','])) {
        return Err("is no path of a socket: a whole path from / is expected, in UTF-8".into());
    }
    if length > MOST_OF_PATH {
        return Err(format!(
            "has {length} bytes, and a socket's path has at most {MOST_OF_PATH}: choose a shorter folder"
        ));
    }
    Ok(())
}

/// Checks that `address` is of the form `host:port`, with an IPv6 host in brackets, or of the form `unix:PATH`.
///
/// # Errors
/// [`FailureKind::Address`] where `address` has another form.
pub fn check_address(address: &str) -> Result<(), Failure> {
    let malformed = |sentence: String| Err(Failure::new(FailureKind::Address, sentence));
    if let Some(path) = path_of(address) {
        return check_path(path).or_else(|why| malformed(format!("'{address}' {why}")));
    }
    let well_formed = address.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let plain = !host.is_empty() && !host.contains([':', '/', '@']);
        (bracketed || plain) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    match well_formed && super::endpoint(address).is_ok() {
        true => Ok(()),
        false => {
            malformed(format!("'{address}' is no address: host:port is expected, or unix:PATH on this host"))
        }
    }
}

/// The address at which a port listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address of a network interface.
    Tcp(SocketAddr),
    /// The path of a socket, which processes of the same user reach on this host.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether other hosts may reach a port at this address.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Tcp(address) => !address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => false,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match path_of(text) {
            Some(path) => {
                check_path(path).map(|()| Self::Unix(path.to_owned())).map_err(|why| format!("it {why}"))
            }
            None => text.parse().map(Self::Tcp).map_err(|_| "IP:PORT or unix:PATH is expected".into()),
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => f.write_str(&of_path(path)),
        }
    }
}

/// The process at the other end of an accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The address of its end of the connection.
    Tcp(SocketAddr),
    /// A process of this host, by its number; `None` where the system does not tell.
    Process(Option<i32>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Process(Some(number)) => write!(f, "process {number}"),
            Self::Process(None) => f.write_str("a process of this host"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_a_whole_path_that_leaves_room_for_its_side_socket() {
        let longest = format!("/{}", "a".repeat(LONGEST - SIDE.len() - 1));
        assert!(check_address(&format!("unix:{longest}")).is_ok());
        assert_eq!(side_of(Path::new(&longest)).as_os_str().len(), LONGEST);
        let refused = |address: &str| check_address(address).unwrap_err().sentence;
        assert!(
            refused(&format!("unix:{longest}a"))
                .contains("has 104 bytes, and a socket's path has at most 103")
        );
        for relative in ["unix:", "unix:a", "unix:a/b", "unix:./a", "unix:/a\0b"] {
            assert!(refused(relative).contains("is no path of a socket"), "{relative}");
        }
        assert!(refused("UNIX:/a").contains("host:port is expected, or unix:PATH"));
    }

    #[test]
    fn an_address_is_read_as_it_is_printed() {
        for text in ["127.0.0.1:0", "[::1]:7100", "unix:/run/a.data"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for wrong in ["localhost:7100", "unix:a", "7100"] {
            assert!(wrong.parse::<ListenAddress>().is_err(), "{wrong}");
        }
    }
}
