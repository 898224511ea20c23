//! `cargo xtask verify`: everything that can be judged without running the product.

use crate::run::{CONFIGURATION, Failure, Root, say, step, succeeds};
use crate::{arrows, libtorch, prerequisites};

/// The lints of the program that only tests build.
const LEAKING: &str =
    "clippy --workspace --features layer-node/leaks --bin layer-node-leaking --locked -- -D warnings";

/// The directions of imports; formatting, lints and documentation, each with warnings denied; then the dependencies.
/// The quick form leaves out whatever compiles.
pub fn verify(root: &Root, quick: bool) -> Result<(), Failure> {
    arrows::check(root)?;
    for (name, probe) in [("rustfmt", "fmt --version"), ("clippy", "clippy --version")] {
        if !succeeds(&mut root.cargo(probe)) {
            let sentence = format!("missing here: {name}; install with `rustup component add {name}`");
            return Err(Failure::new(CONFIGURATION, sentence));
        }
    }
    step(&mut root.cargo("fmt --all --check"))?;
    step(root.command("python3").args(["scripts/imagenet_examples.py", "--check"]))?;
    dependencies(root)?;
    if quick { Ok(()) } else { compiled(root) }
}

/// Lints and documentation. Libtorch has to be there because clippy runs the build scripts.
fn compiled(root: &Root) -> Result<(), Failure> {
    prerequisites::check(&libtorch::needs(root)?)?;
    libtorch::set_up(root)?;
    step(&mut root.cargo("clippy --workspace --all-targets --locked -- -D warnings"))?;
    step(&mut root.cargo(LEAKING))?;
    step(root.cargo("doc --workspace --no-deps --locked").env("RUSTDOCFLAGS", "-D warnings"))
}

/// Licences, bans and sources are judged from `deny.toml` alone; advisories need a database, which a machine
/// without open internet cannot fetch. What was not judged is said, not failed.
fn dependencies(root: &Root) -> Result<(), Failure> {
    if !succeeds(&mut root.cargo("deny --version")) {
        say("dependencies were not checked: install with `cargo install --locked cargo-deny`");
        return Ok(());
    }
    step(&mut root.cargo("deny --offline check --hide-inclusion-graph licenses bans sources"))?;
    if !succeeds(&mut root.cargo("deny fetch db")) {
        say("advisories were not checked: `cargo deny fetch db` failed");
        return Ok(());
    }
    step(&mut root.cargo("deny check --disable-fetch advisories"))
}
