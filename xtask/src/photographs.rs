//! `cargo xtask photographs`: photographs for tests on a larger scale, and the comparison of their pixels with
//! torchvision's.

use crate::prerequisites::{self, CMAKE, COMPILER, NASM, PIP, PYTHON};
use crate::release;
use crate::run::{Failure, Root, say, step};
use std::path::PathBuf;
use std::process::Command;

/// Their place, as an ImageFolder.
pub const FOLDER: &str = "data/photographs";
/// What compares, and measures, torchvision.
const SCRIPT: &str = "bench/torchvision_input.py";
/// The program that shows what we make of a photograph.
const PROGRAM: &str = "input";
/// The feature of the coordinator that decodes JPEG by libjpeg-turbo.
const FEATURE: &str = "turbojpeg";

/// Puts the photographs into their place; with `compare`, holds what becomes of them against torchvision's.
pub fn photographs(root: &Root, compare: bool) -> Result<(), Failure> {
    set_up(root)?;
    if !compare {
        return Ok(());
    }
    set_up_torchvision(root)?;
    compare_with(root, &program(root)?)?;
    if let Some(program) = turbo_program(root)? {
        say("with the feature turbojpeg:");
        compare_with(root, &program)?;
    }
    Ok(())
}

/// Fetches the photographs where they are not there already.
pub fn set_up(root: &Root) -> Result<(), Failure> {
    prerequisites::check(&[PYTHON, PIP])?;
    root.script("scripts/photographs.py")
}

/// Fetches PyTorch and torchvision where they are not there already.
pub fn set_up_torchvision(root: &Root) -> Result<(), Failure> {
    prerequisites::check(&[COMPILER, PYTHON, PIP])?;
    root.script("scripts/pytorch.py")?;
    root.script("scripts/torchvision.py")
}

/// The script that runs torchvision.
pub fn torchvision(root: &Root) -> Command {
    let packages =
        ["target/pytorch", "target/torchvision"].map(|folder| root.join(folder).display().to_string());
    let mut python = root.python("target/pytorch", SCRIPT);
    python.env("PYTHONPATH", packages.join(":"));
    python
}

/// Builds our side.
pub fn program(root: &Root) -> Result<PathBuf, Failure> {
    release::example(root, PROGRAM, None)
}

/// Builds our side with libjpeg-turbo; `None` where this machine cannot build that, which is said.
pub fn turbo_program(root: &Root) -> Result<Option<PathBuf>, Failure> {
    if let Err(failure) = prerequisites::check(&[CMAKE, NASM, COMPILER]) {
        say(&format!("the feature turbojpeg is left out: {}", failure.sentence));
        return Ok(None);
    }
    release::example(root, PROGRAM, Some(FEATURE)).map(Some)
}

fn compare_with(root: &Root, program: &PathBuf) -> Result<(), Failure> {
    step(torchvision(root).arg("compare").arg(program).arg(FOLDER).arg("target/photographs"))
}
