//! What is doubtful about credentials that can be used: said at the start, before somebody else refuses them.

use super::Credentials;
use super::certificate::{Certificate, utc};
use super::material::Material;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

/// A certificate that expires within this time is to be renewed.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// The permissions of the group and of all others.
const OTHERS: u32 = 0o077;

/// One sentence for each doubt.
pub(super) fn doubts(material: &Material, files: &Credentials, now: SystemTime) -> Vec<String> {
    let of = |flag, certificate: &Certificate| time(flag, certificate, now);
    let authorities = material.authorities.iter().filter_map(|ca| of("--tls-ca", &ca.certificate));
    let own = of("--tls-cert", &material.certificate);
    let issued = material.is_issued().err().map(|why| {
        format!(
            "--tls-cert {} is not of --tls-ca {} ({why}): processes that believe this CA alone will refuse it",
            files.certificate.display(),
            files.ca.display()
        )
    });
    authorities.chain(own).chain(issued).chain(readable(files)).collect()
}

fn time(flag: &str, certificate: &Certificate, now: SystemTime) -> Option<String> {
    let Certificate { from, until, .. } = certificate;
    if *until < now {
        return Some(format!("the certificate of {flag} expired at {}: renew it", utc(*until)));
    }
    if now < *from {
        let clock = utc(now);
        return Some(format!(
            "the certificate of {flag} is not valid before {}, and the clock here says {clock}: set the clock",
            utc(*from)
        ));
    }
    (*until < now + SOON)
        .then(|| format!("the certificate of {flag} expires at {}: renew it soon", utc(*until)))
}

fn readable(files: &Credentials) -> Option<String> {
    let mode = fs::metadata(&files.key).ok()?.permissions().mode();
    (mode & OTHERS != 0).then(|| {
        format!(
            "--tls-key {} has mode {:04o}, so others on this host may read it: chmod 600",
            files.key.display(),
            mode & 0o7777
        )
    })
}
