//! The worker: the one thread that owns every tensor. It takes jobs one at a time from its mailbox.

use crate::exec::clock::Clock;
use crate::exec::lane::LaneRunner;
use crate::exec::session::Session;
use crate::layer::Settings;
use crate::meters::Meters;
use crate::stage::Stage;
use crate::state::checkpoint::{self, Snapshot};
use crate::state::state_dir;
use proto::cancellation::Cancellation;
use proto::control::{Align, Command, Configured, Keep, Report, SnapshotDone};
use proto::failure::Failure;
use proto::lane::Phase;
use proto::spec::stage::StageSpec;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tch::{Device, Kind};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// What the worker can be asked to do.
pub enum Job {
    /// Become a stage.
    Configure {
        /// Which one.
        spec: Box<StageSpec>,
        /// Answered when the layers are built, with one sentence if they cannot be.
        reply: oneshot::Sender<Result<Configured, Failure>>,
    },
    /// Run the stage until the session ends.
    Run {
        /// The run's links and commands.
        session: Box<Session>,
        /// Answered when the worker is idle again.
        done: oneshot::Sender<()>,
    },
    /// Write the state as of the last update, if it is not on disk yet, and stop.
    Stop {
        /// Answered before the thread ends.
        reply: oneshot::Sender<Result<(), String>>,
    },
}

/// The owner of the tensors.
pub struct Worker {
    device: Device,
    state_dir: PathBuf,
    runtime: Handle,
    clock: Clock,
    meters: Meters,
    stage: Option<Configuration>,
}

/// A configured stage.
struct Configuration {
    spec: StageSpec,
    stage: Stage,
    /// Updates that the newest snapshot has seen.
    saved: Option<u64>,
}

/// Starts the worker on a thread of its own. Its mailbox is closed when the thread ends.
pub fn spawn(
    device: Device,
    threads: u32,
    state_dir: PathBuf,
    runtime: Handle,
    meters: Meters,
) -> std::io::Result<mpsc::Sender<Job>> {
    // One run and one call of the control plane at a time; everything else waits in its connection.
    let (mailbox, jobs) = mpsc::channel(2);
    std::thread::Builder::new().name("worker".into()).spawn(move || {
        crate::torch::prepare(threads);
        let worker = Worker { device, state_dir, runtime, clock: Clock::start(), meters, stage: None };
        worker.work(jobs);
    })?;
    Ok(mailbox)
}

impl Worker {
    fn work(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.blocking_recv() {
            match job {
                Job::Configure { spec, reply } => {
                    let _ = reply.send(self.guarded(|worker| worker.configure(*spec)));
                }
                Job::Run { mut session, done } => {
                    if let Err(failure) = self.guarded(|worker| worker.run(&mut session)) {
                        session.cancellation.fail(failure.clone());
                        self.runtime.block_on(session.last_word(failure));
                    }
                    drop(session);
                    let _ = done.send(());
                }
                Job::Stop { reply } => {
                    let saved = self.guarded(|worker| worker.save_unsaved().map_err(Failure::own));
                    let _ = reply.send(saved.map_err(|failure| failure.to_string()));
                    return;
                }
            }
        }
    }

