//! The process at the other end of a link or a call: its role in the run, and its address.

use crate::role::Role;
use std::fmt;

/// A process at the other end of a link or a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// The role that the caller expects of the process.
    pub role: Role,
    /// `host:port`; `None` until the address is known.
    pub address: Option<String>,
}

impl Peer {
    /// The coordinator, which calls and is never called.
    pub fn coordinator() -> Self {
        Self { role: Role::Coordinator, address: None }
    }

    /// Stage `index`, without an address.
    pub fn stage(index: u32) -> Self {
        Self { role: Role::Stage(index), address: None }
    }

    /// The process of `role`, without an address.
    pub fn of(role: Role) -> Self {
        Self { role, address: None }
    }

    /// A node known only by its address.
    pub fn node(address: impl Into<String>) -> Self {
        Self { role: Role::Node, address: Some(address.into()) }
    }

    /// The same peer at `address`.
    pub fn at(self, address: impl Into<String>) -> Self {
        Self { address: Some(address.into()), ..self }
    }

    /// The address; empty where the address is not known.
    pub fn address(&self) -> &str {
        self.address.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Coordinator => f.write_str("the coordinator")?,
            Role::Stage(_) | Role::Backward(_) => write!(f, "{}", self.role)?,
            Role::Node => return f.write_str(self.address()),
        }
        self.address.as_ref().map_or(Ok(()), |address| write!(f, " at {address}"))
    }
}
