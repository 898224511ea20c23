//! The release build of both programs, beside the folder that this program itself was built into.

use crate::run::{Failure, INTERNAL, Root, line, run, say};
use crate::{dataset, libtorch, prerequisites};
use std::path::{Path, PathBuf};

/// What a command that trains needs.
pub struct Release {
    /// The program that starts everything; the layer node lies beside it.
    pub coordinator: PathBuf,
    /// The folder with the data sets.
    pub data: PathBuf,
}

/// Sets up what is missing, and builds.
///
/// # Errors
/// What could not be set up or built.
pub fn ready(root: &Root) -> Result<Release, Failure> {
    prerequisites::check(&[libtorch::needs(root)?, dataset::needs(root)?].concat())?;
    libtorch::set_up(root)?;
    let data = dataset::set_up(root)?;
    let coordinator = folder()?.join("coordinator");
    build(root, coordinator.exists())?;
    Ok(Release { coordinator, data })
}

fn build(root: &Root, built_before: bool) -> Result<(), Failure> {
    let mut cargo = root.cargo(&["build", "--release", "--bins", "-p", "coordinator", "-p", "layer-node"]);
    let patience = if built_before { "" } else { "   (the first build takes some minutes)" };
    say(&format!("{}{patience}", line(&cargo)));
    run(&mut cargo)
}

/// Where cargo puts release builds, whatever decided where that is.
fn folder() -> Result<PathBuf, Failure> {
    Ok(own_folder()?.with_file_name("release"))
}

/// The folder of this program, where cargo puts the others of the same profile.
///
/// # Errors
/// When the system does not say.
pub fn own_folder() -> Result<PathBuf, Failure> {
    let this = std::env::current_exe().ok();
    let folder = this.as_deref().and_then(Path::parent).map(Path::to_owned);
    folder.ok_or_else(|| Failure::new(INTERNAL, "cargo's target folder was not found"))
}
