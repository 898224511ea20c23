//! The messages of a step: both ends of each are joined.

use proto::link::{Carried, Role};
use proto::timeline::Transfer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A message between two processes, in seconds of the coordinator's clock since the step began. A time is `None` where an
/// end did not see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The sender.
    pub from: Role,
    /// The receiver.
    pub to: Role,
    /// `activations`, `error_signals` or `layer_values`.
    pub carried: String,
    /// The index of the microbatch.
    pub microbatch: u32,
    /// The number of the message's form on a link between the halves of a stage.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub form: u32,
    /// Bytes of its tensors.
    pub bytes: u64,
    /// The sender began to make it and to hand it over.
    pub begun_s: Option<f64>,
    /// The sender's link had it.
    pub handed_s: Option<f64>,
    /// The transport began to send it.
    pub departed_s: Option<f64>,
    /// The transport had received all of it.
    pub arrived_s: Option<f64>,
    /// The receiver began to wait for it.
    pub awaited_s: Option<f64>,
    /// The receiver had it.
    pub taken_s: Option<f64>,
}

fn is_zero(form: &u32) -> bool {
    *form == 0
}

impl Message {
    /// The time at which the message was on its way at the earliest.
    pub fn left_s(&self) -> Option<f64> {
        self.departed_s.or(self.begun_s)
    }

    /// The time at which the message was there at the latest.
    pub fn came_s(&self) -> Option<f64> {
        self.arrived_s.or(self.taken_s)
    }

    /// The seconds in which the receiver waits for the message.
    pub fn waited(&self) -> f64 {
        self.awaited_s.zip(self.taken_s).map_or(0.0, |(from, to)| (to - from).max(0.0))
    }
}

/// The two ends of a message, as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    pub sender: Option<Transfer>,
    pub receiver: Option<Transfer>,
}

/// The identity of a message within a step: sender, receiver, kind, microbatch and form.
pub(super) type Key = (Role, Role, Carried, u32, u32);

/// The messages whose ends the processes saw.
pub(super) fn joined<'a>(processes: impl Iterator<Item = (Role, &'a [Transfer])>) -> BTreeMap<Key, Ends> {
    let mut messages: BTreeMap<Key, Ends> = BTreeMap::new();
    for (process, transfers) in processes {
        for transfer in transfers {
            let Transfer { peer, sent, carried, microbatch, form, .. } = *transfer;
            let (from, to) = if sent { (process, peer) } else { (peer, process) };
            let ends = messages.entry((from, to, carried, microbatch, form)).or_default();
            *(if sent { &mut ends.sender } else { &mut ends.receiver }) = Some(*transfer);
        }
    }
    messages
}

/// The word for a kind of values.
pub(super) fn word(carried: Carried) -> &'static str {
    match carried {
        Carried::Activations => "activations",
        Carried::ErrorSignals => "error_signals",
        Carried::LayerValues => "layer_values",
    }
}
