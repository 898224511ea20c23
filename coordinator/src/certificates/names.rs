//! The names of processes, and of the files in a folder of certificates.

use crate::prepare::file_stem;
use proto::identity::Identity;
use proto::link::Role;

/// The CA's certificate, which every process gets.
pub(super) const CA: &str = "ca.pem";
/// The CA's key, which no process gets.
pub(super) const CA_KEY: &str = "ca-key.pem";

const CERTIFICATE: &str = ".pem";
const KEY: &str = "-key.pem";

/// The certificate of a process, such as `stage-3.pem` or `stage-3-backward.pem`.
pub(super) fn certificate(identity: &Identity) -> String {
    stem(identity) + CERTIFICATE
}

/// The key of a process, such as `stage-3-key.pem`.
pub(super) fn key(identity: &Identity) -> String {
    stem(identity) + KEY
}

/// The process in words, such as `stage 3` or `stage 3, backward`.
pub(super) fn words(identity: &Identity) -> String {
    identity.role().to_string()
}

/// The name of a process, such as `stage-3` or `stage-3-backward`: of its files, and on Kubernetes of its Service.
pub(super) fn stem(identity: &Identity) -> String {
    file_stem(identity.role())
}

/// The file's process, and whether the file is the key; `None` for any other file's name.
pub(super) fn process_of(file: &str) -> Option<(Role, bool)> {
    let (stem, is_key) = match file.strip_suffix(KEY) {
        Some(stem) => (stem, true),
        None => (file.strip_suffix(CERTIFICATE)?, false),
    };
    let identity: Identity = format!("neuropil:any:{}", stem.replace('-', ":")).parse().ok()?;
    Some((identity.role(), is_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_its_process() {
        for (role, name) in [
            (Role::Stage(12), "stage-12"),
            (Role::Backward(12), "stage-12-backward"),
            (Role::Coordinator, "coordinator"),
        ] {
            let identity = Identity::new("lab-2", role).unwrap();
            assert_eq!(certificate(&identity), format!("{name}.pem"));
            assert_eq!(process_of(&certificate(&identity)), Some((role, false)));
            assert_eq!(process_of(&key(&identity)), Some((role, true)));
        }
        let others = ["stage-01.pem", "stage-1.pem.writing", "stage-1", "notes.txt", "stage.pem"];
        for file in [&[CA, CA_KEY, "stage-backward.pem", "stage-1-forward.pem"][..], &others].concat() {
            assert_eq!(process_of(file), None, "{file}");
        }
    }
}