    /// Turns a panic into a sentence that says that it is a bug; the stage is then given up, as it is after an
    /// update that failed on its way.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| work(self)));
        let index = self.stage.as_ref().map(|configured| configured.spec.index);
        let named = |failure: Failure| match index {
            Some(index) => failure.of_stage(index),
            None => failure,
        };
        // A state of no step must never be saved.
        self.stage = self.stage.take().filter(|configured| !configured.stage.is_torn());
        match result {
            Ok(result) => result.map_err(named),
            Err(panic) => {
                self.stage = None;
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
                Err(named(Failure::own(format!(
                    "the worker panicked ({text}): this is a bug, please report it"
                ))))
            }
        }
    }

    fn configure(&mut self, spec: StageSpec) -> Result<Configured, Failure> {
        self.save_unsaved()?;
        self.stage = None;
        let restored = spec.restore.map(|updates| self.snapshot_of(&spec.run, updates)).transpose()?;
        let settings = Settings::of(&spec, self.device, Kind::Float);
        let mut stage = Stage::new(&spec, settings).map_err(|error| error.to_string())?;
        if let Some(snapshot) = restored {
            snapshot.restore(&mut stage.state())?;
            stage.set_updates(snapshot.updates);
        }
        // Last: a stage that is refused moves nothing.
        if let Some(to) = checkpoint::set_aside(&self.state_dir, &spec.run)? {
            tracing::warn!(moved_to = %to.display(), "the state of another run was moved out of the way");
        }
        if let snapshots @ 1.. = checkpoint::bring_back(&self.state_dir, &spec.run)? {
            tracing::warn!(snapshots, "the state of this run, which had been set aside, was moved back");
        }
        let configured = Configured { parameters: stage.parameters(), updates: stage.updates() };
        tracing::info!(
            stage = spec.index,
            layers = spec.layers.len(),
            parameters = configured.parameters,
            updates = configured.updates,
            "configured"
        );
        self.stage = Some(Configuration { saved: spec.restore.or(Some(0)), spec, stage });
        Ok(configured)
    }

    /// The snapshot after `updates`, which must be of `run`, wherever it lies. It is looked at before anything is moved.
    fn snapshot_of(&self, run: &str, updates: u64) -> Result<Snapshot, Failure> {
        let snapshot =
            Snapshot::open_or_retire(&checkpoint::place_of(&self.state_dir, run, updates), updates)?;
        if snapshot.run == run {
            return Ok(snapshot);
        }
        let owner = &snapshot.run;
        Err(format!("the state after {updates} updates belongs to run {owner}, not to run {run}").into())
    }

    fn run(&mut self, session: &mut Session) -> Result<(), Failure> {
        let Some(Configuration { spec, stage, saved }) = &mut self.stage else {
            return Err(Failure::own("the node is not configured"));
        };
        let result = loop {
            let command = self.runtime.block_on(next_command(&mut session.commands, &session.cancellation));
            let report = match command {
                Err(failure) => break Err(failure),
                Ok(None) => break Ok(()),
                Ok(Some(Command::Start(_))) => break Err(Failure::own("a run starts once")),
                Ok(Some(Command::Step(step))) => {
                    let phase = step.lane.phase();
                    forget_future(&self.state_dir, spec, stage.updates(), phase).and_then(|()| {
                        let runner =
                            LaneRunner::new(stage, session, spec.wire, &self.runtime, &self.clock, &step);
                        runner.run().inspect(|done| self.meters.step(done)).map(Report::Step)
                    })
                }
                Ok(Some(Command::Align(_))) if stage.updates() > 0 => {
                    break Err(Failure::own("mirror steps of a delay phase come before the first update"));
                }
                Ok(Some(Command::Align(steps))) => align(stage, &session.cancellation, steps),
                Ok(Some(Command::Snapshot(Keep(keep)))) => {
                    let done = snapshot(&self.state_dir, spec, stage);
                    *saved = done.as_ref().ok().map(|done| done.updates).or(*saved);
                    let newest = spec.keep_snapshots as usize;
                    let pruned = |done: &SnapshotDone| {
                        state_dir::prune(&self.state_dir, done.updates, newest, &keep)
                            .map_err(|error| error.to_string())
                    };
                    done.and_then(|done| pruned(&done).map(|()| Report::Snapshot(done))).map_err(Failure::own)
                }
            };
            let sent = report.and_then(|report| self.runtime.block_on(session.report(report)));
            if let Err(failure) = sent {
                break Err(failure);
            }
        };
        stage.abandon();
        result
    }

    /// A node that is stopped leaves its state as of the last update, beside all that was there: only the
    /// coordinator knows which older snapshots all nodes have.
    fn save_unsaved(&mut self) -> Result<(), String> {
        let Some(Configuration { spec, stage, saved }) = &mut self.stage else { return Ok(()) };
        if *saved != Some(stage.updates()) {
            let done = snapshot(&self.state_dir, spec, stage)?;
            tracing::info!(
                stage = spec.index,
                updates = done.updates,
                "wrote the state as of the last update"
            );
            *saved = Some(done.updates);
        }
        Ok(())
    }
}

