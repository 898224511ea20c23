//! The prerequisites: programs that must be on the machine before any set-up, and the command that installs them.

use crate::run::{CONFIGURATION, Failure, succeeds};
use std::env;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

/// A prerequisite: the program's name, the command that shows it is there, and its Debian package.
#[derive(Clone, Copy, PartialEq)]
pub struct Program {
    name: &'static str,
    probe: &'static [&'static str],
    package: &'static str,
}

/// The compiler of libtorch's C++ interface. A caller's own CXX replaces it.
pub const COMPILER: Program = Program { name: "g++", probe: &["g++", "--version"], package: "g++" };
/// The interpreter of the scripts in `scripts/`.
pub const PYTHON: Program = Program { name: "python3", probe: &["python3", "--version"], package: "python3" };
/// The program that downloads libtorch.
pub const PIP: Program =
    Program { name: "pip", probe: &["python3", "-m", "pip", "--version"], package: "python3-pip" };

/// Checks that these programs are there: each of them is run.
///
/// # Errors
/// When programs are missing; the error lists all of them in one sentence, with one command.
pub fn check(programs: &[Program]) -> Result<(), Failure> {
    let mut missing: Vec<&Program> = Vec::new();
    for program in programs {
        if !missing.contains(&program) && !is_there(program) {
            missing.push(program);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|program| program.name).collect();
    let packages: Vec<&str> = missing.iter().map(|program| program.package).collect();
    let sudo = if is_root() { "" } else { "sudo " };
    let install = format!("{sudo}apt-get install -y {}", packages.join(" "));
    Err(Failure::new(CONFIGURATION, format!("missing here: {}; install with `{install}`", names.join(", "))))
}

/// Checks that a component of the Rust toolchain is there.
///
/// # Errors
/// When the component is missing; the error has the command that installs it.
pub fn check_component(name: &str, probe: &mut Command) -> Result<(), Failure> {
    match succeeds(probe) {
        true => Ok(()),
        false => {
            let sentence = format!("missing here: {name}; install with `rustup component add {name}`");
            Err(Failure::new(CONFIGURATION, sentence))
        }
    }
}

fn is_there(program: &Program) -> bool {
    if program.name == COMPILER.name && env::var_os("CXX").is_some() {
        return true;
    }
    succeeds(Command::new(program.probe[0]).args(&program.probe[1..]))
}

/// Whether this process belongs to root: then sudo may be missing, and is not needed.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
