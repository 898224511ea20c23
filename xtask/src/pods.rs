//! `cargo xtask pods`: rendered overlays of deploy/ run on this machine, each pod in a network namespace of its own.
//!
//! `scripts/pods/` is the cluster. It reads nothing but the rendered files: pods have the arguments, environment, user,
//! mounts, probes and NetworkPolicies that these say.

use crate::prerequisites::{self, IPROUTE, IPTABLES, PIP, PYTHON};
use crate::release::{self, Profile};
use crate::run::{CONFIGURATION, Failure, Root, say, step_with_code};
use crate::{dataset, manifests};
use std::fs;
use std::path::Path;

/// Renders the overlays and runs their pods; with `image`, in the root folder of an image, and else on this machine's
/// system.
pub fn pods(root: &Root, image: Option<&Path>) -> Result<(), Failure> {
    prerequisites::check(&[PYTHON, PIP])?;
    if prerequisites::is_root() {
        prerequisites::check(&[IPROUTE, IPTABLES])?;
    }
    root.script("scripts/manifests_packages.py")?;
    step_with_code(&mut root.python(manifests::PACKAGES, "scripts/pods/tests.py"))?;
    let build = release::programs(root, Profile::Tests)?;
    let folder = build.join(format!("pods-{}", std::process::id()));
    say(&format!("volumes and logs go to {}, which is removed unless something fails", folder.display()));
    let mut cluster = root.python(manifests::PACKAGES, "scripts/pods");
    cluster
        .arg("--build")
        .arg(&build)
        .arg("--data")
        .arg(dataset::or_noise(root, folder.join("data"))?)
        .arg("--folder")
        .arg(&folder);
    if let Some(image) = image {
        let image = image.canonicalize().map_err(|error| {
            let sentence = format!("--root {} cannot be read ({error})", image.display());
            Failure::new(CONFIGURATION, sentence)
        })?;
        cluster.arg("--root").arg(image);
    }
    step_with_code(&mut cluster)?;
    _ = fs::remove_dir_all(folder);
    Ok(())
}
