//! The kustomize component that makes Secrets of the files. The component must be in the folder, and the order must
//! make all files that it lists.

use std::collections::BTreeSet;
use std::path::Path;

/// The file of the component in a folder of certificates.
pub(super) const COMPONENT: &str = "kustomization.yaml";

/// Checks the component, whose text is `component`, against the files that will be in the folder `out`. Without a
/// component, keys would lie in a folder that git does not ignore, and would not become Secrets.
///
/// # Errors
/// A sentence about a missing component, or about a file of the component that the order does not make.
pub(super) fn check(component: Option<&str>, files: &BTreeSet<String>, out: &Path) -> Result<(), String> {
    let Some(text) = component else {
        return Err(format!(
            "there is no {COMPONENT}: give --out the folder certificates of a base that `coordinator manifests` wrote"
        ));
    };
    let named = text
        .lines()
        .filter_map(|line| Some(line.trim().split_once('=')?.1))
        .filter(|name| name.ends_with(".pem"));
    match named.into_iter().find(|name| !files.contains(*name)) {
        None => Ok(()),
        Some(name) => Err(format!(
            "{} names {name}, which this order does not make: give the --stages and the --backward of the base",
            out.join(COMPONENT).display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_due_and_every_file_of_it_is_made() {
        let text = "files:\n  - ca.crt=ca.pem\n  - tls.crt=stage-0-backward.pem\n";
        let files = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let checked = |text, names| check(text, &files(names), Path::new("base/certificates"));
        assert_eq!(checked(Some(text), &["ca.pem", "stage-0-backward.pem"]), Ok(()));
        let lacks = checked(Some(text), &["ca.pem"]).unwrap_err();
        assert!(
            lacks.starts_with("base/certificates/kustomization.yaml names stage-0-backward.pem, "),
            "{lacks}"
        );
        assert!(checked(None, &["ca.pem"]).unwrap_err().starts_with("there is no kustomization.yaml: "));
    }
}
