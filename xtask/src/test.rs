//! The command `cargo xtask test`: it runs all tests, including those that need a data set, if the data set is
//! available.

use crate::run::{Failure, Root, line, run, say};
use crate::{dataset, libtorch, prerequisites};
use std::ffi::OsString;

/// Sets up what is missing and runs the workspace's tests, in one build profile.
///
/// A separate command builds the programs first, because the end-to-end tests start them from the target folder, and
/// cargo builds only the programs of the package under test.
///
/// # Errors
/// When set-up or a cargo command fails. A data set that is not available is only reported, and the tests that use it
/// skip.
pub fn test(root: &Root, extra: &[OsString]) -> Result<(), Failure> {
    prerequisites::check(&libtorch::needs(root)?)?;
    libtorch::set_up(root)?;
    let data = dataset::needs(root).and_then(|needs| prerequisites::check(&needs));
    let mut build = root.cargo(&["build", "--workspace", "--bins"]);
    let mut test = root.cargo(&["test", "--workspace"]);
    test.args(extra);
    match data.and_then(|()| dataset::set_up(root)) {
        Ok(folder) => _ = test.env("NEUROPIL_DATA", folder),
        Err(failure) => say(&format!("the tests that use the data set will skip: {}", failure.sentence)),
    }
    for step in [&mut build, &mut test] {
        say(&line(step));
        run(step)?;
    }
    Ok(())
}
