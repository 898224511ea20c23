//! `cargo xtask dist`: both programs as a folder that runs wherever it lies, and as a tar of that folder.

mod libraries;
mod run_path;

use crate::libtorch;
use crate::prerequisites::{self, PYTHON};
use crate::release::{self, Profile};
use crate::run::{Failure, Root, run, say, step};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs, and whether a program links libtorch.
const PROGRAMS: [(&str, bool); 2] = [("coordinator", false), ("layer-node", true)];
/// The release of both programs, which is the workspace's.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The time of every file in the tar: the beginning of 1980, which all formats of archives can express.
const TIME: &str = "@315532800";
/// What the folder says of itself.
const README: &str = include_str!("dist/cpu.txt");
/// What the folder says of itself where it has no libtorch.
const README_CUDA: &str = include_str!("dist/cuda.txt");

/// Builds, packs the folder and the tar, starts the programs out of the tar, and returns the folder.
///
/// The folder for GPUs has no libtorch: a PyTorch with CUDA on the host brings one.
pub fn dist(root: &Root, profile: Profile, cuda: bool) -> Result<PathBuf, Failure> {
    prerequisites::check(&[PYTHON])?;
    let build = release::programs(root, profile)?;
    let folder = build.with_file_name("dist").join(name(profile, cuda));
    let libraries = libraries::of(&build.join("layer-node"))?;
    pack(root, &build, &folder, if cuda { &[] } else { &libraries })?;
    explain(root, &folder, cuda)?;
    notices(root, &folder, if cuda { None } else { libraries.first() })?;
    let archive = archive(root, &folder)?;
    check(&archive, &folder, cuda.then_some(&libraries))?;
    for path in [&folder, &archive] {
        say(&format!("{}: {} MB", path.display(), size(path)? / 1_000_000));
    }
    Ok(folder)
}

/// The folder's name: the programs of the tests are not mistaken for a release.
fn name(profile: Profile, cuda: bool) -> String {
    let variant = if cuda { "-cuda" } else { "" };
    let purpose = match profile {
        Profile::Tests => "-tests",
        Profile::Release => "",
    };
    format!("neuropil-{VERSION}-x86_64-linux{variant}{purpose}")
}

/// Makes the folder anew, with the programs and these libraries.
fn pack(root: &Root, build: &Path, folder: &Path, libraries: &[PathBuf]) -> Result<(), Failure> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    }
    for (program, links_libtorch) in PROGRAMS {
        let target = copy(&build.join(program), &folder.join("bin"))?;
        if links_libtorch {
            run_path::relocate(&target)?;
        }
    }
    for library in libraries {
        copy(library, &folder.join("lib"))?;
    }
    copy(&root.join("LICENSE"), folder).map(|_| ())
}

fn explain(root: &Root, folder: &Path, cuda: bool) -> Result<(), Failure> {
    let text = if cuda { README_CUDA } else { README };
    let text = text.replace("LIBTORCH_VERSION", &libtorch::wanted_version(root)?).replace("VERSION", VERSION);
    let file = folder.join("README");
    Ok(fs::write(&file, text).map_err(|error| unwritable(&file, &error))?)
}

/// The terms of all that is inside; `library` is one of libtorch, whose folder has its terms beside it.
fn notices(root: &Root, folder: &Path, library: Option<&PathBuf>) -> Result<(), Failure> {
    let mut python = root.command("python3");
    python.args(["-B", "scripts/notices.py"]).arg(folder);
    if let Some(libtorch) = library.and_then(|library| library.parent()?.parent()) {
        python.arg("--libtorch").arg(libtorch);
    }
    step(&mut python)
}

/// Writes the tar beside the folder. Its order, times, owners and modes depend on nothing of this machine.
fn archive(root: &Root, folder: &Path) -> Result<PathBuf, Failure> {
    let name = folder.file_name().unwrap_or_default();
    let archive = folder.with_file_name(format!("{}.tar.gz", name.to_string_lossy()));
    let mut tar = root.command("tar");
    tar.args(["--create", "--sort=name", "--format=gnu", "--mtime", TIME, "--owner=0", "--group=0"]);
    tar.args([
        "--numeric-owner",
        "--mode=u+rw,go-w,a+rX",
        "--use-compress-program=gzip --no-name -1",
        "--file",
    ]);
    step(tar.arg(&archive).arg("--directory").arg(folder.with_file_name("")).arg(name))?;
    Ok(archive)
}

/// Unpacks the tar at another place and starts both programs there, with no environment but where `elsewhere` has the
/// libraries that are not packed.
fn check(archive: &Path, folder: &Path, elsewhere: Option<&Vec<PathBuf>>) -> Result<(), Failure> {
    let place = folder.with_file_name(format!("check-{}", std::process::id()));
    fs::create_dir_all(&place).map_err(|error| unwritable(&place, &error))?;
    let checked = unpacked_start(archive, folder, &place, elsewhere);
    _ = fs::remove_dir_all(&place);
    checked
}

fn unpacked_start(
    archive: &Path,
    folder: &Path,
    place: &Path,
    elsewhere: Option<&Vec<PathBuf>>,
) -> Result<(), Failure> {
    run(Command::new("tar").arg("--extract").arg("--file").arg(archive).arg("--directory").arg(place))?;
    let unpacked = place.join(folder.file_name().unwrap_or_default());
    if elsewhere.is_none() {
        libraries::within(&unpacked.join("bin/layer-node"), &unpacked.join("lib"))?;
    }
    for (program, _) in PROGRAMS {
        let mut command = Command::new(unpacked.join("bin").join(program));
        command.env_clear().arg("--version");
        if let Some(libraries) = elsewhere.and_then(|libraries| libraries.first()?.parent()) {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        step(&mut command)?;
    }
    Ok(())
}

/// Copies a file, or that which a link leads to, into a folder.
fn copy(file: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    let target = folder.join(file.file_name().unwrap_or_default());
    let copied = fs::create_dir_all(folder).and_then(|()| fs::copy(file, &target));
    copied.map_err(|error| format!("cannot copy {} to {} ({error})", file.display(), target.display()))?;
    Ok(target)
}

/// The bytes of a file, or of all files in a folder.
fn size(path: &Path) -> Result<u64, Failure> {
    let unreadable = |error| Failure::from(format!("cannot read {}: {error}", path.display()));
    if path.is_file() {
        return Ok(path.metadata().map_err(unreadable)?.len());
    }
    fs::read_dir(path).map_err(unreadable)?.map(|entry| size(&entry.map_err(unreadable)?.path())).sum()
}

fn unwritable(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write {} ({error}): make room there", path.display())
}
