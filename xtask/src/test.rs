//! `cargo xtask test`: all tests, also those that need a data set where it can be had.

use crate::run::{Failure, Root, say, step};
use crate::{dataset, libtorch, prerequisites};
use std::ffi::OsString;

/// Sets up what is missing and runs the workspace's tests, in one build profile.
///
/// The end-to-end tests start the programs from the target folder, where building all tests has put them: another build
/// would choose other features of the dependencies, and compile most of the workspace once more.
///
/// # Errors
/// What could not be set up, or the cargo command that failed. A data set that cannot be had is only said:
/// the tests that use it skip.
pub fn test(root: &Root, extra: &[OsString]) -> Result<(), Failure> {
    prerequisites::check(&libtorch::needs(root)?)?;
    libtorch::set_up(root)?;
    let data = dataset::needs(root).and_then(|needs| prerequisites::check(&needs));
    let mut build = root.cargo("test --workspace --no-run");
    let mut test = root.cargo("test --workspace");
    test.args(extra).env("NEUROPIL_PROGRAMS_ARE_BUILT", "yes");
    match data.and_then(|()| dataset::set_up(root)) {
        Ok(folder) => _ = test.env("NEUROPIL_DATA", folder),
        Err(failure) => say(&format!("the tests that use the data set will skip: {}", failure.sentence)),
    }
    step(&mut build)?;
    step(&mut test)
}
