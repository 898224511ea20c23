//! The processes that a bench measures: each has a time limit and a log.

use crate::run::{Failure, INTERNAL, ending, line, unstartable};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a process is sampled.
const LOOK: Duration = Duration::from_millis(200);

/// Runs a program to its end, and returns its output.
///
/// # Errors
/// The failures of `watch`.
pub fn finish(command: &mut Command, limit: Duration, log: &Path) -> Result<String, Failure> {
    watch(command, limit, log, |_| ())
}

/// Runs a program to its end, and returns its output. `look` gets the number of its process meanwhile. Its stderr is
/// left in `log`.
///
/// # Errors
/// When the program cannot be started, fails, or takes longer than `limit`; it is killed then.
pub fn watch(
    command: &mut Command,
    limit: Duration,
    log: &Path,
    look: impl FnMut(u32),
) -> Result<String, Failure> {
    let printed = log.with_extension("out");
    let file = |path: &Path| {
        File::create(path)
            .map_err(|error| Failure::new(INTERNAL, format!("cannot write {}: {error}", path.display())))
    };
    command.stdout(file(&printed)?).stderr(file(log)?);
    let mut child = command.spawn().map_err(|error| unstartable(command, &error))?;
    let ended = wait(&mut child, limit, look);
    if ended.is_err() {
        // The program's own children notice its end: nodes by a pipe, PyTorch's processes by a signal.
        _ = child.kill();
        _ = child.wait();
    }
    ended.map_err(|why| {
        let said = fs::read_to_string(log).unwrap_or_default();
        let last = said.lines().last().unwrap_or("it said nothing");
        Failure::new(INTERNAL, format!("`{}` {why}: {last}", line(command)))
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
    let number = |rest: &str| {
        let end = rest.find([',', '}', ']', ' ', '\n']).unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    json.split(&format!("{key:?}:")).skip(1).filter_map(|rest| number(rest.trim_start())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(words: &str, limit: u64) -> Result<String, String> {
        let log = std::env::temp_dir().join(format!("xtask-{}-{limit}.log", std::process::id()));
        let result = finish(Command::new("sh").args(["-c", words]), Duration::from_millis(limit), &log);
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
