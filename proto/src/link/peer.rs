//! The process at the other end of a link or a call: its role in the run, and its address.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// The role of a process in a run. Where processes have certificates, the process at the peer's address must prove this
/// role, in the deployment of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The coordinator of the run.
    Coordinator,
    /// The node that is this stage.
    Stage(u32),
    /// Any node, whichever stage it is: the caller does not know the node's stage yet.
    Node,
}

/// Prints as `coordinator`, `stage 3` or `node`.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Coordinator => f.write_str("coordinator"),
            Role::Stage(index) => write!(f, "stage {index}"),
            Role::Node => f.write_str("node"),
        }
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let stage = word.strip_prefix("stage ").and_then(|index| index.parse().ok()).map(Role::Stage);
        let role = stage.or_else(|| (word == "coordinator").then_some(Role::Coordinator));
        role.ok_or_else(|| de::Error::custom("a role is 'coordinator' or 'stage N'"))
    }
}

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
            Role::Stage(index) => write!(f, "stage {index}")?,
            Role::Node => return f.write_str(self.address()),
        }
        self.address.as_ref().map_or(Ok(()), |address| write!(f, " at {address}"))
    }
}
