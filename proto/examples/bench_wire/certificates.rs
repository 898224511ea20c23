//! Certificates of the two ends, for links and for TLS over TCP.

use super::Outcome;
use proto::transport::tls::{Credentials, Security, provider};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The files of both ends.
pub struct Files {
    _folder: TempDir,
    caller: Credentials,
    node: Credentials,
}

impl Files {
    /// Makes a CA, and a certificate for each end.
    pub fn new() -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        fs::write(folder.path().join("ca"), params.self_signed(&key)?.pem())?;
        let issuer = Issuer::new(params, key);
        let caller = issue(folder.path(), &issuer, "coordinator")?;
        let node = issue(folder.path(), &issuer, "stage:0")?;
        Ok(Self { _folder: folder, caller, node })
    }

    /// The protection of the caller and of the node: TLS, or none.
    pub fn security(&self, tls: bool) -> Result<[Security; 2], String> {
        match tls {
            false => Ok([Security::plaintext(), Security::plaintext()]),
            true => Ok([Security::open(&self.caller)?, Security::open(&self.node)?]),
        }
    }

    /// The end that dials TLS over TCP, with the cipher of links.
    pub fn connector(&self) -> Outcome<TlsConnector> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.caller.ca)?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config).into())
    }

    /// The end that accepts TLS over TCP, with the cipher of links.
    pub fn acceptor(&self) -> Outcome<TlsAcceptor> {
        let chain = vec![CertificateDer::from_pem_file(&self.node.certificate)?];
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(&self.node.key)?)?;
        // The dialling end reads nothing, and a connection that closes with unread bytes is reset.
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config).into())
    }
}

/// The files of the end with this role.
fn issue(folder: &Path, issuer: &Issuer<'_, KeyPair>, role: &str) -> Outcome<Credentials> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["127.0.0.1".into()])?;
    params.subject_alt_names.push(SanType::URI(format!("neuropil:bench:{role}").try_into()?));
    let path = |kind: &str| folder.join(format!("{kind}-{}", role.replace(':', "-")));
    let (certificate, key_file) = (path("certificate"), path("key"));
    fs::write(&certificate, params.signed_by(&key, issuer)?.pem())?;
    fs::write(&key_file, key.serialize_pem())?;
    Ok(Credentials { ca: folder.join("ca"), certificate, key: key_file })
}
