//! The opening of links, by the transport that fits the run and the peer's address.

use super::address::path_of;
use super::tls::Security;
use super::{grpc, shared_memory};
use crate::failure::{Failure, FailureKind};
use crate::link::{Link, Port};
use crate::spec::transport::{Carriage, Transport};
use std::time::Duration;

/// How links are opened.
#[derive(Clone, Copy, Debug)]
pub struct Opener<'a> {
    /// The security of connections.
    pub security: &'a Security,
    /// The run's choice.
    pub transport: Transport,
    /// The time for all attempts.
    pub deadline: Duration,
}

impl Opener<'_> {
    /// Opens `link` from below. The caller tries a node again where the node's run has not begun yet.
    ///
    /// # Errors
    /// When the deadline passes, the node refuses, or the run's transport does not fit the address.
    pub async fn exchange(self, link: &Link) -> Result<Port, Failure> {
        let Self { security, deadline, .. } = self;
        match self.carriage(link)? {
            Carriage::Grpc => grpc::exchange(security, link, deadline).await,
            Carriage::SharedMemory => shared_memory::exchange(security, link, deadline).await,
        }
    }

    /// Opens `link` from above, to the last stage, as [`Opener::exchange`] does from below.
    ///
    /// # Errors
    /// As [`Opener::exchange`].
    pub async fn collect(self, link: &Link) -> Result<Port, Failure> {
        let Self { security, deadline, .. } = self;
        match self.carriage(link)? {
            Carriage::Grpc => grpc::collect(security, link, deadline).await,
            Carriage::SharedMemory => shared_memory::collect(security, link, deadline).await,
        }
    }

    /// Opens `link` from the host of W to the host of B, as [`Opener::exchange`] does from below.
    ///
    /// # Errors
    /// As [`Opener::exchange`].
    pub async fn serve(self, link: &Link) -> Result<Port, Failure> {
        let Self { security, deadline, .. } = self;
        match self.carriage(link)? {
            Carriage::Grpc => grpc::serve(security, link, deadline).await,
            Carriage::SharedMemory => shared_memory::serve(security, link, deadline).await,
        }
    }

    fn carriage(self, link: &Link) -> Result<Carriage, Failure> {
        let address = link.peer.address();
        let carriage = self.transport.carriage(address, path_of(address).is_some());
        carriage.map_err(|why| Failure::new(FailureKind::Address, why))
    }
}
