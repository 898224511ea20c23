//! The timeline of a step at one process: the messages that it took and handed over, with their times.

use crate::link::{Carried, Role};

/// The most messages in a timeline. A node leaves out later messages of the step.
pub const MAX_TRANSFERS: usize = 1 << 15;

/// The messages of a step, and one comparison of two clocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// The messages, in the order in which the worker took them from its links and handed them over.
    pub transfers: Vec<Transfer>,
    /// The exchange of the lane's command for the report of the step.
    pub exchange: Exchange,
}

/// A message, as one end of its link sees it. Times are in nanoseconds since the Unix epoch, by the end's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The process at the other end.
    pub peer: Role,
    /// Whether this end sent the message.
    pub sent: bool,
    /// The kind of the message's values.
    pub carried: Carried,
    /// The index of the microbatch.
    pub microbatch: u32,
    /// The form of the message, as in its header.
    pub form: u32,
    /// Payload bytes.
    pub bytes: u64,
    /// The time at which this end began to wait for the message, or to make it and hand it over.
    pub start_ns: u64,
    /// The time at which this end had the message, or at which the link had it.
    pub end_ns: u64,
    /// The time at which the transport had received the whole message, or began to send it, where it is known.
    pub transport_ns: Option<u64>,
}

impl Transfer {
    /// A message: the peer, whether this end sent it, and its kind; the index of its microbatch, and its form; and when this
    /// end began and ended with it.
    pub fn of(
        (peer, sent, carried): (Role, bool, Carried),
        (microbatch, form): (u32, u32),
        bytes: u64,
        [start_ns, end_ns]: [u64; 2],
    ) -> Self {
        Self { peer, sent, carried, microbatch, form, bytes, start_ns, end_ns, transport_ns: None }
    }
}

/// A question and its answer between a coordinator and a node, in nanoseconds since the Unix epoch; 0 where a time is
/// not known. The coordinator knows the first and the last time, and the node the two others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// The departure of the question, by the coordinator's clock.
    pub asked_ns: u64,
    /// The arrival of the question, by the node's clock.
    pub received_ns: u64,
    /// The departure of the answer, by the node's clock.
    pub answered_ns: u64,
    /// The arrival of the answer, by the coordinator's clock.
    pub heard_ns: u64,
}

impl Exchange {
    /// What the node's clock must be set forward to show the coordinator's time, in nanoseconds, if both ways took
    /// equally long; `None` where a time is not known or the times contradict each other.
    pub fn offset_ns(&self) -> Option<i64> {
        self.round_trip_ns()?;
        let there = i128::from(self.asked_ns) - i128::from(self.received_ns);
        let back = i128::from(self.heard_ns) - i128::from(self.answered_ns);
        i64::try_from((there + back) / 2).ok()
    }

    /// The time for which question and answer were on their way, in nanoseconds. The offset is wrong by at most half of
    /// it.
    pub fn round_trip_ns(&self) -> Option<u64> {
        let Self { asked_ns, received_ns, answered_ns, heard_ns } = *self;
        let known = [asked_ns, received_ns, answered_ns, heard_ns].iter().all(|ns| *ns > 0);
        let whole = heard_ns.checked_sub(asked_ns).filter(|_| known)?;
        whole.checked_sub(answered_ns.checked_sub(received_ns)?)
    }
}
