//! Which libtorch the build links, and getting one into `.libtorch/` when the caller has none.

use crate::prerequisites::{COMPILER, PIP, PYTHON, Program};
use crate::run::{CONFIGURATION, Failure, Root};
use std::path::{Path, PathBuf};
use std::{env, fs};

const SCRIPT: &str = "scripts/libtorch.py";
const LOCK: &str = "scripts/libtorch.lock";

/// What building against libtorch needs on this machine: a compiler, and more where libtorch has to be fetched.
///
/// A caller's own LIBTORCH_USE_PYTORCH or LIBTORCH is looked at here, refused where it has another version, and never
/// fetched. The order is torch-sys's: where LIBTORCH_USE_PYTORCH is set, with any value, it does not look at LIBTORCH.
pub fn needs(root: &Root) -> Result<Vec<Program>, Failure> {
    let version = wanted_version(root)?;
    if env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
        check_pytorch(&version)?;
    } else if let Some(folder) = callers_own(root) {
        check_folder(&folder, &version)?;
    } else if !is_ready(root, &version) {
        return Ok(vec![COMPILER, PYTHON, PIP]);
    }
    Ok(vec![COMPILER])
}

/// Fetches libtorch where it is neither the caller's own nor there already.
pub fn set_up(root: &Root) -> Result<(), Failure> {
    let callers = env::var_os("LIBTORCH_USE_PYTORCH").is_some() || callers_own(root).is_some();
    if callers || is_ready(root, &wanted_version(root)?) {
        return Ok(());
    }
    root.script(SCRIPT).map_err(|failure| format!("libtorch was not set up: {}", failure.sentence).into())
}

/// The LIBTORCH that the caller set. Cargo sets it too, to our own folder (`.cargo/config.toml`), for every
/// program that it runs: that value is nobody's choice.
fn callers_own(root: &Root) -> Option<PathBuf> {
    let folder = PathBuf::from(env::var_os("LIBTORCH")?);
    (folder != root.join(".libtorch")).then_some(folder)
}

fn check_folder(folder: &Path, version: &str) -> Result<(), Failure> {
    let problem = if !folder.is_absolute() {
        "is not an absolute path".to_string()
    } else if !folder.join("lib/libtorch_cpu.so").exists() {
        "has no lib/libtorch_cpu.so".to_string()
    } else if let Some(found) = version_of(folder).filter(|found| !agrees(found, version)) {
        format!("is version {found}")
    } else {
        return Ok(());
    };
    let folder = folder.display();
    let sentence = format!(
        "LIBTORCH={folder} {problem}: set it to a libtorch {version}, or unset it to have one set up"
    );
    Err(Failure::new(CONFIGURATION, sentence))
}

fn check_pytorch(version: &str) -> Result<(), Failure> {
    let mut python = std::process::Command::new(match env::var_os("VIRTUAL_ENV") {
        Some(_) => "python", // as torch-sys chooses
        None => "python3",
    });
    python.args(["-c", "import torch; print(torch.__version__)"]);
    let found = python.output().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    let problem = match found.unwrap_or_default() {
        found if found.is_empty() => "python3 cannot import torch".to_string(),
        found if !agrees(&found, version) => format!("python3's torch is version {found}"),
        _ => return Ok(()),
    };
    let sentence = format!("LIBTORCH_USE_PYTORCH is set but {problem}: install torch {version}, or unset it");
    Err(Failure::new(CONFIGURATION, sentence))
}

/// The script writes the version last and renames the folder into place, so the version means complete.
fn is_ready(root: &Root, version: &str) -> bool {
    let folder = root.join(".libtorch");
    folder.join("lib/libtorch_cpu.so").exists()
        && version_of(&folder).is_some_and(|found| agrees(&found, version))
}

/// What a distribution of libtorch says of itself; one inside a PyTorch package says nothing.
fn version_of(folder: &Path) -> Option<String> {
    fs::read_to_string(folder.join("build-version")).ok().map(|text| text.trim().to_string())
}

/// Whether a version, such as `2.11.0+cu130`, is the wanted one; torch-sys's own switch turns the question off.
fn agrees(found: &str, wanted: &str) -> bool {
    found.split('+').next() == Some(wanted) || env::var_os("LIBTORCH_BYPASS_VERSION_CHECK").is_some()
}

/// The version of libtorch that is linked.
pub fn wanted_version(root: &Root) -> Result<String, Failure> {
    let lock = fs::read_to_string(root.join(LOCK)).unwrap_or_default();
    let version = lock.lines().find_map(|line| line.strip_prefix("torch==")?.split_whitespace().next());
    Ok(version.map(str::to_string).ok_or_else(|| format!("{LOCK} names no version of torch"))?)
}
