//! `cargo xtask test`: all tests, also those that need a data set where it can be had.

use crate::run::{Failure, Root, say, step};
use crate::{dataset, libtorch, prerequisites};
use std::ffi::OsString;
use std::time::{Duration, Instant};

/// The tests of real programs that come first where time is short: each holds a promise of the README's first paragraph.
const FIRST: [&str; 12] = [
    "asynchronous::",
    "by_hand::",
    "locality::",
    "old_runs::",
    "pinned::",
    "resume::",
    "same_host::",
    "split::proven",
    "tls::",
    "transparency::",
    "trouble::nodes",
    "zero_bubble::",
];

/// What a caller may choose.
#[derive(Debug, Default, PartialEq)]
pub struct Test {
    /// After so many minutes no further tests of real programs begin than those that come first.
    pub minutes: Option<u64>,
    /// Words for `cargo test`.
    pub extra: Vec<OsString>,
}

/// Sets up what is missing and runs the workspace's tests, in one build profile.
///
/// The end-to-end tests start the programs from the target folder, where building all tests has put them: another build
/// would choose other features of the dependencies, and compile most of the workspace once more.
///
/// # Errors
/// What could not be set up, or the cargo command that failed. A data set that cannot be had is only said:
/// the tests that use it skip.
pub fn test(root: &Root, chosen: &Test) -> Result<(), Failure> {
    let begun = Instant::now();
    prerequisites::check(&libtorch::needs(root)?)?;
    libtorch::set_up(root)?;
    let data = dataset::needs(root).and_then(|needs| prerequisites::check(&needs));
    let mut environment = match data.and_then(|()| dataset::set_up(root)) {
        Ok(folder) => vec![("NEUROPIL_DATA", folder.into_os_string())],
        Err(failure) => {
            say(&format!("the tests that use the data set will skip: {}", failure.sentence));
            vec![]
        }
    };
    environment.push(("NEUROPIL_PROGRAMS_ARE_BUILT", "yes".into()));
    let run = |words: &str| step(root.cargo(words).args(&chosen.extra).envs(environment.iter().cloned()));
    step(&mut root.cargo("test --workspace --no-run"))?;
    let Some(minutes) = chosen.minutes else { return run("test --workspace") };
    // The target `whole` starts the programs; all others begin with another letter.
    run("test --workspace --lib --bins --test [!w]*")?;
    run(&format!("test --workspace --test whole -- {}", FIRST.join(" ")))?;
    if begun.elapsed() > Duration::from_secs(60 * minutes) {
        say(&format!(
            "{minutes} minutes have passed: the other tests of real programs, and of examples in documentation, run by \
             `cargo xtask test`"
        ));
        return Ok(());
    }
    run("test --workspace --doc")?;
    let others: Vec<String> = FIRST.iter().map(|name| format!("--skip {name}")).collect();
    run(&format!("test --workspace --test whole -- {}", others.join(" ")))
}
