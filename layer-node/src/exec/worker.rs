//! The worker: the one thread that owns every tensor. It takes jobs one at a time from its mailbox.

use crate::exec::account::Account;
use crate::exec::backward_node::{self, BackwardRunner, Node};
use crate::exec::configuration::Configuration;
use crate::exec::context::{Context, Of};
use crate::exec::device::fault::Fault;
use crate::exec::device::{self, Device};
use crate::exec::half::Half;
use crate::exec::lane::{self, InFlight, LaneRunner, OpenStep, Progress, Ring};
use crate::exec::outbox::Outbox;
use crate::exec::session::{Call, Links, Session};
use crate::meters::Meters;
use crate::state::state_dir::StateDir;
use crate::torch::gpu;
use proto::cancellation::Cancellation;
use proto::clock::Clock;
use proto::control::{Align, Command, Configured, Keep, Report};
use proto::failure::{Failure, FailureKind};
use proto::microbatch::Phase;
use proto::process::{room, threads};
use proto::spec::stage::StageSpec;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// How long torch may take to make its threads.
const PREPARE: Duration = Duration::from_secs(50);

/// A job of the worker.
pub enum Job {
    /// Build a stage.
    Configure {
        /// The stage's specification.
        spec: Box<StageSpec>,
        /// The account of the stage's training, which the worker keeps.
        account: Account,
        /// Sent when the layers are built, or with the failure if they cannot be built.
        reply: oneshot::Sender<Result<Configured, Failure>>,
    },
    /// Run the stage until the session ends.
    Run {
        /// The run's links and commands.
        session: Box<Session>,
        /// Sent when the worker is idle again.
        done: oneshot::Sender<()>,
    },
    /// Write the state as of the last update, if it is not on disk yet, and stop.
    Stop {
        /// Sent before the thread ends.
        reply: oneshot::Sender<Result<(), String>>,
    },
}

/// The reason why the process cannot compute any more, once there is one. The worker ends then.
pub type Spoiled = Arc<OnceLock<String>>;

/// The owner of the tensors.
pub struct Worker {
    device: Box<dyn Device>,
    state_dir: StateDir,
    context: Context,
    stage: Option<Configuration>,
    spoiled: Spoiled,
}

/// Starts the worker on its own thread, and waits until torch's threads exist. The worker's mailbox is closed when the
/// thread ends.
///
/// # Errors
/// A thread that the system does not make, memory that it does not give, or a device that does not open, in one
/// sentence.
pub async fn spawn(
    device: tch::Device,
    threads: u32,
    state_dir: StateDir,
    runtime: Handle,
    clock: Clock,
    meters: Meters,
) -> Result<(mpsc::Sender<Job>, Spoiled), String> {
    // The worker holds one run and one control call at a time; every other call waits in its connection.
    let (mailbox, jobs) = mpsc::channel(2);
    let (prepared, preparing) = oneshot::channel();
    let spoiled = Spoiled::default();
    let told = spoiled.clone();
    threads::spawn("worker", move || {
        let begun = prepare(threads).and_then(|()| open(device, runtime.clone()));
        let (ready, begun) = match begun {
            Ok(begun) => (Ok(()), Some(begun)),
            Err(why) => (Err(why), None),
        };
        let _ = prepared.send(ready);
        let Some((device, outbox)) = begun else { return };
        let context = Context { runtime, clock, meters, outbox };
        Worker { device, state_dir, context, stage: None, spoiled: told }.work(jobs);
    })?;
    let cannot =
        |why: &str| Err(format!("torch cannot compute with {threads} threads ({why}): give fewer --threads"));
    match tokio::time::timeout(PREPARE, preparing).await {
        Ok(Ok(ready)) => ready.map(|()| (mailbox, spoiled)),
        Ok(Err(_)) => cannot("it panicked"),
        Err(_) => cannot(&format!("it was not ready within {} s", PREPARE.as_secs())),
    }
}

