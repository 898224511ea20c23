//! How the links of a run are carried. The choice decides no bit.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The carriage of a run's links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Shared memory where the address of the peer is a socket of this host, and gRPC elsewhere.
    #[default]
    Auto,
    /// gRPC, over sockets of this host as well.
    Grpc,
    /// Shared memory, which needs sockets of this host.
    SharedMemory,
}

/// What carries one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// Calls over HTTP/2.
    Grpc,
    /// Memory that both processes map.
    SharedMemory,
}

impl fmt::Display for Carriage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grpc => "by gRPC",
            Self::SharedMemory => "through shared memory",
        })
    }
}

impl Transport {
    /// What carries a link to `address`; `is_local` says whether the address is a socket of this host.
    ///
    /// # Errors
    /// A sentence where shared memory is wanted and the address is on a network.
    pub fn carriage(self, address: &str, is_local: bool) -> Result<Carriage, String> {
        match (self, is_local) {
            (Self::Auto | Self::SharedMemory, true) => Ok(Carriage::SharedMemory),
            (Self::Auto, false) | (Self::Grpc, _) => Ok(Carriage::Grpc),
            (Self::SharedMemory, false) => Err(format!(
                "'{address}' is an address of TCP, and network.transport = \"shared_memory\" needs sockets of one host: start the nodes with --local or at unix:PATH, or set network.transport to \"auto\""
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_carries_links_within_a_host_unless_the_run_says_otherwise() {
        use Carriage::{Grpc, SharedMemory};
        let of = |transport: Transport, is_local| transport.carriage("a:1", is_local);
        assert_eq!([of(Transport::Auto, true), of(Transport::Auto, false)], [Ok(SharedMemory), Ok(Grpc)]);
        assert_eq!([of(Transport::Grpc, true), of(Transport::Grpc, false)], [Ok(Grpc), Ok(Grpc)]);
        assert_eq!(of(Transport::SharedMemory, true), Ok(SharedMemory));
        assert!(
            of(Transport::SharedMemory, false).unwrap_err().starts_with("'a:1' is an address of TCP, and")
        );
    }
}
