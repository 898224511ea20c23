//! `cargo xtask manifests`: every overlay of `deploy/` as a cluster would get it, rendered and checked.
//!
//! Python renders and validates, since kubectl and the schemas of Kubernetes are packages of Python; the tests of the
//! rendered files are Rust, since they compare them with the configuration and the certificates that the programs read.

use crate::prerequisites::{self, PIP, PYTHON};
use crate::release::{self, Profile};
use crate::run::{Failure, Root, step};

/// The packages that check manifests, as their script sets them up.
pub const PACKAGES: &str = "target/manifests-packages";
/// The copy of `deploy/` with throw-away certificates, and the rendered overlays.
const OUT: &str = "target/manifests";

/// Renders every overlay, validates the results, and runs their tests.
pub fn manifests(root: &Root) -> Result<(), Failure> {
    prerequisites::check(&[PYTHON, PIP])?;
    root.script("scripts/manifests_packages.py")?;
    step(&mut root.python(PACKAGES, "scripts/manifests/tests.py"))?;
    let coordinator = release::programs(root, Profile::Tests)?.join("coordinator");
    step(root.python(PACKAGES, "scripts/manifests").arg(coordinator).arg(OUT))?;
    let mut tests = root.cargo("test --workspace --test rendered");
    step(tests.env("NEUROPIL_RENDERED", root.join(OUT).join("rendered")))
}
