//! The command `cargo xtask verify`: it runs all checks that do not run the product.

use crate::prerequisites::{self, check_component};
use crate::run::{Failure, Root, line, run, say, succeeds};
use crate::{arrows, libtorch};
use std::process::Command;

/// Checks the directions of imports, then formatting, lints and documentation, with warnings denied, then
/// dependencies.
///
/// # Errors
/// The first failed step. Libtorch must be there because clippy runs the build scripts.
pub fn verify(root: &Root) -> Result<(), Failure> {
    arrows::check(root)?;
    check_component("rustfmt", &mut root.cargo(&["fmt", "--version"]))?;
    check_component("clippy", &mut root.cargo(&["clippy", "--version"]))?;
    prerequisites::check(&libtorch::needs(root)?)?;
    libtorch::set_up(root)?;
    step(&mut root.cargo(&["fmt", "--all", "--check"]))?;
    step(&mut root.cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    let mut docs = root.cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    step(docs.env("RUSTDOCFLAGS", "-D warnings"))?;
    dependencies(root)
}

/// Checks licences, bans and sources by `deny.toml` alone. Advisories need a database, which a machine without open
/// internet cannot fetch. Checks that did not run are reported, and do not fail.
fn dependencies(root: &Root) -> Result<(), Failure> {
    if !succeeds(&mut root.cargo(&["deny", "--version"])) {
        say("dependencies were not checked: install with `cargo install --locked cargo-deny`");
        return Ok(());
    }
    step(&mut root.cargo(&[
        "deny",
        "--offline",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]))?;
    if !succeeds(&mut root.cargo(&["deny", "fetch", "db"])) {
        say("advisories were not checked: `cargo deny fetch db` failed");
        return Ok(());
    }
    step(&mut root.cargo(&["deny", "check", "--disable-fetch", "advisories"]))
}

fn step(command: &mut Command) -> Result<(), Failure> {
    say(&line(command));
    run(command)
}
