//! The events of the viewer's format.

use proto::link::Role;
use serde::Serialize;

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Event {
    Name(Name),
    Slice(Slice),
    Flow(Flow),
}

/// A metadata event ("M"): the name of a process, or of one row.
#[derive(Debug, Serialize)]
pub(super) struct Name {
    pub name: &'static str,
    pub ph: &'static str,
    pub pid: u64,
    pub tid: u64,
    pub args: NameArgs,
}

#[derive(Debug, Serialize)]
pub(super) struct NameArgs {
    pub name: String,
}

/// A complete event ("X"): one action, wait, hand-over or way of a message.
#[derive(Debug, Serialize)]
pub(super) struct Slice {
    pub name: String,
    pub cat: String,
    pub ph: &'static str,
    /// The start, in microseconds since the Unix epoch.
    pub ts: f64,
    /// The duration, in microseconds.
    pub dur: f64,
    /// The process.
    pub pid: u64,
    /// A number of the row's own.
    pub tid: u64,
    pub args: Args,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Args {
    pub step: u64,
    /// The process at the other end of a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// What was added to the times of the node's own clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset_us: Option<f64>,
    /// The largest error of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncertainty_us: Option<f64>,
}

/// An end of an arrow ("s" where it begins, "f" where it ends), which binds to the slice at that time.
#[derive(Debug, Serialize)]
pub(super) struct Flow {
    name: &'static str,
    cat: &'static str,
    ph: &'static str,
    /// Binds the end of the arrow to the slice around it, and not to the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    bp: Option<&'static str>,
    id: u64,
    ts: f64,
    pid: u64,
    tid: u64,
}

impl Flow {
    /// The beginning of the arrow `id` in the row of a process and a thread.
    pub(super) fn begin(id: u64, ts: f64, [pid, tid]: [u64; 2]) -> Self {
        Self { name: "message", cat: "message", ph: "s", bp: None, id, ts, pid, tid }
    }

    /// The end of the arrow `id`.
    pub(super) fn end(id: u64, ts: f64, row: [u64; 2]) -> Self {
        Self { ph: "f", bp: Some("e"), ..Self::begin(id, ts, row) }
    }
}
