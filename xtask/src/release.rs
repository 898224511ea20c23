//! The build of both programs, into the folder in which this program was built.

use crate::run::{Failure, INTERNAL, Root, line, run, say};
use crate::{dataset, libtorch, prerequisites};
use std::path::{Path, PathBuf};

/// The files that a training command needs.
pub struct Release {
    /// The coordinator's program. The layer node lies beside it.
    pub coordinator: PathBuf,
    /// The folder with the data sets.
    pub data: PathBuf,
}

/// The build profile of the programs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Profile {
    /// The profile of the tests, whose programs are built already.
    Tests,
    /// The profile of users.
    Release,
}

/// Sets up what is missing, including data, and builds.
///
/// # Errors
/// When set-up or build fails.
pub fn ready(root: &Root) -> Result<Release, Failure> {
    prerequisites::check(&[libtorch::needs(root)?, dataset::needs(root)?].concat())?;
    let data = dataset::set_up(root)?;
    Ok(Release { coordinator: programs(root, Profile::Release)?.join("coordinator"), data })
}

/// Sets up what building needs, builds both programs, and returns their folder.
///
/// # Errors
/// When set-up or build fails.
pub fn programs(root: &Root, profile: Profile) -> Result<PathBuf, Failure> {
    prerequisites::check(&libtorch::needs(root)?)?;
    libtorch::set_up(root)?;
    let folder = own_folder()?;
    let (folder, flag) = match profile {
        Profile::Tests => (folder, None),
        Profile::Release => (folder.with_file_name("release"), Some("--release")),
    };
    let mut cargo = root.cargo(&["build", "--bins", "-p", "coordinator", "-p", "layer-node"]);
    cargo.args(flag);
    let warning =
        if folder.join("coordinator").exists() { "" } else { "   (the first build takes some minutes)" };
    say(&format!("{}{warning}", line(&cargo)));
    run(&mut cargo)?;
    Ok(folder)
}

/// The folder of this program, where cargo puts the others of the same profile.
fn own_folder() -> Result<PathBuf, Failure> {
    let this = std::env::current_exe().ok();
    let folder = this.as_deref().and_then(Path::parent).map(Path::to_owned);
    folder.ok_or_else(|| Failure::new(INTERNAL, "cargo's target folder was not found"))
}
