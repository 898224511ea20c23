//! Programs that a bench measures: each has a limit of time, and a log.

use crate::run::{Failure, Root, ending, line, unstartable};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The network of the benches, where their settings name no other.
const CONFIG: &str = "examples/fashion.toml";
/// How often a program is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// The coordinator of a build, with a command's name, the folder of a data set, and settings.
pub fn coordinator(
    root: &Root,
    build: &Path,
    name: &str,
    data: &Path,
    settings: &[impl AsRef<str>],
) -> Command {
    coordinator_with(root, build, name, CONFIG.as_ref(), data, settings)
}

/// As [`coordinator`], with a configuration of the bench's own.
pub fn coordinator_with(
    root: &Root,
    build: &Path,
    name: &str,
    config: &Path,
    data: &Path,
    settings: &[impl AsRef<str>],
) -> Command {
    let mut command = root.command(build.join("coordinator"));
    command.args([name, "--config"]).arg(config);
    command.args(["--set", &format!("data.path={}", data.display())]);
    settings.iter().for_each(|setting| _ = command.args(["--set", setting.as_ref()]));
    command
}

/// Runs a program to its end, its number being shown to `look` meanwhile, and returns its output. Its stderr is
/// left in `log`. It is ended when it takes longer than `limit`.
pub fn finish(
    command: &mut Command,
    limit: Duration,
    log: &Path,
    look: impl FnMut(u32),
) -> Result<String, Failure> {
    finish_looking(command, limit, log, LOOK, look)
}

/// As [`finish`], where the program is looked at `every` so often.
pub fn finish_looking(
    command: &mut Command,
    limit: Duration,
    log: &Path,
    every: Duration,
    mut look: impl FnMut(u32),
) -> Result<String, Failure> {
    let printed = log.with_extension("out");
    let file =
        |path: &Path| File::create(path).map_err(|error| format!("cannot write {}: {error}", path.display()));
    command.stdout(file(&printed)?).stderr(file(log)?);
    let mut child = command.spawn().map_err(|error| unstartable(command, &error))?;
    let start = Instant::now();
    let why = loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => {
                return Ok(fs::read_to_string(printed).unwrap_or_default());
            }
            Ok(Some(status)) => break ending(status),
            Ok(None) if start.elapsed() > limit => break format!("did not end within {} s", limit.as_secs()),
            Ok(None) => sleep(every),
            Err(error) => break format!("could not be watched ({error})"),
        }
        look(child.id());
    };
    // Its own children notice: nodes by a pipe, PyTorch's processes by a signal.
    _ = (child.kill(), child.wait());
    let said = fs::read_to_string(log).unwrap_or_default();
    let last = said.lines().last().unwrap_or("it said nothing");
    Err(format!("`{}` {why}: {last}", line(command)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(words: &str, limit: u64) -> Result<String, String> {
        let log = std::env::temp_dir().join(format!("xtask-{}-{limit}.log", std::process::id()));
        let result =
            finish(Command::new("sh").args(["-c", words]), Duration::from_millis(limit), &log, |_| ());
        _ = (fs::remove_file(log.with_extension("out")), fs::remove_file(&log));
        result.map_err(|failure| failure.sentence)
    }

    #[test]
    fn a_program_is_read_judged_and_ended_in_time() {
        assert_eq!(shell("echo 7", 60_000).unwrap(), "7\n");
        let failed = shell("echo why >&2; exit 3", 60_001).unwrap_err();
        assert!(failed.ends_with("ended with exit code 3: why"), "{failed}");
        let late = shell("exec sleep 60", 150).unwrap_err();
        assert!(late.contains("did not end within"), "{late}");
    }
}
