//! Building both programs, beside the folder that this program itself was built into.

use crate::run::{Failure, Root, line, run, say, step};
use crate::{dataset, libtorch, prerequisites};
use std::fs;
use std::path::{Path, PathBuf};

/// How the programs are built: as the tests build them, which are then built already, or as they are used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Profile {
    Tests,
    Release,
}

/// Sets up what is missing, data included, and builds: the coordinator, which finds the layer node beside itself, and
/// the folder with the data sets.
pub fn ready(root: &Root) -> Result<(PathBuf, PathBuf), Failure> {
    prerequisites::check(&[libtorch::needs(root)?, dataset::needs(root)?].concat())?;
    let data = dataset::set_up(root)?;
    Ok((programs(root, Profile::Release)?.join("coordinator"), data))
}

/// Builds the layer node that leaks, beside the programs of the tests: no other profile has it.
pub fn leaking(root: &Root) -> Result<(), Failure> {
    step(&mut root.cargo("build --workspace --features layer-node/leaks --bin layer-node-leaking"))
}

/// Builds an example program of a package as it is used, and returns its path. A package that links libtorch takes
/// [`set_up`] first.
pub fn example_of(root: &Root, package: &str, name: &str) -> Result<PathBuf, Failure> {
    if let Some(folder) = root.programs() {
        return Ok(folder.join("examples").join(name));
    }
    step(root.cargo("build --release").args(["-p", package, "--example", name]))?;
    Ok(beside()?.with_file_name("release").join("examples").join(name))
}

/// Builds an example program of the coordinator as it is used, with a feature or without, and returns its path.
pub fn example(root: &Root, name: &str, feature: Option<&str>) -> Result<PathBuf, Failure> {
    let mut cargo = root.cargo("build --release -p coordinator --example");
    cargo.arg(name);
    if let Some(feature) = feature {
        cargo.args(["--features", &format!("coordinator/{feature}")]);
    }
    step(&mut cargo)?;
    // Cargo gives the program one name with all features, and keeps what each of them is made of.
    let built = beside()?.with_file_name("release").join("examples").join(name);
    let own = built.with_file_name(format!("{name}-{}", feature.unwrap_or("default")));
    fs::copy(&built, &own).map_err(|error| format!("cannot copy {}: {error}", built.display()))?;
    Ok(own)
}

/// Sets up what building against libtorch needs.
pub fn set_up(root: &Root) -> Result<(), Failure> {
    prerequisites::check(&libtorch::needs(root)?)?;
    libtorch::set_up(root)
}

/// Sets up what building needs, builds both programs, and returns their folder; or the folder that the caller named.
pub fn programs(root: &Root, profile: Profile) -> Result<PathBuf, Failure> {
    if let Some(folder) = root.programs() {
        return Ok(folder.to_owned());
    }
    set_up(root)?;
    let folder = beside()?;
    // Cargo builds a package with the features that all selected packages and tests ask for.
    let (folder, words) = match profile {
        Profile::Tests => (folder, "test --workspace --no-run"),
        Profile::Release => {
            (folder.with_file_name("release"), "build --bins -p coordinator -p layer-node --release")
        }
    };
    let mut cargo = root.cargo(words);
    let warning =
        if folder.join("coordinator").exists() { "" } else { "   (the first build takes some minutes)" };
    say(&format!("{}{warning}", line(&cargo)));
    run(&mut cargo)?;
    Ok(folder)
}

/// The folder that this program was built into: cargo puts the programs of a profile beside each other.
fn beside() -> Result<PathBuf, Failure> {
    let this = std::env::current_exe().ok();
    let folder = this.as_deref().and_then(Path::parent).map(Path::to_owned);
    Ok(folder.ok_or_else(|| "cargo's target folder was not found".to_string())?)
}
