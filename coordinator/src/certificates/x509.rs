//! Certificates in X.509: the contents of new ones, and the reading of existing ones.
//!
//! The identity is the URI among the subject's alternative names, and the only name that Neuropil reads. The subject,
//! as in `O = lab, CN = stage 3`, and the hosts are for people and other tools; a CA's organisation is its deployment.

use super::host::Host;
use super::names;
use super::plan::{Authority, Certificate, Leaf, Validity};
use proto::identity::Identity;
use proto::link::Role;
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData, SanType,
};
use std::net::IpAddr;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// The common name of every CA.
const CA_NAME: &str = "Neuropil CA";

/// The allowed uses of a process's certificate. The coordinator only dials. A node serves, and also dials the neighbour
/// above.
fn usages(role: Role) -> Vec<ExtendedKeyUsagePurpose> {
    match role {
        Role::Coordinator => vec![ClientAuth],
        Role::Stage(_) | Role::Backward(_) | Role::Node => vec![ServerAuth, ClientAuth],
    }
}

/// A CA's certificate before it is signed. It signs the certificates of processes, and no other CA.
pub(super) fn authority(deployment: &str, valid: Validity) -> CertificateParams {
    let mut params = common(deployment, CA_NAME, valid);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// A process's certificate before it is signed.
///
/// # Errors
/// A name that does not fit into X.509.
pub(super) fn leaf(leaf: &Leaf) -> Result<CertificateParams, rcgen::Error> {
    let mut params = common(leaf.identity.deployment(), &names::words(&leaf.identity), leaf.valid);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = usages(leaf.identity.role());
    params.subject_alt_names.push(SanType::URI(leaf.identity.to_string().try_into()?));
    for host in &leaf.hosts {
        params.subject_alt_names.push(match host {
            Host::Address(address) => SanType::IpAddress(*address),
            Host::Name(name) => SanType::DnsName(name.as_str().try_into()?),
        });
    }
    Ok(params)
}

fn common(organisation: &str, name: &str, valid: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (valid.from, valid.to);
    params
}

/// Reads a CA's certificate.
///
/// # Errors
/// The end of a sentence: the reason why the file is no CA of Neuropil's.
pub(super) fn read_authority(der: &[u8]) -> Result<Authority, String> {
    let certificate = parse(der)?;
    let subject = certificate.subject();
    let deployment = subject.iter_organization().next().and_then(|name| name.as_str().ok());
    let named = subject.iter_common_name().any(|name| name.as_str() == Ok(CA_NAME));
    let deployment = deployment.filter(|_| named && certificate.is_ca());
    let deployment =
        deployment.ok_or("is no CA that this command made: move it away, or choose another --out")?;
    let validity = certificate.validity();
    let (from, to) = (validity.not_before.to_datetime(), validity.not_after.to_datetime());
    Ok(Authority { deployment: deployment.to_owned(), valid: Validity { from, to } })
}

/// Reads a process's certificate.
///
/// # Errors
/// The end of a sentence: the reason why the file is no process's certificate.
pub(super) fn read_certificate(der: &[u8]) -> Result<Certificate, String> {
    let certificate = parse(der)?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let identity = uris.filter_map(|uri| uri.parse::<Identity>().ok()).next();
    let identity = identity.ok_or("names no process of Neuropil: move it away")?;
    Ok(Certificate { identity, hosts: names.iter().filter_map(host).collect() })
}

fn host(name: &GeneralName) -> Option<Host> {
    match name {
        GeneralName::DNSName(name) => name.parse().ok(),
        GeneralName::IPAddress(bytes) => {
            let address: Option<IpAddr> = match bytes.len() {
                4 => <[u8; 4]>::try_from(*bytes).ok().map(IpAddr::from),
                _ => <[u8; 16]>::try_from(*bytes).ok().map(IpAddr::from),
            };
            address.map(Host::Address)
        }
        _ => None,
    }
}

/// Whether `key` is the key of the certificate.
pub(super) fn belongs(key: &KeyPair, der: &[u8]) -> bool {
    parse(der).is_ok_and(|certificate| certificate.public_key().raw == key.subject_public_key_info())
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err("is no certificate: move it away, or put back what it was".into()),
    }
}
