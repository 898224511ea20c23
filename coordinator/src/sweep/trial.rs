//! A trial: a `coordinator train --local` of its own, from its start to its record.
//!
//! The trial holds a pipe from the sweep and takes the pipe's end for an interrupt. The sweep stops a trial by
//! closing the pipe, and the pipe closes by itself when the sweep is killed. The trial's log is locked until the
//! trial has ended, so that a resumed sweep sees which trials of its earlier start still run.

use super::common::DATA_PATH;
use super::ledger::{Record, Status};
use super::median::Stop;
use super::primitives::Subset;
use super::space::Settings;
use super::tail::Tail;
use crate::platform;
use crate::record::files::{self, lock, unwritable};
use crate::record::{METRICS, SUMMARY, Summary};
use crate::run_error::{Cause, RunError};
use proto::process::limits;
use proto::process::signals::Asked;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use toml::Value;

/// How long a trial may take to save and end.
const STOP_DEADLINE: Duration = Duration::from_secs(60);
/// The interval between looks at a trial.
const LOOK: Duration = Duration::from_millis(100);
/// The bytes that must have room on the disk after a failed trial.
const ROOM: usize = 1 << 20;
/// The number of steps in the mean of the final loss, without early stopping.
const RECENT: usize = 50;
/// How often a trial goes on by itself when a node fails, which is seldom caused by its settings.
const RESTARTS: &str = "2";

/// The start of a trial that an earlier process may have begun.
#[derive(Clone, Copy, Debug)]
pub struct Restart {
    /// How long an earlier process of the trial may take to end.
    pub deadline: Duration,
    /// The command by which the user goes on with a trial that did not end.
    pub command: &'static str,
}

impl Restart {
    /// The start of a trial by its sweep. A trial that a killed sweep left may still save.
    pub const BY_SWEEP: Self = Self { deadline: STOP_DEADLINE, command: "--resume" };
}

/// A trial to run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The trial's number.
    pub number: usize,
    /// The trial's case, in a sweep with cases.
    pub case: Option<String>,
    /// The trial's primitives, in a sweep over the matrix of primitives.
    pub subset: Option<Subset>,
    /// The trial's own settings.
    pub settings: Settings,
    /// The settings that all trials share, beyond the base configuration.
    pub common: Settings,
    /// The folder of the data, which comes before that of the settings.
    pub data: Option<String>,
    /// The path of the base configuration.
    pub base: PathBuf,
    /// The trial's run folder.
    pub run_dir: PathBuf,
    /// The file of the trial's output.
    pub log: PathBuf,
    /// Early stopping, and the curves for the trial's comparison.
    pub stop: Option<(Stop, Vec<Vec<f64>>)>,
    /// How the trial begins where an earlier process has begun it.
    pub restart: Restart,
}

impl Trial {
    /// Every key that the trial sets, in the form of `--set`.
    pub fn overrides(&self) -> Vec<String> {
        let all = self.common.iter().chain(&self.settings);
        all.map(|(key, value)| format!("{key}={value}")).collect()
    }

    /// Runs the trial to its end, and resumes it if it has begun before. `None` if `stop`, or a signal to the trial
    /// itself, came first.
    ///
    /// # Errors
    /// A failure that ends the sweep and is not caused by the settings: files that cannot be written, data that
    /// cannot be read, a process that cannot be started, or a process that was killed.
    pub async fn run(&self, stop: &CancellationToken) -> Result<Option<Record>, RunError> {
        let Some(log) = self.log(stop).await? else { return Ok(None) };
        let mut process = self.start(log)?;
        // The pipe is taken because waiting for a process closes its standard input.
        let pipe = process.stdin.take();
        let mut tail = Tail::new(self.run_dir.join(METRICS));
        let by_itself = tokio::select! {
            status = process.wait() => Some(status),
            () = stop.cancelled() => None,
            () = self.given_up(&mut tail) => None,
        };
        drop(pipe);
        let status = match by_itself {
            Some(status) => status,
            None => end(process).await,
        };
        tail.read_on();
        let status = status.map_err(RunError::internal)?;
        let record = self.record(&tail, status);
        let saved = i32::from(Cause::Interrupted.code());
        let asked = status.code().is_some_and(|code| code == saved || Asked::is_code(code));
        let interrupted = stop.is_cancelled() || asked;
        if record.status == Status::Failed && !interrupted {
            self.passing(&record, status)?;
            self.find_room()?;
        }
        Ok(Some(record).filter(|record| !(interrupted && record.status == Status::Failed)))
    }

    /// Refuses a failure that is not caused by the trial's settings: data that cannot be read, which every trial needs,
    /// and a signal that the trial does not handle.
    fn passing(&self, record: &Record, status: ExitStatus) -> Result<(), RunError> {
        match (status.code(), status.signal()) {
            (Some(code), _) if code == i32::from(Cause::Data.code()) => {
                Err(RunError::new(Cause::Data, record.error.clone().unwrap_or_default()))
            }
            (None, signal) => {
                let (trial, signal, command) =
                    (self.number, signal.unwrap_or_default(), self.restart.command);
                let why =
                    format!("trial {trial} was killed by signal {signal}: {command} goes on from there");
                Err(RunError::new(Cause::Interrupted, why))
            }
            _ => Ok(()),
        }
    }

    /// Refuses to go on with a full disk: the failure says nothing about the settings, and the next trials would
    /// fail as well.
    fn find_room(&self) -> Result<(), RunError> {
        let path = self.log.with_extension("room");
        let written = File::create(&path)
            .and_then(|mut file| file.write_all(&vec![0; ROOM]).and_then(|()| file.sync_data()));
        let _ = fs::remove_file(&path);
        written.map_err(|error| unwritable(&self.run_dir, &error))
    }

