//! The role of a process in a run.

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
    /// The node that keeps the B of the layers of this stage that are split.
    Backward(u32),
    /// Any node, whichever stage it is: the caller does not know the node's stage yet.
    Node,
}

/// Prints as `coordinator`, `stage 3`, `stage 3, backward` or `node`.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Coordinator => f.write_str("coordinator"),
            Role::Stage(index) => write!(f, "stage {index}"),
            Role::Backward(index) => write!(f, "stage {index}, backward"),
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
        let stage = word.strip_prefix("stage ");
        let role = match stage.map(|stage| stage.strip_suffix(", backward").ok_or(stage)) {
            None => (word == "coordinator").then_some(Role::Coordinator),
            Some(Err(index)) => index.parse().ok().map(Role::Stage),
            Some(Ok(index)) => index.parse().ok().map(Role::Backward),
        };
        role.ok_or_else(|| de::Error::custom("a role is 'coordinator', 'stage N' or 'stage N, backward'"))
    }
}
