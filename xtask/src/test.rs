//! `cargo xtask test`: all tests, also those that need a data set where it can be had.

use crate::run::{Failure, Root, say, step};
use crate::{dataset, libtorch, prerequisites};
use std::ffi::OsString;

/// Sets up what is missing and runs the workspace's tests, in one build profile.
///
/// The programs are built first, by a command of their own, because the end-to-end tests start them from the
/// target folder, and cargo builds only the programs of the package under test.
///
/// # Errors
/// What could not be set up, or the cargo command that failed. A data set that cannot be had is only said:
/// the tests that use it skip.
pub fn test(root: &Root, extra: &[OsString]) -> Result<(), Failure> {
    prerequisites::check(&libtorch::needs(root)?)?;
    libtorch::set_up(root)?;
    let data = dataset::needs(root).and_then(|needs| prerequisites::check(&needs));
    let mut build = root.cargo("build --workspace --bins");
    let mut test = root.cargo("test --workspace");
    test.args(extra);
    match data.and_then(|()| dataset::set_up(root)) {
        Ok(folder) => _ = test.env("NEUROPIL_DATA", folder),
        Err(failure) => say(&format!("the tests that use the data set will skip: {}", failure.sentence)),
    }
    step(&mut build)?;
    step(&mut test)
}
