//! The programs on their hosts: a node on each stage's, and the coordinator.

use super::network::{Host, run};
use super::{CONTROL, DATA};
use crate::run::{Failure, ending, line, unstartable};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a node may take until it is ready, and to end.
const LIMIT: Duration = Duration::from_secs(60);
/// How often a program is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// A program under way, whose output goes to files.
pub struct Program {
    child: Child,
    line: String,
    /// What it prints.
    pub printed: PathBuf,
    /// What it logs.
    pub log: PathBuf,
}

impl Program {
    /// Starts a program, with the files `NAME.out` and `NAME.log` in `folder` for its output.
    pub fn start(command: &mut Command, folder: &Path, name: &str) -> Result<Self, Failure> {
        let file = |path: &Path| {
            File::create(path)
                .map_err(|error| Failure::from(format!("cannot write {}: {error}", path.display())))
        };
        let (printed, log) = (folder.join(format!("{name}.out")), folder.join(format!("{name}.log")));
        command.stdin(Stdio::null()).stdout(file(&printed)?).stderr(file(&log)?);
        let child = command.spawn().map_err(|error| unstartable(command, &error))?;
        Ok(Self { child, line: line(command), printed, log })
    }

    /// Waits for the end of the program.
    pub fn end(&mut self, limit: Duration) -> Result<ExitStatus, Failure> {
        let start = Instant::now();
        while start.elapsed() < limit {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => sleep(LOOK),
                Err(error) => return Err(format!("`{}` cannot be watched ({error})", self.line).into()),
            }
        }
        _ = (self.child.kill(), self.child.wait());
        Err(self.failure(&format!("did not end within {} s", limit.as_secs())))
    }

    /// Waits for the end of a program that should succeed. The failure has the program's exit code.
    pub fn succeed(&mut self, limit: Duration) -> Result<(), Failure> {
        let status = self.end(limit)?;
        if status.success() {
            return Ok(());
        }
        let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        Err(Failure { code, ..self.failure(&ending(status)) })
    }

    /// Fails where the program has ended.
    pub fn goes_on(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(Some(status)) => Err(self.failure(&ending(status))),
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Waits until `file`, which the program writes, holds `words`.
    pub fn says(&mut self, file: &Path, words: &str, limit: Duration) -> Result<(), Failure> {
        let start = Instant::now();
        while !fs::read_to_string(file).unwrap_or_default().contains(words) {
            self.goes_on()?;
            if start.elapsed() > limit {
                return Err(self.failure(&format!("did not say '{words}' within {} s", limit.as_secs())));
            }
            sleep(LOOK);
        }
        Ok(())
    }

    /// Waits until the program, which is a node, prints that it is ready.
    pub fn wait_ready(&mut self) -> Result<(), Failure> {
        let printed = self.printed.clone();
        self.says(&printed, "\"ready\"", LIMIT)
    }

    /// Sends the program a signal, by its name.
    pub fn signal(&self, name: &str) -> Result<(), Failure> {
        run(Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]))
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The last line that the program logged.
    pub fn last_words(&self) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        said.trim_end().lines().last().unwrap_or("it said nothing").into()
    }

    fn failure(&self, why: &str) -> Failure {
        format!("`{}` {why}: {}", self.line, self.last_words()).into()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = (self.child.kill(), self.child.wait());
    }
}

/// Starts a node on a host, and waits until it is ready. It computes with one thread: hosts share the cores of this
/// machine.
pub fn node(host: &Host, build: &Path, folder: &Path, words: &[String]) -> Result<Program, Failure> {
    serve(host.command(build.join("layer-node")), host, folder, words)
}

/// As [`node`], with `command` as the program.
pub fn serve(mut command: Command, host: &Host, folder: &Path, words: &[String]) -> Result<Program, Failure> {
    let at = |port: u16| format!("{}:{port}", host.address);
    command.args(["serve", "--listen", &at(DATA), "--control", &at(CONTROL)]);
    command.args(["--health", "127.0.0.1:0", "--threads", "1", "--state-dir"]).arg(state(folder, host));
    let mut node = Program::start(command.args(words), folder, &host.name)?;
    node.wait_ready()?;
    Ok(node)
}

/// The folder in which the node of a host keeps its state.
pub fn state(folder: &Path, host: &Host) -> PathBuf {
    folder.join(format!("{}-state", host.name))
}

/// The control addresses of these hosts, as `--nodes` takes them.
pub fn nodes(stages: &[&Host]) -> String {
    stages.iter().map(|stage| format!("{}:{CONTROL}", stage.address)).collect::<Vec<_>>().join(",")
}
