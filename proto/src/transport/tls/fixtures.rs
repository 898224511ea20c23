//! Certificates for this folder's tests.

use super::certificate::Certificate;
use super::verify::Authority;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls_pki_types::CertificateDer;
use std::time::{Duration, SystemTime};
use webpki::anchor_from_trusted_cert;

/// A day.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A CA that is valid for thirty days.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
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
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), der }
    }

    pub fn issue(&self, leaf: &Leaf) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        let uri = |uri: &String| SanType::URI(uri.as_str().try_into().unwrap());
        params.subject_alt_names = leaf.uris.iter().map(uri).collect();
        params.extended_key_usages = leaf.uses.clone();
        (params.not_before, params.not_after) = (leaf.from.into(), leaf.until.into());
        params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap().der().clone()
    }

    pub fn authority(&self) -> Authority {
        let anchor = anchor_from_trusted_cert(&self.der).unwrap().to_owned();
        Authority { anchor, certificate: Certificate::read(&self.der).unwrap() }
    }
}
