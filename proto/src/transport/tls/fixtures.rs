//! Certificates for this folder's tests.

use super::Credentials;
use super::certificate::Certificate;
use super::verify::Authority;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls_pki_types::CertificateDer;
use std::path::Path;
use std::time::{Duration, SystemTime};
use webpki::anchor_from_trusted_cert;

/// A day.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A CA that is valid for thirty days.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

/// The contents of a certificate.
pub struct Leaf {
    pub uris: Vec<String>,
    pub from: SystemTime,
    pub until: SystemTime,
    pub uses: Vec<ExtendedKeyUsagePurpose>,
}

impl Leaf {
    /// A certificate for every use, for sixty days.
    pub fn of(uris: &[&str]) -> Self {
        let uses = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let uris = uris.iter().map(|&uri| uri.into()).collect();
        Self { uris, from: SystemTime::now() - DAY, until: SystemTime::now() + 60 * DAY, uses }
    }
}

impl Ca {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = (SystemTime::now() + 30 * DAY).into();
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Self { issuer: Issuer::new(params, key), der, pem }
    }

    pub fn issue(&self, leaf: &Leaf) -> CertificateDer<'static> {
        self.issue_for(&KeyPair::generate().unwrap(), leaf).der().clone()
    }

    /// Files in `folder` by which a process proves to be `uri`.
    pub fn credentials(&self, folder: &Path, uri: &str) -> Credentials {
        let key = KeyPair::generate().unwrap();
        let write = |kind: &str, pem: String| {
            let path = folder.join(format!("{uri}.{kind}").replace(':', "-"));
            std::fs::write(&path, pem).unwrap();
            path
        };
        Credentials {
            ca: write("ca", self.pem.clone()),
            certificate: write("certificate", self.issue_for(&key, &Leaf::of(&[uri])).pem()),
            key: write("key", key.serialize_pem()),
        }
    }

    fn issue_for(&self, key: &KeyPair, leaf: &Leaf) -> rcgen::Certificate {
        let mut params = CertificateParams::default();
        let uri = |uri: &String| SanType::URI(uri.as_str().try_into().unwrap());
        params.subject_alt_names = leaf.uris.iter().map(uri).collect();
        params.extended_key_usages = leaf.uses.clone();
        (params.not_before, params.not_after) = (leaf.from.into(), leaf.until.into());
        params.signed_by(key, &self.issuer).unwrap()
    }

    pub fn authority(&self) -> Authority {
        let anchor = anchor_from_trusted_cert(&self.der).unwrap().to_owned();
        Authority { anchor, certificate: Certificate::read(&self.der).unwrap() }
    }
}
