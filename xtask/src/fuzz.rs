//! `cargo xtask fuzz`: every decoder of bytes from outside, under a fuzzer.
//!
//! CI leaves the fuzzers out, because their instrumented build alone takes minutes; the tests run the corpora.

use crate::page;
use crate::run::{Failure, Root, said, step, succeeds};
use std::fs;

/// One target for each decoder.
const TARGETS: [&str; 5] = ["framing", "control", "lane", "data", "state"];
/// Where cargo-fuzz is installed where the caller has none.
const TOOLS: &str = "target/tools";
/// The page that says when the fuzzers last ran.
const PAGE: &str = "fuzz/README.md";
/// Inputs for each target, unless the caller says another number.
pub const RUNS: u64 = 200_000;

/// Builds and runs every target, each with `runs` inputs after those of its corpus.
///
/// # Errors
/// A cargo-fuzz that cannot be installed, or a target that found an input on which its decoder fails.
pub fn fuzz(root: &Root, runs: u64) -> Result<(), Failure> {
    if !succeeds(&mut cargo(root, "fuzz --version")) {
        let words = format!("install --quiet --locked --version 0.13.2 --root {TOOLS} cargo-fuzz");
        step(&mut cargo(root, &words))?;
    }
    for target in TARGETS {
        // New inputs go to a folder of their own, because the corpus that is kept is chosen by hand.
        let found = format!("target/corpus/{target}");
        fs::create_dir_all(root.join(&found)).map_err(|error| format!("cannot make {found}: {error}"))?;
        // The seed makes the same sources pass or fail alike.
        let words = format!("fuzz run -s none {target} {found} fuzz/corpus/{target} -- -seed=1 -runs={runs}");
        step(&mut cargo(root, &words))?;
    }
    let date = said(root, "date", &["-u", "+%F"]);
    let commit = said(root, "git", &["describe", "--always", "--dirty"]);
    page::put_into(root, PAGE, "fuzz", &format!("{date}, commit {commit}: {runs} inputs for each target."))
}

/// Cargo, which finds its subcommands in the folder of tools as well.
fn cargo(root: &Root, words: &str) -> std::process::Command {
    let mut cargo = root.cargo(words);
    let own = root.join(TOOLS).join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(own).chain(std::env::split_paths(&path));
    if let Ok(path) = std::env::join_paths(folders) {
        cargo.env("PATH", path);
    }
    cargo
}
