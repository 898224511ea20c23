//! The data set of the demo and of the tests that train on real images: Fashion-MNIST, in the caller's own folder or
//! in `data/`.

use crate::prerequisites::{PYTHON, Program};
use crate::run::{DATA, Failure, Root, line, run, say, succeeds};
use std::path::{Path, PathBuf, absolute};
use std::process::Command;
use std::{env, fs};

const VARIABLE: &str = "NEUROPIL_DATA";
const NAME: &str = "fashion-mnist";
const SCRIPT: &str = "fashion_mnist.py";
const CHECKSUMS: &str = "scripts/fashion-mnist.sha256";

/// The programs that the data set needs on this machine: none, unless it has to be fetched.
///
/// # Errors
/// When the caller's own NEUROPIL_DATA lacks the data set, because no file is ever downloaded into it, or when the
/// system lacks Debian's tools, because no package that could be named would install them.
pub fn needs(root: &Root) -> Result<Vec<Program>, Failure> {
    let folder = folder(root);
    let refuse = |why: &str| {
        let place = folder.join(NAME);
        Err(Failure::new(
            DATA,
            format!("{why}: put Fashion-MNIST's four idx files into {}/", place.display()),
        ))
    };
    if is_ready(&folder.join(NAME), &file_names(root)?) {
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

/// Fetches the data set if it is missing, and returns the folder of data sets that NEUROPIL_DATA takes.
///
/// # Errors
/// When a download fails.
pub fn set_up(root: &Root) -> Result<PathBuf, Failure> {
    let folder = folder(root);
    if is_ready(&folder.join(NAME), &file_names(root)?) {
        return Ok(folder);
    }
    let mut script = root.script(SCRIPT);
    say(&line(&script));
    run(&mut script).map_err(|failure| {
        Failure::new(DATA, format!("the data set was not set up: {}", failure.sentence))
    })?;
    Ok(folder)
}

/// The caller's own folder of data sets, or the repository's.
fn folder(root: &Root) -> PathBuf {
    env::var_os(VARIABLE).map_or(root.join("data"), |own| absolute(&own).unwrap_or(own.into()))
}

/// The script checks every file before it renames the folder into place, so it is enough that the files exist.
fn is_ready(folder: &Path, names: &[String]) -> bool {
    names.iter().all(|name| folder.join(name).exists() || folder.join(name.trim_end_matches(".gz")).exists())
}

fn file_names(root: &Root) -> Result<Vec<String>, Failure> {
    let text = fs::read_to_string(root.join(CHECKSUMS))
        .map_err(|error| Failure::new(DATA, format!("{CHECKSUMS} could not be read: {error}")))?;
    Ok(text.lines().filter_map(|line| line.split_whitespace().nth(1)).map(str::to_string).collect())
}
