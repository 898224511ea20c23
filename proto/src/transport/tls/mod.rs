//! Security of connections: mutual TLS 1.3 with identities, or plaintext. It lies below tonic, so that a refusal is a
//! sentence at both ends, each end knows the identity of the other, and renewed files need no restart.
//!
//! ```text
//! dial:   TCP ─▶ handshake: the server's chain, time, use, identity ─▶ the first bytes ─▶ HTTP/2
//! accept: TCP ─▶ handshake: the client's chain, time, use, identity ──────────────────▶ HTTP/2
//! ```
//!
//! The URI of a certificate is its process's identity, and nothing else is: neither a name in the DNS nor an address.
//! Sessions are never resumed, because a resumed session shows no certificate.

mod alert;
mod certificate;
mod cipher;
mod client;
mod doubts;
mod files;
#[cfg(test)]
mod fixtures;
mod flags;
mod greeting;
mod material;
mod server;
mod stream;
mod verifier;
mod verify;

pub use certificate::date;
pub use cipher::provider;
pub(crate) use client::connect;
pub use flags::TlsFlags;
pub(super) use server::{Stranger, receive};
pub(super) use stream::Secured;

use crate::identity::Identity;
use crate::link::Role;
use files::Files;
use material::Material;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use tokio_rustls::rustls::crypto::CryptoProvider;

/// The protocol above TLS: HTTP/2.
const ALPN: &[u8] = b"h2";
/// The remedy for refused plaintext, for sentences.
pub const REMEDY: &str = "give both programs certificates (`coordinator certificates` makes them) by --tls-ca, --tls-cert and --tls-key, or --insecure-plaintext to go without";

/// The PEM files of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The certificates of the CAs that the process trusts.
    pub ca: PathBuf,
    /// The certificate of the process, and of CAs between it and the CA.
    pub certificate: PathBuf,
    /// The private key of the process.
    pub key: PathBuf,
}

/// The protection of this process's connections. Clones share the files.
#[derive(Clone)]
pub struct Security(Kind);

#[derive(Clone)]
enum Kind {
    /// None; if `anywhere` is false, connections are limited to loopback.
    Plaintext { anywhere: bool },
    /// Mutual TLS.
    Tls(Arc<Tls>),
}

struct Tls {
    files: Files,
    provider: Arc<CryptoProvider>,
    /// Whether this host has instructions for AES.
    aes: bool,
}

impl Security {
    /// Plaintext, on loopback only.
    pub fn plaintext() -> Self {
        Self(Kind::Plaintext { anywhere: false })
    }

    /// Plaintext, also to other hosts.
    pub fn insecure_plaintext() -> Self {
        Self(Kind::Plaintext { anywhere: true })
    }

    /// Mutual TLS with the credentials in these files.
    ///
    /// # Errors
    /// A sentence that names the file and its flag.
    pub fn open(credentials: &Credentials) -> Result<Self, String> {
        Self::choosing(credentials, cipher::has_aes())
    }

    /// As [`Security::open`], on a host with or without instructions for AES.
    fn choosing(credentials: &Credentials, aes: bool) -> Result<Self, String> {
        let provider = Arc::new(cipher::preferring(aes));
        let files = Files::open(credentials.clone(), provider.clone())?;
        Ok(Self(Kind::Tls(Arc::new(Tls { files, provider, aes }))))
    }

    /// The identity of this process; `None` in plaintext.
    pub fn identity(&self) -> Option<Identity> {
        self.material().map(|material| material.identity.clone())
    }

    /// The first moment at which the certificate of this process or of a CA expires; `None` in plaintext.
    pub fn expires(&self) -> Option<SystemTime> {
        self.material().map(|material| material.expires())
    }

    /// As [`Security::expires`], in seconds since the epoch; 0 in plaintext.
    pub fn expires_at(&self) -> u64 {
        let since = self.expires().and_then(|moment| moment.duration_since(SystemTime::UNIX_EPOCH).ok());
        since.map_or(0, |since| since.as_secs())
    }

    /// Fails if other hosts are reached at `address` and plaintext must not go there.
    ///
    /// # Errors
    /// A sentence that begins with `what`.
    pub fn check_reach(&self, what: &str, address: IpAddr) -> Result<(), String> {
        match self.0 {
            Kind::Plaintext { anywhere: false } if !address.to_canonical().is_loopback() => Err(format!(
                "{what} is beyond this host's loopback, where plaintext is refused by default: {REMEDY}"
            )),
            _ => Ok(()),
        }
    }

    /// Fails if the address that begins the sentence is a socket of this host and this security is TLS.
    ///
    /// # Errors
    /// A sentence that begins with `what`.
    pub fn check_unix(&self, what: &str) -> Result<(), String> {
        match self.0 {
            Kind::Plaintext { .. } => Ok(()),
            Kind::Tls(_) => Err(format!(
                "{what} is a socket of this host, which only processes of the same user reach, and certificates are for addresses of TCP: leave out --tls-ca, --tls-cert and --tls-key, or give an address of TCP"
            )),
        }
    }

    /// The doubts about the credentials that were opened.
    fn doubts(&self, files: &Credentials) -> Vec<String> {
        self.material().map_or_else(Vec::new, |material| doubts::doubts(&material, files, SystemTime::now()))
    }

    fn material(&self) -> Option<Arc<Material>> {
        match &self.0 {
            Kind::Plaintext { .. } => None,
            Kind::Tls(tls) => Some(tls.files.material()),
        }
    }
}

/// Prints no file and no key.
impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.identity() {
            Some(identity) => write!(f, "Security({identity})"),
            None => f.write_str("Security(plaintext)"),
        }
    }
}

/// The callers that a port accepts.
#[derive(Clone, Debug)]
pub struct Callers {
    security: Security,
    roles: Vec<Role>,
}

impl Callers {
    /// Anybody, in plaintext.
    pub fn anybody() -> Self {
        Self { security: Security::insecure_plaintext(), roles: Vec::new() }
    }

    /// Processes of these roles in the deployment of this process; anybody where `security` is plaintext.
    pub fn of(security: &Security, roles: Vec<Role>) -> Self {
        Self { security: security.clone(), roles }
    }
}
