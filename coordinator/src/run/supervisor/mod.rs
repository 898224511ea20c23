//! The supervisor: decides the next command of a run, from its first start to its end. It is a pure function of the
//! events so far, without sockets, files or clocks. [`drive`](super::drive) acts on its commands and reports the
//! result of each.
//!
//! ```text
//! Find ─▶ Ask (where a run is taken up again) ─▶ Rewind ─▶ Open ─▶ Submit, Take, … ─▶ Close ─▶ Release ─▶ End
//!  ▲                                                                    any failure ───▲         │
//!  └──────────────────────────────── Restart ◀───────────────────────────────────────────────────┘
//! ```

mod drains;
#[cfg(test)]
mod tests;

use super::resume::{Common, Resume, Survey};
use crate::driver::IN_FLIGHT;
use crate::plural::parties;
use crate::prepare::{Course, Item, Items};
use crate::run_error::{Cause, RunError};
use proto::link::{Peer, Role};
use proto::microbatch::Phase;
use proto::spec::begin::Begin;
use std::collections::VecDeque;
use std::iter::Peekable;
use std::path::PathBuf;
use std::time::Duration;

/// How long a node may take to see that an earlier start of the run is over. A node notices a silent coordinator by
/// keepalives, after at most 10 s.
const RELEASE_DEADLINE: Duration = Duration::from_secs(14);
/// The pause before busy nodes are asked again.
const PAUSE: Duration = Duration::from_millis(100);
/// The pause before the restart after a start without a step. Each such start doubles the pause: the cause may need some
/// time to go away, and the restarts must not all be used up meanwhile.
const FRUITLESS_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The result of a command.
#[derive(Clone, Debug)]
pub enum Event {
    /// A start of the run began: the first start, or another after [`Command::Restart`].
    Begun,
    /// These are the nodes, stages first.
    Found(Vec<Peer>),
    /// The node at this place still works for an earlier start of the run, so its snapshots may still change.
    Busy(usize),
    /// The nodes answered [`Command::Ask`].
    Held(Survey),
    /// The history now ends at the step from which the run goes on.
    Rewound,
    /// The pipeline is open.
    Opened,
    /// An item is in the pipeline.
    Submitted,
    /// The oldest item came out of the pipeline and is recorded.
    Taken,
    /// The pipeline is closed.
    Closed,
    /// The nodes were released.
    Released,
    /// The user stopped the run before the pipeline was open.
    Stopped,
    /// A command failed.
    Failed(RunError),
}

/// The next command; each command ends with one event.
#[derive(Clone, Debug)]
pub enum Command {
    /// Start local nodes, or take the given addresses.
    Find,
    /// Ask the nodes which snapshots they hold, after a pause.
    Ask(Duration),
    /// Take the history back to the newest of these snapshots, or to the beginning.
    Rewind(Common),
    /// Open the pipeline, with the snapshot after this many updates or from the seed.
    Open(Option<u64>),
    /// Put an item into the pipeline.
    Submit(Item),
    /// Wait for the oldest item in the pipeline, and record it.
    Take,
    /// Close the pipeline in order.
    Close,
    /// Drop the pipeline if it is open, and stop the local nodes.
    Release,
    /// Count another start of the run.
    Restart,
    /// The run is over.
    End(Result<(), RunError>),
}

/// A command, and the messages that the user reads before it.
#[derive(Debug)]
pub struct Decision {
    /// The messages.
    pub say: Vec<String>,
    /// The command.
    pub command: Command,
}

impl From<Command> for Decision {
    fn from(command: Command) -> Self {
        Self { say: Vec::new(), command }
    }
}

/// An item in the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InFlight {
    Train(u64),
    Snapshot,
    Other,
}

/// The state of a run, as far as decisions depend on it.
pub struct Supervisor<'a> {
    course: &'a Course,
    folder: PathBuf,
    resume: Option<Resume>,
    restarts: u32,
    /// The origin of the run's first weights, in words.
    origin: String,
    /// The snapshot that was chosen last and could not be restored. The next chosen snapshot must be older, so that
    /// this happens at most once per snapshot.
    refused: u64,
    /// Whether the user has stopped the run.
    stopping: bool,
    nodes: Vec<Peer>,
    /// The time of the first answer of a busy node since the nodes were found. The wait for nodes that are missing
    /// may have been longer than a busy node may take.
    busy_since: Option<Duration>,
    items: Peekable<Items<'a>>,
    in_flight: VecDeque<InFlight>,
    /// Updates that the state has seen.
    steps: u64,
    /// The update of the newest snapshot that all nodes have.
    saved: u64,
    /// The newest step in the pipeline.
    submitted: u64,
    /// When the pipeline was opened, and the updates by then.
    opened: (Duration, u64),
    /// When this start was told to end.
    told: Option<Duration>,
    /// Whether this start has made a step.
    fruitful: bool,
    /// The starts without a step since the newest step.
    fruitless: u32,
    /// The reason of a node that is being stopped: this start of the run ends in order because of it.
    left: Option<RunError>,
    /// Whether the snapshot of an interrupted run was commanded.
    leaving: bool,
    result: Result<(), RunError>,
}

