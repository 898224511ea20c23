//! Running a program, with a sentence when it fails.

use std::ffi::OsStr;
use std::io::{Write, stdout};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf, absolute};
use std::process::{Command, ExitStatus, Stdio};
use std::{env, fs};

/// Exit code of what the caller can put right: a missing prerequisite, a variable that points nowhere.
pub const CONFIGURATION: u8 = 2;
/// Exit code of a data set that cannot be had.
pub const DATA: u8 = 3;
/// Exit code of something on a wire that locality forbids.
pub const VIOLATION: u8 = 5;

/// Why a command stopped.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    /// The last line on stderr, without its `error: `.
    pub sentence: String,
}

impl Failure {
    pub fn new(code: u8, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into() }
    }
}

/// A sentence without an exit code of its own: a step failed.
impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Self { code: 1, sentence }
    }
}

/// The folder of this repository; every program is started in it, wherever `cargo xtask` was called.
pub struct Root {
    folder: PathBuf,
    /// The folder of programs that are built already and are used in place of new builds.
    programs: Option<PathBuf>,
}

impl Root {
    /// The folder above this package: the one that cargo names now, or named when it built this program.
    pub fn find() -> Self {
        let package =
            env::var_os("CARGO_MANIFEST_DIR").map_or(env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        Self { folder: package.parent().map_or(".".into(), Path::to_path_buf), programs: None }
    }

    /// The same folder, with programs that are built already, or without.
    pub fn with_programs(&self, programs: Option<PathBuf>) -> Self {
        Self { folder: self.folder.clone(), programs }
    }

    /// The folder of the programs that are built already, if the caller named one.
    pub fn programs(&self) -> Option<&Path> {
        self.programs.as_deref()
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// A path inside the repository.
    pub fn join(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The text of a file of the repository.
    pub fn read(&self, path: &str) -> Result<String, Failure> {
        Ok(fs::read_to_string(self.join(path))
            .map_err(|error| format!("{path} could not be read: {error}"))?)
    }

    /// A program that will run in the repository's folder.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder);
        command
    }

    /// Cargo with these words, in the environment of a cargo that was called by hand.
    ///
    /// `cargo run` describes the package that it runs in CARGO_MANIFEST_* and CARGO_PKG_*. Build scripts that
    /// watch these would run again, and rebuild, each time the caller goes from `cargo xtask` to plain cargo.
    pub fn cargo(&self, words: &str) -> Command {
        let mut cargo = self.command("cargo");
        cargo.args(words.split(' '));
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_PKG_") {
                cargo.env_remove(&name);
            }
        }
        if let Some(folder) = env::var_os("CARGO_TARGET_DIR").and_then(|folder| absolute(folder).ok()) {
            cargo.env("CARGO_TARGET_DIR", folder);
        }
        cargo
    }

    /// A Python script that will run with the packages in a folder, which leaves no compiled files beside itself.
    pub fn python(&self, packages: &str, script: &str) -> Command {
        let mut python = self.command("python3");
        python.env("PYTHONPATH", self.join(packages)).env("PYTHONDONTWRITEBYTECODE", "1").arg(script);
        python
    }

    /// Runs a Python script.
    pub fn script(&self, path: &str) -> Result<(), Failure> {
        step(self.command("python3").arg(path))
    }
}

/// Prints a step's heading: what is about to happen. A reader who has left, as `head` does, is no error.
pub fn say(text: &str) {
    _ = writeln!(stdout(), "==> {text}");
}

/// Says a program's line, and runs it.
pub fn step(command: &mut Command) -> Result<(), Failure> {
    say(&line(command));
    run(command)
}

/// As [`step`]; a failure has the program's own exit code.
pub fn step_with_code(command: &mut Command) -> Result<(), Failure> {
    say(&line(command));
    let status = command.status().map_err(|error| unstartable(command, &error))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    let sentence = || format!("`{}` {}", line(command), ending(status));
    if status.success() { Ok(()) } else { Err(Failure::new(code, sentence())) }
}

/// Runs a program to its end, its output passed through; the failure names the program and how it ended.
pub fn run(command: &mut Command) -> Result<(), Failure> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` {}", line(command), ending(status)).into()),
        Err(error) => Err(unstartable(command, &error)),
    }
}

/// What a program says, in one line: for words about this machine. A program that says nothing makes them `unknown`.
pub fn said(root: &Root, program: &str, words: &[&str]) -> String {
    let output = root.command(program).args(words).stderr(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or("unknown".into())
}

/// Whether a program can be started and succeeds; nothing is shown of it.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The failure to start a program.
pub fn unstartable(command: &Command, error: &std::io::Error) -> Failure {
    format!("`{}` could not be started: {error}", line(command)).into()
}

/// A command as one would type it.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// How a program ended that did not succeed.
pub fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended without an exit code".into(),
    }
}
