//! How the programs of a run speak with each other: in plaintext, or over TLS with the certificates of a folder.

use super::network::output;
use crate::run::{Failure, Root};
use std::path::{Path, PathBuf};

/// The protection of a run's connections.
pub enum Security {
    /// None: everything can be read.
    Plaintext,
    /// Mutual TLS with the certificates in this folder.
    Tls(PathBuf),
}

impl Security {
    /// Mutual TLS with new certificates for so many stages, and for the backward node of each if `is_split` is set.
    pub fn with_certificates(
        root: &Root,
        build: &Path,
        folder: &Path,
        stages: usize,
        is_split: bool,
    ) -> Result<Self, Failure> {
        let certificates = folder.join("certificates");
        let mut command = root.command(build.join("coordinator"));
        command.args(["certificates", "--stages", &stages.to_string(), "--out"]).arg(&certificates);
        if is_split {
            command.args(["--backward", "all"]);
        }
        output(&mut command)?;
        Ok(Self::Tls(certificates))
    }

    /// The flags of the coordinator.
    pub fn coordinator(&self) -> Vec<String> {
        self.flags("coordinator")
    }

    /// The flags of the node of this stage.
    pub fn stage(&self, number: usize) -> Vec<String> {
        self.flags(&format!("stage-{number}"))
    }

    /// The flags of the backward node of this stage.
    pub fn backward(&self, number: usize) -> Vec<String> {
        self.flags(&format!("stage-{number}-backward"))
    }

    fn flags(&self, name: &str) -> Vec<String> {
        match self {
            Self::Plaintext => vec!["--insecure-plaintext".into()],
            Self::Tls(folder) => flags(&folder.join("ca.pem"), folder, name),
        }
    }
}

/// The flags of a program with the certificate and the key of this name.
pub fn flags(ca: &Path, folder: &Path, name: &str) -> Vec<String> {
    let file = |path: PathBuf| path.display().to_string();
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}-key.pem")));
    [
        "--tls-ca".into(),
        file(ca.into()),
        "--tls-cert".into(),
        file(certificate),
        "--tls-key".into(),
        file(key),
    ]
    .into()
}
