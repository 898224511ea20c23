//! Programs that a bench measures: each has a limit of time, and a log.

use crate::run::{Failure, Root, ending, line, unstartable};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The network of the benches, where their settings name no other.
const CONFIG: &str = "examples/fashion.toml";
/// How often a program is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// The coordinator of a build, with a command's name, the folder of a data set, and settings.
pub fn coordinator<'a>(
    root: &Root,
    build: &Path,
    name: &str,
    data: &Path,
    settings: impl IntoIterator<Item = &'a &'a str>,
) -> Command {
    let mut command = root.command(build.join("coordinator"));
    command.args([name, "--config", CONFIG, "--set", &format!("data.path={}", data.display())]);
    settings.into_iter().for_each(|setting| _ = command.args(["--set", setting]));
    command
}

/// Runs a program to its end, its number being shown to `look` meanwhile, and returns its output. Its stderr is
/// left in `log`.
///
/// # Errors
/// When it cannot be started, fails, or takes longer than `limit`; it is ended then.
pub fn finish(
    command: &mut Command,
    limit: Duration,
    log: &Path,
    look: impl FnMut(u32),
) -> Result<String, Failure> {
    let printed = log.with_extension("out");
    let file =
        |path: &Path| File::create(path).map_err(|error| format!("cannot write {}: {error}", path.display()));
    command.stdout(file(&printed)?).stderr(file(log)?);
    let mut child = command.spawn().map_err(|error| unstartable(command, &error))?;
    wait(&mut child, limit, look).map_err(|why| {
        // Its own children notice: nodes by a pipe, PyTorch's processes by a signal.
        _ = (child.kill(), child.wait());
        let said = fs::read_to_string(log).unwrap_or_default();
        let last = said.lines().last().unwrap_or("it said nothing");
        format!("`{}` {why}: {last}", line(command))
    })?;
    Ok(fs::read_to_string(printed).unwrap_or_default())
}

fn wait(child: &mut Child, limit: Duration, mut look: impl FnMut(u32)) -> Result<(), String> {
    let start = Instant::now();
    while start.elapsed() < limit {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(ending(status)),
            Ok(None) => sleep(LOOK),
            Err(error) => return Err(format!("could not be watched ({error})")),
        }
        look(child.id());
    }
    Err(format!("did not end within {} s", limit.as_secs()))
}

/// The numbers that follow `"key":` in JSON.
pub fn numbers(json: &str, key: &str) -> Vec<f64> {
    let number = |rest: &str| rest.trim_start().split([',', '}', ']', ' ', '\n']).next()?.parse().ok();
    json.split(&format!("{key:?}:")).skip(1).filter_map(number).collect()
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

    #[test]
    fn numbers_are_read_by_key() {
        assert_eq!(numbers(r#"{"a":[{"n":12,"m":1},{"n": 7.5e1}]}"#, "n"), [12.0, 75.0]);
        assert!(numbers("{}", "n").is_empty());
    }
}
