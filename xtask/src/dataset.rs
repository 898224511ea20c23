//! Fashion-MNIST for the demo and for the tests that train on real images: the caller's own, or `data/`.

use crate::noise;
use crate::prerequisites::{self, PYTHON, Program};
use crate::run::{DATA, Failure, Root, say, succeeds};
use std::env;
use std::path::{PathBuf, absolute};
use std::process::Command;

const VARIABLE: &str = "NEUROPIL_DATA";
/// Training and test samples of the noise that stands in for the data set.
const NOISE: (u32, u32) = (2048, 64);
/// The folder of Fashion-MNIST among data sets.
pub const NAME: &str = "fashion-mnist";
const SCRIPT: &str = "scripts/fashion_mnist.py";
const CHECKSUMS: &str = "scripts/fashion-mnist.sha256";

/// What the data set needs on this machine: nothing, unless it has to be fetched.
///
/// # Errors
/// A caller's own NEUROPIL_DATA without the data set: nothing is ever downloaded into it. Or a system without
/// Debian's tools, which nothing that we could name would install.
pub fn needs(root: &Root) -> Result<Vec<Program>, Failure> {
    let refuse = |why: &str| {
        let folder = folder(root).join(NAME);
        let remedy = format!("put Fashion-MNIST's four idx files into {}/", folder.display());
        Err(Failure::new(DATA, format!("{why}: {remedy}")))
    };
    if is_ready(root)? {
        Ok(vec![])
    } else if env::var_os(VARIABLE).is_some() {
        refuse("NEUROPIL_DATA is set, but the data set is not there")
    } else if let Some(tool) =
        ["apt-get", "dpkg"].iter().find(|tool| !succeeds(Command::new(tool).arg("--version")))
    {
        refuse(&format!("the data set comes out of a Debian package, and there is no {tool} here"))
    } else {
        Ok(vec![PYTHON])
    }
}

/// Fetches the data set where it is not there already, and returns the folder of data sets, as NEUROPIL_DATA
/// means it.
pub fn set_up(root: &Root) -> Result<PathBuf, Failure> {
    if !is_ready(root)? {
        root.script(SCRIPT).map_err(|failure| {
            Failure::new(DATA, format!("the data set was not set up: {}", failure.sentence))
        })?;
    }
    Ok(folder(root))
}

/// The folder of data sets with the demo's; where it cannot be had, `place`, with noise under its name.
pub fn or_noise(root: &Root, place: PathBuf) -> Result<PathBuf, Failure> {
    let ready = needs(root).and_then(|needs| prerequisites::check(&needs));
    ready.and_then(|()| set_up(root)).or_else(|failure| {
        say(&format!("noise stands in for the data set: {}", failure.sentence));
        noise::fresh(&place.join(NAME), noise::idx, NOISE.0, NOISE.1)?;
        Ok(place)
    })
}

/// The caller's own folder of data sets, or ours.
fn folder(root: &Root) -> PathBuf {
    env::var_os(VARIABLE).map_or(root.join("data"), |own| absolute(&own).unwrap_or(own.into()))
}

/// The script checks every file before it renames the folder into place, so that being there is enough here.
fn is_ready(root: &Root) -> Result<bool, Failure> {
    let folder = folder(root).join(NAME);
    let is_there =
        |name: &str| folder.join(name).exists() || folder.join(name.trim_end_matches(".gz")).exists();
    let checksums = root.read(CHECKSUMS).map_err(|failure| Failure::new(DATA, failure.sentence))?;
    Ok(checksums.lines().filter_map(|line| line.split_whitespace().nth(1)).all(is_there))
}
