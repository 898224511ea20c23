//! The findings of a proof: every record that was checked, with a verdict for each check, and the violations.

use super::prediction::Budget;
use proto::ledger::{ControlRecord, LinkRecord};
use proto::link::Role;
use proto::spec::reads::Reads;
use serde::Serialize;
use std::fmt;

/// The findings about a run.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The messages that crossed the links.
    pub links: Vec<LinkFinding>,
    /// The messages that training consumed.
    pub consumed: Vec<LinkFinding>,
    /// The messages of the control planes.
    pub control: Vec<ControlFinding>,
    /// The weight layers, and the values that their rules read.
    pub layers: Vec<LayerFinding>,
    /// The violations, the gravest kind first.
    pub violations: Vec<Violation>,
    /// Training steps of the run.
    pub steps: u64,
    /// The number of stages.
    pub stages: usize,
    /// The number of stages that are split, each of which has a backward node.
    pub split: usize,
    /// The most revealing values that the backward nodes get.
    pub given_away: GivenAway,
}

/// The values from which a backward node can compute W, by the kind of values that cross to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GivenAway {
    /// None: neither y, nor x with an error.
    Nothing,
    /// x and the error at y of a layer, whose products are the steps of W.
    Steps,
    /// y of a layer, which equals W x.
    Outputs,
}

/// The verdict of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The check holds.
    Holds,
    /// The check is violated.
    Broken,
    /// The run ended too early for the check, or there is no other end to compare with.
    Open,
}

/// One phase and form in one direction of a link.
#[derive(Clone, Debug)]
pub struct LinkFinding {
    /// The record of the end that is trusted most: the coordinator's own, or else the receiver's.
    pub record: LinkRecord,
    /// Both ends count alike.
    pub ends: Verdict,
    /// Names, shapes and number format are those of the plan.
    pub tensors: Verdict,
    /// The numbers of messages and samples are those of the lanes.
    pub count: Verdict,
    /// The bytes are those of the payload and its framing, and no more.
    pub size: Verdict,
}

/// One kind of message in one direction of a control plane.
#[derive(Clone, Debug)]
pub struct ControlFinding {
    /// The coordinator's own record, or else the node's.
    pub record: ControlRecord,
    /// The budget; `None` for a message that the run does not have.
    pub budget: Option<Budget>,
    /// Both ends count alike.
    pub ends: Verdict,
    /// The number of messages is that of the commands.
    pub count: Verdict,
    /// The bytes are within the budget.
    pub size: Verdict,
}

/// A weight layer and its rule.
#[derive(Clone, Debug)]
pub struct LayerFinding {
    /// The stage.
    pub stage: u32,
    /// Whether the layer is split, so that the stage's backward node has its B.
    pub split: bool,
    /// The layer's name.
    pub name: String,
    /// The rule's name.
    pub rule: String,
    /// The values that the rule read.
    pub read: Reads,
    /// The values that the rule may read, by the coordinator's own specification.
    pub declared: Reads,
    /// The rule read nothing else, and is allowed.
    pub verdict: Verdict,
}

/// A violation of locality.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The direction of a link or of a control plane, as in `stage 0 → stage 1`; or a stage.
    pub link: String,
    /// The message, as in `train activation`.
    pub message: String,
    /// The tensor or tensors, where the message has any; or a layer's name.
    pub tensor: Option<String>,
    /// One sentence with the counted and the expected value.
    pub sentence: String,
}

impl Verdict {
    /// The verdict of a check that was made.
    pub fn of(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Broken }
    }

    /// The verdict of two checks together: a violation wins, and an open check leaves the other's verdict.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Broken, _) | (_, Self::Broken) => Self::Broken,
            (Self::Open, verdict) | (verdict, Self::Open) => verdict,
            (Self::Holds, Self::Holds) => Self::Holds,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Holds => "ok",
            Verdict::Broken => "NO",
            Verdict::Open => "–",
        })
    }
}

impl LayerFinding {
    /// The node that has the layer's B.
    pub fn node(&self) -> Role {
        if self.split { Role::Backward(self.stage) } else { Role::Stage(self.stage) }
    }
}

impl LinkFinding {
    /// The verdict of all checks together.
    pub fn verdict(&self) -> Verdict {
        self.ends.and(self.tensors).and(self.count).and(self.size)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link, message, tensor, sentence } = self;
        match tensor {
            Some(tensor) => write!(f, "{link}, {message}, {tensor}: {sentence}"),
            None => write!(f, "{link}, {message}: {sentence}"),
        }
    }
}

impl Findings {
    /// All violations in one sentence: the first, and the number of the others; `None` without a violation.
    pub fn verdict(&self) -> Option<String> {
        let (first, others) = self.violations.split_first()?;
        let more = match others.len() {
            0 => String::new(),
            1 => "; and 1 more violation".into(),
            others => format!("; and {others} more violations"),
        };
        Some(format!("{first}{more}"))
    }
}
