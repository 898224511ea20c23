//! Doubts about usable credentials, which the log names at the start, before another process refuses them.

use super::Credentials;
use super::certificate::{Certificate, utc};
use super::material::Material;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// The time before its end at which a certificate should be renewed.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// The permissions of all other users, and those of the group.
const OTHERS: u32 = 0o007;
const GROUP: u32 = 0o070;

/// One sentence for each doubt.
pub(super) fn doubts(material: &Material, files: &Credentials, now: SystemTime) -> Vec<String> {
    let of = |flag, certificate: &Certificate| time(flag, certificate, now);
    let authorities = material.authorities.iter().filter_map(|ca| of("--tls-ca", &ca.certificate));
    let own = of("--tls-cert", &material.certificate);
    let issued = material.is_issued().err().map(|why| {
        format!(
            "--tls-cert {} is not of --tls-ca {} ({why}): processes that trust only this CA will refuse it",
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
    let key = fs::metadata(&files.key).ok()?;
    // The owner of a process's folder in /proc is the user of the process.
    let is_own = fs::metadata("/proc/self").map_or(true, |process| process.uid() == key.uid());
    is_open(key.mode(), is_own).then(|| {
        format!(
            "--tls-key {} has mode {:04o}, so others on this host may read it: chmod 600",
            files.key.display(),
            key.mode() & 0o7777
        )
    })
}

/// Whether other users may read a key of this mode. A process may read the key of another user as a member of its
/// group: the Secrets of Kubernetes belong to root and to the group of the pod.
fn is_open(mode: u32, is_own: bool) -> bool {
    mode & OTHERS != 0 || is_own && mode & GROUP != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_open_to_others_unless_the_group_is_how_this_process_reads_it() {
        for (mode, is_own, open) in [
            (0o100600, true, false),
            (0o100640, true, true),
            (0o100440, false, false),
            (0o100444, false, true),
            (0o100604, true, true),
        ] {
            assert_eq!(is_open(mode, is_own), open, "{mode:o}");
        }
    }
}
