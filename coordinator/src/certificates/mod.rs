//! The certificates of a deployment: a CA, one certificate for each stage, each backward node and the coordinator.
//!
//! ```text
//! Order ┐
//! Found ├─▶ plan (pure) ─▶ x509 (keys, signatures) ─▶ folder ─▶ table
//! time  ┘
//! ```
//!
//! A certificate names the process of its holder (`neuropil:DEPLOYMENT:stage:3`), and the CA's signature vouches for
//! it. There is no revocation. A thief of a key can be that process until the certificate ends, and a thief of the CA's
//! key can be any process of the deployment.

mod backward;
mod component;
mod folder;
mod host;
mod names;
mod plan;
mod table;
#[cfg(test)]
mod tests;
mod x509;

use crate::run_error::RunError;
pub use backward::BackwardOf;
use folder::{Folder, Written};
pub use host::{Host, HostOf};
use names::{CA, CA_KEY};
pub use plan::Order;
use plan::{Leaf, Plan};
use rcgen::{CertificateParams, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use std::path::Path;
use std::time::SystemTime;

/// Makes the certificates of `order` in the folder `out`, and returns a report about them.
///
/// Existing CAs and keys stay; existing certificates are renewed.
///
/// # Errors
/// A folder that another process uses, whose CA cannot sign, or that cannot be written.
pub fn issue(order: &Order, out: &Path, now: SystemTime) -> Result<String, RunError> {
    let now = now.into();
    let folder = Folder::claim(out)?;
    let plan = plan::plan(order, &folder.look()?, now, &spare_name()?).map_err(|why| {
        RunError::configuration(format!("cannot make certificates in {}: {why}", out.display()))
    })?;
    if order.kubernetes {
        folder.check_component(&plan)?;
    }
    let issuer = authority(&folder, &plan)?;
    let made = plan.leaves.iter().map(|leaf| make(&folder, leaf, &issuer)).collect::<Result<Vec<_>, _>>()?;
    let (keys, certificates): (Vec<_>, Vec<_>) = made.into_iter().unzip();
    // The key is written first: after a crash, a key without its certificate can still be used, but not the reverse.
    folder.write(&keys.into_iter().flatten().collect::<Vec<_>>())?;
    folder.write(&certificates)?;
    Ok(table::table(&plan, out, now, order.kubernetes))
}

/// The CA that signs: the one in the folder, or else a new one, which is in the folder afterwards.
fn authority(folder: &Folder, plan: &Plan) -> Result<Issuer<'static, KeyPair>, RunError> {
    let (key, new_key) = key(folder, CA_KEY, true)?;
    if let Some(der) = folder.certificate(CA)?.filter(|_| !plan.new_authority) {
        return Issuer::from_ca_cert_der(&der.into(), key).map_err(RunError::internal);
    }
    folder.write(new_key.as_slice())?;
    let params = x509::authority(&plan.deployment, plan.authority);
    let certificate = params.self_signed(&key).map_err(RunError::internal)?;
    folder.write(&[public(CA.into(), certificate.pem())])?;
    Ok(Issuer::new(params, key))
}

/// The file of the key, if the key is new, and that of the certificate.
fn make(
    folder: &Folder,
    leaf: &Leaf,
    issuer: &Issuer<KeyPair>,
) -> Result<(Option<Written>, Written), RunError> {
    let (key, new_key) = key(folder, &names::key(&leaf.identity), leaf.keeps_key)?;
    let signed = x509::leaf(leaf).and_then(|params: CertificateParams| params.signed_by(&key, issuer));
    let pem = signed.map_err(RunError::internal)?.pem();
    Ok((new_key, public(names::certificate(&leaf.identity), pem)))
}

/// The key in the file `name`, if it is there and stays, or else a new one with the file to write.
fn key(folder: &Folder, name: &str, keep: bool) -> Result<(KeyPair, Option<Written>), RunError> {
    if let Some(key) = folder.key(name)?.filter(|_| keep) {
        return Ok((key, None));
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(RunError::internal)?;
    let file = Written { name: name.to_owned(), pem: key.serialize_pem(), secret: true };
    Ok((key, Some(file)))
}

fn public(name: String, pem: String) -> Written {
    Written { name, pem, secret: false }
}

/// A name for a deployment to which the user gives none. It tells deployments apart, and protects nothing.
fn spare_name() -> Result<String, RunError> {
    let mut drawn = [0_u8; 6];
    getrandom::fill(&mut drawn).map_err(RunError::internal)?;
    // The alphabet has 32 letters and digits that do not look alike.
    let letter = |byte: &u8| char::from(b"abcdefghijkmnpqrstuvwxyz23456789"[usize::from(byte % 32)]);
    Ok(drawn.iter().map(letter).collect())
}