impl<'a> Supervisor<'a> {
    /// The supervisor of a run in `folder`. The run resumes as `resume` says, and restarts by itself up to
    /// `restarts` times when a node fails.
    pub fn new(course: &'a Course, folder: PathBuf, resume: Option<Resume>, restarts: u32) -> Self {
        Self {
            course,
            folder,
            resume,
            restarts,
            origin: "the seed".into(),
            refused: u64::MAX,
            stopping: false,
            nodes: Vec::new(),
            busy_since: None,
            items: course.items(0).peekable(),
            in_flight: VecDeque::new(),
            steps: 0,
            saved: 0,
            submitted: 0,
            opened: (Duration::ZERO, 0),
            told: None,
            fruitful: false,
            fruitless: 0,
            left: None,
            leaving: false,
            result: Ok(()),
        }
    }

    /// The same for a run that begins from the state of another one.
    #[must_use]
    pub fn from(self, begin: Option<Begin>) -> Self {
        match begin {
            Some(Begin { run, updates, .. }) => {
                Self { origin: format!("the state of run {run} after {updates} updates"), ..self }
            }
            None => self,
        }
    }

    /// Stops the run on the user's request: steps under way are finished and saved, and no more begin.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Ends this start of the run because a node is being stopped, for the reason `why`: steps under way are finished
    /// and saved, as far as the node goes on.
    pub fn leave(&mut self, why: &RunError) {
        self.left.get_or_insert_with(|| why.clone());
    }

    /// The decision after `event`; `now` is the time since a fixed moment.
    pub fn on(&mut self, event: Event, now: Duration) -> Decision {
        if self.stopping || self.left.is_some() {
            self.told.get_or_insert(now);
        }
        match event {
            Event::Begun => Command::Find.into(),
            Event::Found(nodes) => {
                (self.nodes, self.busy_since) = (nodes, None);
                match self.resume {
                    Some(_) => Command::Ask(self.pause()).into(),
                    None => self.rewind(Common::default()).into(),
                }
            }
            Event::Busy(_) if now - *self.busy_since.get_or_insert(now) < RELEASE_DEADLINE => {
                Command::Ask(PAUSE).into()
            }
            Event::Busy(node) => {
                let why = format!(
                    "{} still works for an earlier start of this run: end the coordinator that uses it, or restart the node",
                    self.nodes[node]
                );
                self.fail(RunError::node(why)).into()
            }
            Event::Held(survey) => self.choose(survey),
            Event::Rewound => Command::Open(Some(self.steps).filter(|steps| *steps > 0)).into(),
            Event::Opened => {
                let line = format!("{} connected; run folder {}", self.parties(), self.folder.display());
                self.opened = (now, self.steps);
                Decision { say: vec![line], command: self.next(now) }
            }
            Event::Submitted => self.next(now).into(),
            Event::Taken => {
                match self.in_flight.pop_front() {
                    Some(InFlight::Train(step)) => (self.steps, self.fruitful) = (step, true),
                    Some(InFlight::Snapshot) => self.saved = self.steps,
                    Some(InFlight::Other) | None => {}
                }
                self.next(now).into()
            }
            Event::Closed => match self.items.peek() {
                Some(_) => {
                    let left = self.left.clone().filter(|_| !self.stopping);
                    self.fail(left.unwrap_or_else(|| self.interrupted(true))).into()
                }
                None => Command::Release.into(),
            },
            Event::Stopped => self.fail(self.interrupted(false)).into(),
            Event::Failed(failure) => self.fail(failure).into(),
            Event::Released => self.conclude(),
        }
    }

    /// The numbers of the nodes, in words.
    fn parties(&self) -> String {
        let stages = self.nodes.iter().filter(|node| matches!(node.role, Role::Stage(_))).count();
        parties(stages, self.nodes.len() - stages)
    }

    /// The pause before the nodes are asked.
    fn pause(&self) -> Duration {
        match self.fruitless {
            0 => Duration::ZERO,
            starts => (FRUITLESS_PAUSE * (1 << (starts - 1).min(5))).min(LONGEST_PAUSE),
        }
    }

    fn fail(&mut self, failure: RunError) -> Command {
        self.result = Err(failure);
        Command::Release
    }

