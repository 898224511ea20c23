//! The placement of a run's nodes: on this host, or at given addresses.

use crate::run_error::RunError;
use proto::transport::dial::check_address;
use proto::transport::tls::Security;

/// The placement of a run's nodes.
#[derive(Clone, Debug)]
pub enum Placement {
    /// Processes on this host, which the coordinator starts and stops.
    Local,
    /// Nodes that the user has started.
    Remote {
        /// Their control addresses, one per stage.
        nodes: Vec<String>,
        /// How they are spoken with.
        security: Security,
    },
}

impl Placement {
    /// How the nodes are spoken with. Local nodes have no certificates, and nobody else reaches them.
    pub fn security(&self) -> Security {
        match self {
            Placement::Local => Security::plaintext(),
            Placement::Remote { security, .. } => security.clone(),
        }
    }

    /// Checks that each of `stages` stages has a node of its own.
    ///
    /// # Errors
    /// One sentence with both numbers, or with the stage and its address.
    pub fn check(&self, stages: usize) -> Result<(), RunError> {
        let Placement::Remote { nodes: given, .. } = self else { return Ok(()) };
        if given.len() != stages {
            return Err(RunError::configuration(format!(
                "--nodes names {} nodes, but pipeline.stages cuts the network into {stages} stages",
                given.len()
            )));
        }
        for (stage, address) in given.iter().enumerate() {
            let of_stage = |error| RunError::configuration(format!("stage {stage} at {error}"));
            check_address(address).map_err(of_stage)?;
            if let Some(first) = given[..stage].iter().position(|other| other == address) {
                return Err(RunError::configuration(format!(
                    "--nodes names {address} for stage {first} and for stage {stage}: a node is one stage, so name every node once"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_a_node_of_its_own_with_a_whole_address() {
        let remote = |nodes| Placement::Remote { nodes, security: Security::plaintext() };
        let said = |given: &str| {
            let given: Vec<String> = given.split(' ').map(str::to_owned).collect();
            let stages = given.len();
            remote(given).check(stages).err().map(|failure| failure.sentence).unwrap_or_default()
        };
        for good in ["a:7101 b:7101", "a:7101 a:7201", "[::1]:1 10.0.0.1:65535"] {
            assert_eq!(said(good), "");
        }
        for bad in
            ["a", "a:", ":1", "a:0", "a:65536", "a:b", "::1:1", "http://a:1", "a/b:1", "u@a:1", "[a:1", ""]
        {
            assert_eq!(
                said(&format!("fine:1 {bad}")),
                format!("stage 1 at '{bad}' is no address: host:port is expected")
            );
        }
        assert!(said("a:1 b:1 a:1").contains("a:1 for stage 0 and for stage 2"));
        assert!(remote(vec!["a:1".into()]).check(2).is_err());
        assert!(Placement::Local.check(2).is_ok());
    }
}
