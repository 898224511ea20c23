//! Identities: the name of a process in a deployment, which its certificate carries as a URI.
//!
//! ```text
//! neuropil:DEPLOYMENT:coordinator        neuropil:DEPLOYMENT:stage:3        neuropil:DEPLOYMENT:stage:3:backward
//! ```

use crate::role::Role;
use std::fmt;
use std::str::FromStr;

/// The scheme of an identity's URI.
const SCHEME: &str = "neuropil";
/// The most bytes of a deployment's name.
const MAX_DEPLOYMENT: usize = 63;

/// The name of a process: a role in one deployment. Processes of different deployments never believe each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    deployment: String,
    role: Role,
}

impl Identity {
    /// The identity of `role` in `deployment`.
    ///
    /// # Errors
    /// A sentence, where `deployment` is not 1 to 63 letters, digits, `-`, `_` or `.`.
    pub fn new(deployment: &str, role: Role) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if deployment.is_empty() || deployment.len() > MAX_DEPLOYMENT || !deployment.bytes().all(allowed) {
            return Err(format!(
                "a deployment's name has 1 to {MAX_DEPLOYMENT} letters, digits, '-', '_' or '.'"
            ));
        }
        Ok(Self { deployment: deployment.into(), role })
    }

    /// The deployment.
    pub fn deployment(&self) -> &str {
        &self.deployment
    }

    /// The role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The identity of `role` in the same deployment.
    #[must_use]
    pub fn neighbour(&self, role: Role) -> Self {
        Self { role, ..self.clone() }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}:", self.deployment)?;
        match self.role {
            Role::Coordinator => f.write_str("coordinator"),
            Role::Stage(index) => write!(f, "stage:{index}"),
            Role::Backward(index) => write!(f, "stage:{index}:backward"),
            Role::Node => f.write_str("stage"),
        }
    }
}

impl FromStr for Identity {
    type Err = String;

    fn from_str(uri: &str) -> Result<Self, String> {
        let strange = || {
            "an identity is neuropil:DEPLOYMENT:coordinator, neuropil:DEPLOYMENT:stage:N or neuropil:DEPLOYMENT:stage:N:backward".to_owned()
        };
        let parts: Vec<&str> = uri.split(':').collect();
        let (deployment, role) = match parts[..] {
            [SCHEME, deployment, "coordinator"] => (deployment, Role::Coordinator),
            [SCHEME, deployment, "stage", index] => {
                (deployment, Role::Stage(number(index).ok_or_else(strange)?))
            }
            [SCHEME, deployment, "stage", index, "backward"] => {
                (deployment, Role::Backward(number(index).ok_or_else(strange)?))
            }
            _ => return Err(strange()),
        };
        Self::new(deployment, role)
    }
}

/// The number of a stage, which has one spelling.
fn number(index: &str) -> Option<u32> {
    let number: u32 = index.parse().ok()?;
    (number.to_string() == index).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_has_one_spelling() {
        for uri in [
            "neuropil:lab:coordinator",
            "neuropil:lab-2.x_y:stage:0",
            "neuropil:lab:stage:4294967295",
            "neuropil:lab:stage:3:backward",
        ] {
            assert_eq!(uri.parse::<Identity>().unwrap().to_string(), uri);
        }
        let strange = [
            "",
            "neuropil",
            "neuropil:lab",
            "neuropil:lab:stage",
            "neuropil:lab:stage:",
            "neuropil:lab:stage:-1",
            "neuropil:lab:stage:+1",
            "neuropil:lab:stage:01",
            "neuropil:lab:stage:4294967296",
            "neuropil::coordinator",
            "neuropil:lab:coordinator:",
            "Neuropil:lab:coordinator",
            "neuropil:lab:Coordinator",
            "neuropil:a b:coordinator",
            "neuropil:lab:stage:1:backward:x",
            "neuropil:lab:stage:1:forward",
            "neuropil:lab:stage:01:backward",
            "neuropil:lab:stage:backward",
            "spiffe://lab/stage/1",
            "neuropil:l\u{e4}b:coordinator",
        ];
        for uri in strange {
            assert!(uri.parse::<Identity>().is_err(), "{uri}");
        }
        let long = "x".repeat(MAX_DEPLOYMENT + 1);
        assert!(Identity::new(&long, Role::Coordinator).is_err());
    }
}
