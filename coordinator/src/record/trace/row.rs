//! The rows of the viewer: processes, and their threads.

use super::event::{Name, NameArgs};
use crate::record::label;
use proto::link::{Carried, Role};
use proto::spec::stage::Half;

/// A row of the viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub of: Role,
    pub track: Track,
    /// The number of the row among those of one track, from 0: messages that are on their way at the same time have a row
    /// each, since a viewer draws no slices of one row that overlap.
    pub line: u32,
}

/// A part of the work of a process that is one thing at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Track {
    /// A node's actions.
    Work,
    /// A worker's waits, and the messages that it hands over.
    Messages,
    /// Messages on their way from below.
    FromBelow,
    /// Messages on their way from above.
    FromAbove,
    /// Messages on their way from the other half of the stage.
    FromHalf,
    /// The coordinator's loading of samples.
    Load,
    /// The coordinator's inputs, which its feeder hands over.
    Feed,
    /// The coordinator's losses.
    Loss,
    /// The loss task's waits for the network's outputs.
    Outputs,
    /// The errors that the coordinator hands over.
    Errors,
    /// The messages that tell the coordinator of errors that came all the way down.
    Drain,
}

/// The process of the coordinator; stages have smaller numbers.
const COORDINATOR: u64 = 1_000_000;
/// The number of tracks.
const TRACKS: u64 = Track::Drain as u64 + 1;

impl Track {
    /// The track of a message that `of` hands over.
    pub(super) fn handing(of: Role, carried: Carried) -> Self {
        match (of, carried) {
            (Role::Coordinator, Carried::ErrorSignals) => Self::Errors,
            (Role::Coordinator, _) => Self::Feed,
            _ => Self::Messages,
        }
    }

    /// The track of a wait of `of` for a message.
    pub(super) fn waiting(of: Role, carried: Carried) -> Self {
        match (of, carried) {
            (Role::Coordinator, Carried::ErrorSignals) => Self::Drain,
            (Role::Coordinator, _) => Self::Outputs,
            _ => Self::Messages,
        }
    }

    /// The track of a message on its way.
    pub(super) fn way(from: Role, to: Role, carried: Carried) -> Self {
        match (from, to, carried) {
            (Role::Backward(_), _, _) | (_, Role::Backward(_), _) => Self::FromHalf,
            (_, _, Carried::ErrorSignals) => Self::FromAbove,
            _ => Self::FromBelow,
        }
    }

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Work => return None,
            Self::Messages => "waits and sends",
            Self::FromBelow => "from below",
            Self::FromAbove => "from above",
            Self::FromHalf => "from the other half",
            Self::Load => "load",
            Self::Feed => "feed",
            Self::Loss => "loss",
            Self::Outputs => "waits for outputs",
            Self::Errors => "errors",
            Self::Drain => "drain",
        })
    }
}

impl Row {
    /// The first row of a track.
    pub(super) fn new(of: Role, track: Track) -> Self {
        Self { of, track, line: 0 }
    }

    /// The number of the process.
    pub(super) fn pid(self) -> u64 {
        match self.of {
            Role::Stage(stage) | Role::Backward(stage) => u64::from(stage) + 1,
            Role::Coordinator | Role::Node => COORDINATOR,
        }
    }

    /// The number of the thread: no other row of any process has it. A stage's actions and its backward node's come first.
    pub(super) fn tid(self) -> u64 {
        let (place, of) = match self.of {
            Role::Stage(stage) => (2 * u64::from(stage) + 1, self.track),
            Role::Backward(stage) => (2 * u64::from(stage) + 2, self.track),
            Role::Coordinator | Role::Node => (0, self.track),
        };
        (u64::from(self.line) * TRACKS + of as u64) * COORDINATOR + place
    }

    /// The names of a new row, and of its process where the row is the process's first.
    pub(super) fn names(self) -> impl Iterator<Item = Name> {
        let whole = match self.of {
            Role::Stage(stage) => label(stage as usize, Half::Forward),
            Role::Backward(stage) => label(stage as usize, Half::Backward),
            Role::Coordinator | Role::Node => String::new(),
        };
        let whole = if whole.is_empty() { "coordinator".to_owned() } else { format!("stage {whole}") };
        let event = move |name, of: String| Name {
            name,
            ph: "M",
            pid: self.pid(),
            tid: self.tid(),
            args: NameArgs { name: of },
        };
        let first = match self.of {
            Role::Coordinator => self.track == Track::Load,
            Role::Stage(_) => self.track == Track::Work,
            Role::Backward(_) | Role::Node => false,
        };
        let process = first.then(|| event("process_name", whole.clone()));
        let number = if self.line == 0 { String::new() } else { format!(" {}", self.line + 1) };
        let thread =
            self.track.name().map_or_else(|| whole.clone(), |track| format!("{whole}: {track}{number}"));
        process.into_iter().chain([event("thread_name", thread)])
    }
}
