//! The certificates and the key of this process, as its files have them.

use super::Credentials;
use super::certificate::Certificate;
use super::verify::Authority;
use crate::identity::Identity;
use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// The certificate that this process shows, and the CAs that it trusts. The key is inside and never printed.
pub(super) struct Material {
    /// The identity of this process.
    pub identity: Identity,
    /// The certificate of this process.
    pub certificate: Certificate,
    /// The CAs that this process trusts.
    pub authorities: Vec<Authority>,
    /// The certificate's chain and its key, for handshakes.
    pub shown: Arc<SingleCertAndKey>,
    chain: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Material {
    /// Reads the files.
    ///
    /// # Errors
    /// A sentence that names the file and its flag.
    pub fn read(files: &Credentials, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let authorities = certificates("--tls-ca", &files.ca)?;
        let authorities =
            authorities.iter().map(|der| authority(der, &files.ca)).collect::<Result<_, _>>()?;
        let (flag, path) = ("--tls-cert", &files.certificate);
        let chain = certificates(flag, path)?;
        let certificate =
            chain.first().map(Certificate::read).unwrap_or_else(|| Err("it is not there".into()));
        let certificate = certificate.map_err(|why| unusable(flag, path, &why))?;
        let identity = certificate.identity.clone().map_err(|why| {
            let why = format!("it names no identity: {why}; make it with `coordinator certificates`");
            unusable(flag, path, &why)
        })?;
        let key = CertifiedKey::from_der(chain.clone(), key(&files.key)?, provider).map_err(|error| {
            unusable("--tls-key", &files.key, &format!("does it belong to {}? {error}", path.display()))
        })?;
        let (shown, provider) = (Arc::new(SingleCertAndKey::from(key)), provider.clone());
        Ok(Self { identity, certificate, authorities, shown, chain, provider })
    }

    /// Whether a CA of this process has issued the process's own certificate.
    ///
    /// # Errors
    /// The reason of the verifier.
    pub fn is_issued(&self) -> Result<(), String> {
        let Some((leaf, others)) = self.chain.split_first() else { return Ok(()) };
        let anchors: Vec<_> = self.authorities.iter().map(|authority| authority.anchor.clone()).collect();
        let now = self.certificate.until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (algorithms, now) =
            (self.provider.signature_verification_algorithms, UnixTime::since_unix_epoch(now));
        let verified = EndEntityCert::try_from(leaf).and_then(|leaf| {
            leaf.verify_for_usage(algorithms.all, &anchors, others, now, KeyUsage::client_auth(), None, None)
                .map(drop)
        });
        verified.map_err(|error| error.to_string())
    }

    /// The first moment at which, without newer files, peers refuse this process or it refuses all peers.
    pub fn expires(&self) -> SystemTime {
        let authorities = self.authorities.iter().map(|authority| authority.certificate.until);
        authorities.chain([self.certificate.until]).min().unwrap_or(self.certificate.until)
    }
}

fn authority(der: &CertificateDer<'static>, path: &Path) -> Result<Authority, String> {
    let unusable = |why: &str| unusable("--tls-ca", path, why);
    let certificate = Certificate::read(der).map_err(|why| unusable(&why))?;
    let anchor = anchor_from_trusted_cert(der).map_err(|error| unusable(&error.to_string()))?.to_owned();
    Ok(Authority { anchor, certificate })
}

/// The certificates of a PEM file, at least one.
fn certificates(flag: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(flag, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(PemError::NoItemsFound) => Err(unusable(flag, path, "it holds no certificate in PEM")),
        Err(error) => Err(unusable(flag, path, &error.to_string())),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let flag = "--tls-key";
    PrivateKeyDer::from_pem_slice(&read(flag, path)?).map_err(|error| match error {
        PemError::NoItemsFound => {
            unusable(flag, path, "it holds no private key in PEM that is not encrypted")
        }
        // The reader's own words may quote the file.
        _ => unusable(flag, path, "it is no PEM file"),
    })
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| {
        format!(
            "cannot read {} ({error}): give {flag} the file that `coordinator certificates` made",
            path.display()
        )
    })
}

fn unusable(flag: &str, path: &Path, why: &str) -> String {
    format!("{flag} {} cannot be used: {why}", path.display())
}
