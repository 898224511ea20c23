//! What has to be on the machine before anything can be set up, and the command that installs it.

use crate::run::{CONFIGURATION, Failure, succeeds};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::{env, fs};

/// A program that something needs: its name, the words that show it is there, and Debian's package of it.
#[derive(Clone, Copy, PartialEq)]
pub struct Program {
    name: &'static str,
    probe: &'static [&'static str],
    package: &'static str,
}

/// Compiles libtorch's C++ interface; a caller's own CXX stands for it.
pub const COMPILER: Program = Program { name: "g++", probe: &["g++", "--version"], package: "g++" };
/// Runs the scripts that fetch things.
pub const PYTHON: Program = Program { name: "python3", probe: &["python3", "--version"], package: "python3" };
/// Downloads libtorch.
pub const PIP: Program =
    Program { name: "pip", probe: &["python3", "-m", "pip", "--version"], package: "python3-pip" };
/// Configures the build of libjpeg-turbo.
pub const CMAKE: Program = Program { name: "cmake", probe: &["cmake", "--version"], package: "cmake" };
/// Assembles the vector instructions of libjpeg-turbo.
pub const NASM: Program = Program { name: "nasm", probe: &["nasm", "-v"], package: "nasm" };
/// Makes network namespaces.
pub const IPROUTE: Program = Program { name: "ip", probe: &["ip", "-V"], package: "iproute2" };
/// Is the firewall between them.
pub const IPTABLES: Program =
    Program { name: "iptables", probe: &["iptables", "--version"], package: "iptables" };
/// Captures their links.
pub const TCPDUMP: Program =
    Program { name: "tcpdump", probe: &["tcpdump", "--version"], package: "tcpdump" };

/// Checks that these programs are there, by running each; all that are missing are one sentence with one command.
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
    // Where this process is root's there may be no sudo, and it isn't needed.
    let sudo = if is_root() { "" } else { "sudo " };
    let install = format!("{sudo}apt-get install -y {}", packages.join(" "));
    Err(Failure::new(CONFIGURATION, format!("missing here: {}; install with `{install}`", names.join(", "))))
}

/// Whether this process is root's.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn is_there(program: &Program) -> bool {
    let own_compiler = program.name == COMPILER.name && env::var_os("CXX").is_some();
    own_compiler || succeeds(Command::new(program.probe[0]).args(&program.probe[1..]))
}
