//! The choice of the libtorch that the build links. If the caller has none, it is fetched into `.libtorch/`.

use crate::prerequisites::{COMPILER, PIP, PYTHON, Program};
use crate::run::{CONFIGURATION, Failure, INTERNAL, Root, line, run, say};
use std::path::{Path, PathBuf};
use std::{env, fs};

const SCRIPT: &str = "libtorch.py";
const LOCK: &str = "scripts/libtorch.lock";

/// The programs that a build with libtorch needs on this machine: a compiler, and more if libtorch has to be fetched.
///
/// A caller's own LIBTORCH_USE_PYTORCH or LIBTORCH is checked here, and never fetched. The order is torch-sys's: if
/// LIBTORCH_USE_PYTORCH is set, to any value, torch-sys does not read LIBTORCH.
///
/// # Errors
/// When a caller's own libtorch does not exist or has another version.
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

/// Fetches libtorch unless the caller has one or it is there already.
///
/// # Errors
/// When a download fails.
pub fn set_up(root: &Root) -> Result<(), Failure> {
    let callers = env::var_os("LIBTORCH_USE_PYTORCH").is_some() || callers_own(root).is_some();
    if callers || is_ready(root, &wanted_version(root)?) {
        return Ok(());
    }
    let mut script = root.script(SCRIPT);
    say(&line(&script));
    run(&mut script)
        .map_err(|failure| Failure::new(INTERNAL, format!("libtorch was not set up: {}", failure.sentence)))
}

/// The LIBTORCH that the caller set. Cargo sets LIBTORCH too, to the repository's own folder (`.cargo/config.toml`),
/// for every program that it runs: that value is not the caller's choice.
fn callers_own(root: &Root) -> Option<PathBuf> {
    let folder = PathBuf::from(env::var_os("LIBTORCH")?);
    (folder != root.join(".libtorch")).then_some(folder)
}

fn check_folder(folder: &Path, version: &str) -> Result<(), Failure> {
    let refuse = |what: &str| {
        let folder = folder.display();
        let sentence = format!(
            "LIBTORCH={folder} {what}: set it to a libtorch {version}, or unset it to have one set up"
        );
        Err(Failure::new(CONFIGURATION, sentence))
    };
    if !folder.is_absolute() {
        return refuse("is not an absolute path");
    }
    if !folder.join("lib/libtorch_cpu.so").exists() {
        return refuse("has no lib/libtorch_cpu.so");
    }
    match version_of(folder) {
        Some(found) if !agrees(&found, version) => refuse(&format!("is version {found}")),
        _ => Ok(()),
    }
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

/// Whether libtorch is complete: the script writes the version last, and renames the folder into place.
fn is_ready(root: &Root, version: &str) -> bool {
    let folder = root.join(".libtorch");
    folder.join("lib/libtorch_cpu.so").exists()
        && version_of(&folder).is_some_and(|found| agrees(&found, version))
}

/// The version that a distribution of libtorch names. A libtorch inside a PyTorch package names none.
fn version_of(folder: &Path) -> Option<String> {
    fs::read_to_string(folder.join("build-version")).ok().map(|text| text.trim().to_string())
}

/// Whether a version, such as `2.11.0+cu130`, is the wanted version. torch-sys's own switch turns the check off.
fn agrees(found: &str, wanted: &str) -> bool {
    found.split('+').next() == Some(wanted) || env::var_os("LIBTORCH_BYPASS_VERSION_CHECK").is_some()
}

/// The version of libtorch that is linked.
///
/// # Errors
/// When the lock does not name the version.
pub fn wanted_version(root: &Root) -> Result<String, Failure> {
    let lock = fs::read_to_string(root.join(LOCK)).unwrap_or_default();
    let version = lock.lines().find_map(|line| line.strip_prefix("torch==")?.split_whitespace().next());
    version
        .map(str::to_string)
        .ok_or_else(|| Failure::new(INTERNAL, format!("{LOCK} names no version of torch")))
}