    /// Opens and locks the log; by then an earlier process of this trial has ended. `None` if `stop` came first.
    async fn log(&self, stop: &CancellationToken) -> Result<Option<File>, RunError> {
        let cannot = |error| unwritable(&self.log, &error);
        let log = File::options().create(true).append(true).open(&self.log).map_err(cannot)?;
        let begun = Instant::now();
        while !lock(&log).map_err(cannot)? {
            if stop.is_cancelled() {
                return Ok(None);
            }
            if begun.elapsed() > self.restart.deadline {
                let why = format!(
                    "trial {} still runs in another process ({} is locked): wait for its end or end it, then {} goes on",
                    self.number,
                    self.log.display(),
                    self.restart.command
                );
                return Err(RunError::new(Cause::Interrupted, why));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(Some(log))
    }

    fn start(&self, log: File) -> Result<Child, RunError> {
        let exe = std::env::current_exe().map_err(RunError::internal)?;
        let mut command = Command::new(exe);
        command.args(["train", "--local", "--exit-with-stdin", "--restarts", RESTARTS]);
        command.arg("--config").arg(&self.base);
        command.arg("--run-dir").arg(&self.run_dir);
        let data = self.data.as_ref().map(|data| format!("{DATA_PATH}={}", Value::from(data.as_str())));
        self.overrides().iter().chain(&data).for_each(|pair| _ = command.args(["--set", pair]));
        // The trial goes on, or begins where there is no run yet.
        command.args(["--resume", "auto"]);
        // A job has one status, and trials of one job would each put their own into it.
        command.env_remove(platform::URL);
        let copy = log.try_clone().map_err(|error| unwritable(&self.log, &error))?;
        // A trial gets a process group of its own, so that only the sweep handles an interrupt from the terminal.
        command.process_group(0).stdin(Stdio::piped()).stdout(copy).stderr(log).kill_on_drop(true);
        let cannot = |error| {
            RunError::internal(format!("trial {} cannot be started {}", self.number, limits::behind(&error)))
        };
        command.spawn().map_err(cannot)
    }

    /// Completes when early stopping stops the trial; never completes without early stopping.
    async fn given_up(&self, tail: &mut Tail) {
        let Some((stop, earlier)) = &self.stop else { return std::future::pending().await };
        loop {
            tokio::time::sleep(LOOK).await;
            tail.read_on();
            if stop.verdict(&stop.curve(tail.losses()), earlier).is_some() {
                return;
            }
        }
    }

    /// The record of the trial. Early stopping takes precedence: a trial that went on for a moment after the stop,
    /// or that failed then, counts as stopped.
    fn record(&self, tail: &Tail, status: ExitStatus) -> Record {
        let losses = tail.losses();
        let mut curve = self.stop.as_ref().map_or_else(Vec::new, |(stop, _)| stop.curve(losses));
        let given_up = self.stop.as_ref().and_then(|(stop, earlier)| stop.verdict(&curve, earlier));
        let steps = given_up.unwrap_or(losses.len());
        if let (Some((stop, _)), Some(step)) = (&self.stop, given_up) {
            curve = stop.cut(curve, step);
        }
        let summary: Option<Summary> = files::read(&self.run_dir, SUMMARY, "").ok();
        let diverged =
            || summary.as_ref().is_some_and(|summary| summary.status.as_deref() == Some("diverged"));
        let ending = match status.code() {
            _ if given_up.is_some() => Status::Stopped,
            Some(0) => Status::Done,
            Some(1) if diverged() => Status::Diverged,
            _ => Status::Failed,
        };
        let done = summary.as_ref().filter(|_| ending == Status::Done);
        let wrong = matches!(ending, Status::Diverged | Status::Failed);
        Record {
            trial: self.number,
            case: self.case.clone(),
            subset: self.subset.clone(),
            settings: self.settings.clone(),
            status: ending,
            test_top1: done.and_then(|summary| summary.test_top1),
            test_top5: done.and_then(|summary| summary.test_top5),
            loss: self.recent_loss(&losses[..steps]),
            angles: tail.angles(steps),
            steps,
            seconds: summary.as_ref().and_then(|summary| summary.seconds),
            images_per_s: summary.as_ref().and_then(|summary| summary.images_per_s),
            error: wrong.then(|| last_words(&self.log, status)),
            code: status.code().filter(|_| ending == Status::Failed),
            curve,
        }
    }

    /// The mean loss of the last steps.
    fn recent_loss(&self, losses: &[f64]) -> Option<f64> {
        let window = self.stop.as_ref().map_or(RECENT, |(stop, _)| stop.every_steps);
        let last = &losses[losses.len().saturating_sub(window)..];
        (!last.is_empty()).then(|| last.iter().sum::<f64>() / last.len() as f64)
    }
}

/// Waits for a trial whose pipe is closed, so that it saves and ends; kills the trial after the deadline.
async fn end(mut process: Child) -> std::io::Result<ExitStatus> {
    if let Ok(status) = tokio::time::timeout(STOP_DEADLINE, process.wait()).await {
        return status;
    }
    process.start_kill()?;
    process.wait().await
}

/// The last sentence of a failed trial, or the process's exit status without one.
fn last_words(log: &Path, status: ExitStatus) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let said = text.lines().last().and_then(|line| line.strip_prefix("error: "));
    said.map_or_else(|| format!("it ended without a word ({status}): see {}", log.display()), str::to_owned)
}