/// Makes torch's threads; the calling thread is one of them.
fn prepare(threads: u32) -> Result<(), String> {
    // The check at the start of the program did not include the memory that its other threads have taken since then.
    room::check(room::Needs {
        what: "torch",
        threads: room::threads_of_torch(threads),
        others: 0,
        files: 0,
        otherwise: ", or give fewer --threads",
    })?;
    crate::torch::prepare(threads).map_err(|error| error.to_string())
}

/// Opens the device for the calling thread, with an outbox for its messages.
fn open(device: tch::Device, runtime: Handle) -> Result<(Box<dyn Device>, Outbox), String> {
    let device = device::open(device).map_err(|error| error.to_string())?;
    let outbox = Outbox::new(runtime, device.is_asynchronous())?;
    Ok((device, outbox))
}

impl Worker {
    fn work(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.blocking_recv() {
            match job {
                Job::Configure { spec, account, reply } => {
                    let _ = reply.send(self.guarded(|worker| worker.configure(*spec, account)));
                }
                Job::Run { mut session, done } => {
                    if let Err(failure) = self.guarded(|worker| worker.run(&mut session)) {
                        session.call.cancellation.fail(failure.clone());
                        self.context.runtime.block_on(session.call.last_word(failure));
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
            if self.spoiled.get().is_some() {
                // A spoiled device cannot free memory, and the process ends anyway.
                return std::mem::forget(self);
            }
        }
    }

    /// Turns a panic into a failure that asks for a bug report. The stage is then dropped, as it is after an update
    /// that failed half-way.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| work(self)));
        let role = self.stage.as_ref().map(|configured| configured.spec.role());
        let result = match result {
            Ok(Err(failure)) => Ok(Err(self.without_fault(failure))),
            other => other,
        };
        let named = |failure: Failure| match role {
            Some(role) => failure.of(role),
            None => failure,
        };
        if self.spoiled.get().is_none() {
            // The state in the middle of a step must never be saved.
            self.stage = self.stage.take().filter(|configured| !configured.half.is_torn());
        }
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

    /// The failure in Neuropil's words, if it is a fault of this node's GPU. A fault that spoils the device ends the
    /// worker. A neighbour's failure is left as it is, since it may have the words of that neighbour's GPU.
    fn without_fault(&self, failure: Failure) -> Failure {
        let is_own = failure.kind == FailureKind::Own && failure.of.is_none();
        let of_gpu = is_own && self.device.is_asynchronous();
        let Some(fault) = Fault::of(&failure.sentence).filter(|_| of_gpu) else {
            return failure;
        };
        let expected = self.stage.as_ref().map_or(0, |configured| configured.spec.memory);
        let sentence = fault.told(&failure.sentence, expected);
        if fault == Fault::Spoiled {
            let _ = self.spoiled.set(sentence.clone());
        }
        Failure { sentence, ..failure }
    }

    fn configure(&mut self, spec: StageSpec, account: Account) -> Result<Configured, Failure> {
        self.save_unsaved()?;
        self.stage = None;
        gpu::set_deterministic(spec.deterministic).map_err(Failure::own)?;
        let configuration = Configuration::new(spec, &self.state_dir, &mut *self.device, account)?;
        Ok(self.stage.insert(configuration).configured())
    }

    fn save_unsaved(&mut self) -> Result<(), String> {
        self.stage.as_mut().map_or(Ok(()), Configuration::save_unsaved)
    }

    fn run(&mut self, session: &mut Session) -> Result<(), Failure> {
        let Self { device, context, stage: Some(configured), .. } = self else {
            return Err(Failure::own("the node is not configured"));
        };
        let result = follow(session, configured, &mut **device, context);
        if let Err(failure) = &result {
            // The messages that are still on their way are dropped, too.
            session.call.cancellation.fail(failure.clone());
        }
        let _ = context.outbox.settle(&session.call.cancellation);
        configured.half.abandon();
        configured.account.abandon();
        device.abandon();
        result
    }
}

/// Carries out the commands of a run until there are no more.
fn follow(
    session: &mut Session,
    configured: &mut Configuration,
    device: &mut dyn Device,
    context: &Context,
) -> Result<(), Failure> {
    let Session { links, commands, call } = session;
    let (mut open, mut flight) = (None, InFlight::default());
    loop {
        let mut half = working(configured, device, links, call, &mut open)?;
        let command = match half.work_until(context, || commands.try_recv().ok())? {
            Some(command) => command,
            None => match context.runtime.block_on(next_command(commands, &call.cancellation))? {
                Some(command) => command,
                None => return Ok(()),
            },
        };
        // An open step stays open for a lane of training. Everything else reads B, or is reported after the step.
        if !matches!(&command, Command::Lane(work) if work.lane.phase() == Phase::Train) {
            half.finish(context)?;
        }
        let between = (&mut open, &mut flight);
        carry_out(command, configured, device, (links, call), between, context)?;
    }
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

/// Executes one command, and reports its result. The open step and the work in flight stay from one command to the next.
fn carry_out(
    command: Command,
    configured: &mut Configuration,
    device: &mut dyn Device,
    (links, call): (&mut Links, &Call),
    (open, flight): (&mut Option<OpenStep>, &mut InFlight),
    context: &Context,
) -> Result<(), Failure> {
    let report = match command {
        Command::Start(_) => return Err(Failure::own("a run starts once")),
        Command::Lane(work) => {
            configured.forget_future(work.lane.phase()).map_err(Failure::own)?;
            let progress = Progress::new(&work, context, flight);
            return working(configured, device, links, call, open)?.follow(progress);
        }
        Command::Align(_) if configured.half.updates() > 0 => {
            return Err(Failure::own("mirror steps of a delay phase come before the first update"));
        }
        Command::Snapshot(_) if !flight.microbatches.is_empty() => {
            return Err(Failure::refused("a snapshot is made where no microbatch is under way"));
        }
        Command::Align(steps) => working(configured, device, links, call, open)?.align(context, steps)?,
        Command::Snapshot(Keep(keep)) => Report::Snapshot(configured.snapshot(&keep).map_err(Failure::own)?),
    };
    context.runtime.block_on(call.report(report))
}

/// The half of a stage at work, with the links that are its own.
fn working<'a>(
    configured: &'a mut Configuration,
    device: &'a mut dyn Device,
    links: &'a mut Links,
    call: &'a Call,
    open: &'a mut Option<OpenStep>,
) -> Result<Working<'a>, Failure> {
    let Configuration { half, spec, account, .. } = configured;
    let of = Of { spec, account };
    match (half, links) {
        (Half::Forward(stage), Links::Stage(links)) => {
            Ok(Working::Forward(Ring { stage, device, links, call, of, open }))
        }
        (Half::Backward(half), Links::Backward(link)) => {
            Ok(Working::Backward(Node { half, device, link, call, of }))
        }
        (Half::Forward(_), Links::Backward(_)) | (Half::Backward(_), Links::Stage(_)) => {
            Err(Failure::own("the links are those of the other half: this is a bug"))
        }
    }
}

/// The half of a stage at work.
enum Working<'a> {
    Forward(Ring<'a>),
    Backward(Node<'a>),
}

impl<'a> Working<'a> {
    fn follow(self, progress: Progress<'a>) -> Result<(), Failure> {
        match self {
            Working::Forward(ring) => LaneRunner::new(ring, progress).run(),
            Working::Backward(node) => BackwardRunner::new(node, progress).run(),
        }
    }

    /// Works on the open step of a stage, if there is one, until `came` has something.
    fn work_until<T>(
        &mut self,
        context: &Context,
        mut came: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        match self {
            Working::Forward(ring) => ring.work_until(context, |_| came()),
            Working::Backward(_) => Ok(None),
        }
    }

    /// Closes the open step of a stage, if there is one.
    fn finish(&mut self, context: &Context) -> Result<(), Failure> {
        match self {
            Working::Forward(ring) => ring.finish(context),
            Working::Backward(_) => Ok(()),
        }
    }

    /// Makes mirror steps before the first update, until the run ends.
    fn align(self, context: &Context, steps: Align) -> Result<Report, Failure> {
        match self {
            Working::Forward(ring) => lane::align(ring, context, steps),
            Working::Backward(node) => backward_node::align(node, context, steps),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::device::fake;
    use crate::exec::device::gpu::Gpu;
    use proto::link::Role;
    use proto::spec::graph::{LayerSpec, Op, Value};

    /// A worker on `device` without a stage.
    fn worker(dir: &tempfile::TempDir, runtime: &Handle, device: Box<dyn Device>) -> Worker {
        let state_dir = StateDir { path: dir.path().to_owned(), read_only: false };
        let outbox = Outbox::new(runtime.clone(), device.is_asynchronous()).unwrap();
        let (clock, meters) = (Clock::start(), Meters::default());
        let context = Context { runtime: runtime.clone(), clock, meters, outbox };
        Worker { device, state_dir, context, stage: None, spoiled: Spoiled::default() }
    }

    /// A stage that keeps little.
    fn bias() -> StageSpec {
        let layers = vec![LayerSpec::new("bias", &["below"], Op::Bias)];
        let inputs = vec![Value { name: "below".into(), shape: vec![4] }];
        StageSpec { index: 3, stages: 5, memory: 1 << 30, ..StageSpec::alone(layers, inputs) }
    }

    #[test]
    fn a_spoiled_gpu_ends_the_worker_and_a_full_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let fail = |worker: &mut Worker, why: &str| {
            worker.guarded(|_| -> Result<(), Failure> { Err(Failure::own(why)) }).unwrap_err().sentence
        };
        let mut on_cpu = worker(&dir, runtime.handle(), device::open(tch::Device::Cpu).unwrap());
        assert_eq!(
            fail(&mut on_cpu, fake::BROKEN),
            fake::BROKEN,
            "the words of a GPU, of which there is none"
        );
        assert!(on_cpu.spoiled.get().is_none());

        let gpu = || Box::new(Gpu::new(fake::LateStreams::new(1, usize::MAX)));
        let mut full = worker(&dir, runtime.handle(), gpu());
        full.configure(bias(), Account::default()).unwrap();
        let told = fail(&mut full, "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has");
        assert!(
            told.contains("this stage (plan expects 1.00 GiB for its tensors) asked for 2.00 GiB"),
            "{told}"
        );
        assert!(full.spoiled.get().is_none() && full.stage.is_some());
        let of_neighbour = full.guarded(|_| Err::<(), _>(Failure::neighbour(fake::BROKEN))).unwrap_err();
        assert_eq!((of_neighbour.sentence.as_str(), full.spoiled.get()), (fake::BROKEN, None));
        let told = fail(&mut full, fake::BROKEN);
        assert_eq!(full.spoiled.get(), Some(&told));

        let (mailbox, jobs) = mpsc::channel(1);
        let (reply, answer) = oneshot::channel();
        let spec = Box::new(bias());
        mailbox.try_send(Job::Configure { spec, account: Account::default(), reply }).unwrap();
        full.work(jobs);
        assert!(answer.blocking_recv().is_ok(), "the job is answered");
        assert!(mailbox.is_closed(), "and it is the last one");
    }

    #[test]
    fn a_panic_becomes_a_sentence_and_gives_the_stage_up() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut worker = worker(&dir, runtime.handle(), device::open(tch::Device::Cpu).unwrap());
        let failure = worker.guarded(|_| -> Result<(), Failure> { panic!("index out of bounds") });
        let why = "the worker panicked (index out of bounds): this is a bug, please report it";
        assert_eq!(failure, Err(Failure::own(why)));
        assert!(worker.guarded(|_| Ok(())).is_ok(), "the next job finds the worker alive");

        worker.configure(bias(), Account::default()).unwrap();
        let failure = worker.guarded(|_| -> Result<(), Failure> { panic!("index out of bounds") });
        assert_eq!(failure, Err(Failure::own(why).of(Role::Stage(3))), "by name of the stage");
        assert!(worker.stage.is_none(), "a stage of unknown state is given up");
    }
}
