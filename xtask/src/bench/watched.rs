//! A training that is watched from outside: how long its start, its steps and its end take, and what its coordinator
//! costs.

use super::process::finish_looking;
use super::resident;
use crate::json::numbers;
use crate::run::Failure;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How often the run is looked at: its times are known to this.
const LOOK: Duration = Duration::from_millis(2);
/// How long a training may take.
const LIMIT: Duration = Duration::from_secs(600);
/// Steps before those that count.
const WARM: usize = 2;
/// Steps after those that count.
const DRAIN: usize = 3;
/// Linux's ticks of processor time in a second, as /proc counts them.
const TICKS: f64 = 100.0;

/// What was seen of a training.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Watched {
    /// Milliseconds from the launch to the end of the first step.
    pub start: f64,
    /// Milliseconds from the end of the last step to the end of the program.
    pub stop: f64,
    /// Images per second of the steps that count.
    pub rate: f64,
    /// Milliseconds of processor time of the coordinator for a step.
    pub cpu: f64,
    /// The most bytes that the coordinator had resident while it trained.
    pub resident: u64,
}

/// Trains by `command` for so many steps, into `run_dir`.
pub fn train(command: &mut Command, run_dir: &Path, steps: usize, log: &Path) -> Result<Watched, Failure> {
    let metrics = run_dir.join("metrics.jsonl");
    let begun = Instant::now();
    let mut seen = Seen::default();
    finish_looking(command, LIMIT, log, LOOK, |process| {
        let length = fs::metadata(&metrics).map_or(0, |metadata| metadata.len());
        if length > seen.length {
            let text = fs::read(&metrics).unwrap_or_default();
            let done = text.iter().filter(|byte| **byte == b'\n').count();
            seen.see(done, steps, process, begun.elapsed());
            seen.length = length;
        }
    })?;
    let text = fs::read_to_string(&metrics).unwrap_or_default();
    let rates = numbers(&text, "images_per_s");
    let counted = rates.get(WARM..steps.saturating_sub(DRAIN)).unwrap_or_default();
    let (true, Some(first), Some(last)) =
        (rates.len() == steps && !counted.is_empty(), seen.first, seen.last)
    else {
        return Err(format!("{} does not hold {steps} steps", run_dir.display()).into());
    };
    Ok(Watched {
        start: first.as_secs_f64() * 1e3,
        stop: (begun.elapsed() - last).as_secs_f64() * 1e3,
        rate: counted.len() as f64 / counted.iter().map(|rate| 1.0 / rate).sum::<f64>(),
        cpu: seen.cpu(),
        resident: seen.resident,
    })
}

/// What was seen so far.
#[derive(Default)]
struct Seen {
    /// Bytes of the history.
    length: u64,
    first: Option<Duration>,
    last: Option<Duration>,
    /// Steps done and seconds of processor time, after the first steps and now.
    cpu: Option<[(usize, f64); 2]>,
    resident: u64,
}

impl Seen {
    fn see(&mut self, done: usize, steps: usize, process: u32, now: Duration) {
        if done > 0 {
            self.first.get_or_insert(now);
        }
        if done == steps {
            self.last = Some(now);
        }
        let folder = format!("/proc/{process}");
        if let Some([resident, _]) = resident::of(folder.as_ref()).filter(|_| (WARM..steps).contains(&done)) {
            self.resident = self.resident.max(resident);
            let spent = fs::read_to_string(format!("{folder}/stat")).ok().and_then(|stat| seconds(&stat));
            let spent = (done, spent.unwrap_or(0.0));
            self.cpu = Some([self.cpu.map_or(spent, |[first, _]| first), spent]);
        }
    }

    /// Milliseconds of processor time for a step.
    fn cpu(&self) -> f64 {
        let [first, last] = self.cpu.unwrap_or_default();
        1e3 * (last.1 - first.1) / last.0.saturating_sub(first.0).max(1) as f64
    }
}

/// Seconds of processor time in a process's `stat`; the name before the numbers may hold any character.
fn seconds(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_step_is_that_between_the_looks() {
        assert_eq!(seconds("7 (a) b) S 1 1 1 0 -1 0 5 0 0 0 150 50 0 0"), Some(2.0));
        assert_eq!(seconds("7 (a) S"), None);
        let seen = Seen { cpu: Some([(2, 1.0), (12, 1.5)]), ..Seen::default() };
        assert_eq!(seen.cpu(), 50.0);
        assert_eq!(Seen::default().cpu(), 0.0);
    }
}