    /// Chooses the snapshot to go back to.
    fn choose(&mut self, survey: Survey) -> Decision {
        let written = survey.written;
        let lacks = |(at, node): (usize, &Peer)| {
            let all = format!(" up to step {written}, where metrics.jsonl ends");
            let which = if survey.snapshots[at].is_empty() { "" } else { &all };
            let line = format!("{node} holds no snapshot of this run{which}");
            survey.known(at).is_empty().then_some(line)
        };
        let mut say: Vec<String> = self.nodes.iter().enumerate().filter_map(lacks).collect();
        let resume = self.resume.unwrap_or(Resume::Auto);
        let command = match survey.choose(resume, &self.nodes, &self.folder) {
            Err(failure) => self.fail(failure),
            Ok(common) => {
                let step = common.newest();
                say.push(match step {
                    0 => format!(
                        "beginning from {}: no later snapshot was asked for, or none ever was common to all nodes",
                        self.origin
                    ),
                    step => format!("going on after step {step}, from the snapshot that all nodes have"),
                });
                if common.imported.contains(&step) {
                    say.push(format!(
                        "weights were imported into the snapshot after step {step}: it is not compared with what was measured before"
                    ));
                }
                if written > step {
                    say.push(format!("steps {} to {written} are run again", step + 1));
                }
                self.rewind(common)
            }
        };
        Decision { say, command }
    }

    fn rewind(&mut self, common: Common) -> Command {
        self.steps = common.newest();
        (self.saved, self.submitted) = (self.steps, self.steps);
        self.items = self.course.items(self.steps).peekable();
        Command::Rewind(common)
    }

    /// Fills the pipeline, and empties it at the end of the course or, with a last snapshot, of an interrupted
    /// start.
    fn next(&mut self, now: Duration) -> Command {
        let goes_on = match self.told {
            None => true,
            Some(_) if self.is_drained() => false,
            Some(told) if self.reaches_drain(now, told) => true,
            Some(_) => return self.fail_between_drains(),
        };
        let most = IN_FLIGHT + self.course.lookahead() as usize;
        let full = !goes_on || self.in_flight.len() >= most;
        // The older snapshots to keep are known only once all nodes have the snapshot before.
        let saving = self.in_flight.contains(&InFlight::Snapshot);
        let waits = |item: &Item| full || saving && matches!(item, Item::Snapshot { .. });
        if let Some(item) = self.items.next_if(|item| !waits(item)) {
            return self.submit(item);
        }
        if !self.in_flight.is_empty() {
            return Command::Take;
        }
        // The item left may also belong to the last step: its snapshot, or its evaluation.
        let interrupted = self.items.peek().is_some();
        // Before the first update the seed gives the whole state, so there is nothing to save.
        if interrupted && self.steps > 0 && !self.leaving {
            self.leaving = true;
            return self.submit(Item::Snapshot { step: self.steps });
        }
        Command::Close
    }

    fn submit(&mut self, item: Item) -> Command {
        if let Item::Minibatch(minibatch) = &item
            && minibatch.phase == Phase::Train
        {
            self.submitted = minibatch.step;
        }
        self.in_flight.push_back(match &item {
            Item::Minibatch(minibatch) if minibatch.phase == Phase::Train => InFlight::Train(minibatch.step),
            Item::Snapshot { .. } => InFlight::Snapshot,
            Item::Minibatch(_) | Item::Align(_) => InFlight::Other,
        });
        Command::Submit(item)
    }

    /// Ends the run, or restarts it: from an older snapshot if a snapshot was damaged, or after a node failed.
    fn conclude(&mut self) -> Decision {
        let failure = match std::mem::replace(&mut self.result, Ok(())) {
            Err(failure) if !self.stopping => failure,
            ended => return Command::End(ended).into(),
        };
        let older = self.resume == Some(Resume::Auto) && self.steps < self.refused;
        let why = match failure.cause {
            Cause::SnapshotGone if older => {
                self.refused = self.steps;
                format!("{failure}; going back to the one before")
            }
            cause if cause.is_of_a_node() && self.restarts > 0 => {
                self.restarts -= 1;
                self.fruitless = if std::mem::take(&mut self.fruitful) { 0 } else { self.fruitless + 1 };
                (self.resume, self.refused) = (Some(Resume::Auto), u64::MAX);
                format!("{failure}; rolling back and going on ({} restarts left)", self.restarts)
            }
            _ => return Command::End(Err(failure)).into(),
        };
        self.in_flight.clear();
        (self.left, self.leaving, self.told) = (None, false, None);
        Decision { say: vec![why], command: Command::Restart }
    }

    /// The failure of an interrupted run; `connected` says whether all nodes were connected.
    fn interrupted(&self, connected: bool) -> RunError {
        let (when, then) = match self.steps {
            _ if !connected => {
                ("before all nodes were connected; what they had saved is still there".to_owned(), "goes on")
            }
            0 => ("before the first update; nothing was trained yet".to_owned(), "starts from the beginning"),
            step => (
                format!("after step {step} of {}; the nodes have saved their state", self.course.total),
                "goes on from there",
            ),
        };
        let folder = self.folder.display();
        let sentence = format!("interrupted {when} (run folder {folder}): --resume auto {then}");
        RunError::new(Cause::Interrupted, sentence)
    }
}