/// The first training step after a start removes the later snapshots of the run: the run is about to pass
/// their steps again, and must never be taken up where it was given up. Not before: an evaluation of an
/// earlier state gives nothing up.
fn forget_future(state_dir: &Path, spec: &StageSpec, updates: u64, phase: Phase) -> Result<(), Failure> {
    if phase != Phase::Train || updates != spec.restore.unwrap_or(0) {
        return Ok(());
    }
    state_dir::forget_after(state_dir, updates).map_err(|error| Failure::own(error.to_string()))
}

/// Mirror steps, as long as the run goes on.
fn align(
    stage: &mut Stage,
    cancellation: &Cancellation,
    Align { done, steps }: Align,
) -> Result<Report, Failure> {
    for step in done..done + steps {
        cancellation.check()?;
        stage.align(step).map_err(Failure::own)?;
    }
    Ok(Report::Aligned(done + steps))
}

async fn next_command(
    commands: &mut mpsc::Receiver<Command>,
    cancellation: &Cancellation,
) -> Result<Option<Command>, Failure> {
    tokio::select! {
        biased;
        () = cancellation.ended() => cancellation.check().map(|()| None),
        command = commands.recv() => Ok(command),
    }
}

fn snapshot(state_dir: &Path, spec: &StageSpec, stage: &mut Stage) -> Result<SnapshotDone, String> {
    let begun = Instant::now();
    let updates = stage.updates();
    let bytes =
        checkpoint::save(state_dir, &spec.run, updates, &stage.state()).map_err(|error| error.to_string())?;
    Ok(SnapshotDone { updates, bytes, seconds: begun.elapsed().as_secs_f64() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::named::State;
    use proto::spec::graph::Value;
    use proto::spec::graph::{LayerSpec, Op};

    fn spec() -> StageSpec {
        let layers = vec![LayerSpec::new("bias", &["below"], Op::Bias)];
        let inputs = vec![Value { name: "below".into(), shape: vec![4] }];
        StageSpec { run: "run".into(), index: 3, stages: 5, ..StageSpec::alone(layers, inputs) }
    }

    #[test]
    fn the_first_training_step_forgets_the_future_that_was_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let held = || checkpoint::list(dir.path()).unwrap();
        let save = |steps: &[u64]| {
            for step in steps {
                checkpoint::save(dir.path(), "run", *step, &State::default()).unwrap();
            }
        };
        let back = StageSpec { restore: Some(200), ..spec() };
        let forget =
            |spec: &StageSpec, updates, phase| forget_future(dir.path(), spec, updates, phase).unwrap();
        save(&[100, 200, 250]);
        forget(&back, 200, Phase::Evaluate);
        assert_eq!(held(), [100, 200, 250], "an evaluation gives nothing up");
        forget(&back, 200, Phase::Train);
        assert_eq!(held(), [100, 200]);
        save(&[300]);
        forget(&back, 299, Phase::Train);
        assert_eq!(held(), [100, 200, 300], "no later step looks");
        forget(&spec(), 0, Phase::Train);
        assert_eq!(held(), [0; 0], "a start from the seed gives all up");
    }

    #[test]
    fn a_panic_becomes_a_sentence_and_gives_the_stage_up() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (state_dir, runtime) = (dir.path().to_owned(), runtime.handle().clone());
        let mut worker = Worker {
            device: Device::Cpu,
            state_dir,
            runtime,
            clock: Clock::start(),
            meters: Meters::default(),
            stage: None,
        };
        let failure = worker.guarded(|_| -> Result<(), Failure> { panic!("index out of bounds") });
        let why = "the worker panicked (index out of bounds): this is a bug, please report it";
        assert_eq!(failure, Err(Failure::own(why)));
        assert!(worker.guarded(|_| Ok(())).is_ok(), "the next job finds the worker alive");

        worker.configure(spec()).unwrap();
        let failure = worker.guarded(|_| -> Result<(), Failure> { panic!("index out of bounds") });
        assert_eq!(failure, Err(Failure::own(why).of_stage(3)), "by name of the stage");
        assert!(worker.stage.is_none(), "a stage of which nobody knows in what state it is");
    }
}
