//! Commands and reports.

use super::{Result, all, into_all, need};
use crate::control::*;
use crate::error::ProtocolError;
use crate::lane::{Action, Lane, MAX_ACTIONS, Phase};
use crate::wire;
use std::time::Duration;

impl From<Description> for wire::Description {
    fn from(d: Description) -> Self {
        Self {
            version: d.version,
            protocol: d.protocol,
            device: d.device,
            threads: d.threads,
            memory_total: d.memory_total,
            memory_available: d.memory_available,
            data_port: d.data_port.into(),
            run: d.run.unwrap_or_default(),
            snapshots: into_all(d.snapshots),
        }
    }
}

impl TryFrom<wire::Description> for Description {
    type Error = ProtocolError;
    fn try_from(d: wire::Description) -> Result<Self> {
        let port = u16::try_from(d.data_port).ok().filter(|port| *port > 0);
        Ok(Self {
            version: d.version,
            protocol: d.protocol,
            device: d.device,
            threads: d.threads,
            memory_total: d.memory_total,
            memory_available: d.memory_available,
            data_port: need(port, "data port")?,
            run: Some(d.run).filter(|run| !run.is_empty()),
            snapshots: d.snapshots.into_iter().map(Into::into).collect(),
        })
    }
}

impl From<HeldSnapshot> for wire::HeldSnapshot {
    fn from(held: HeldSnapshot) -> Self {
        Self { run: held.run, updates: held.updates }
    }
}

impl From<wire::HeldSnapshot> for HeldSnapshot {
    fn from(held: wire::HeldSnapshot) -> Self {
        Self { run: held.run, updates: held.updates }
    }
}

impl From<Configured> for wire::Configured {
    fn from(c: Configured) -> Self {
        Self { parameters: c.parameters, updates: c.updates }
    }
}

impl From<wire::Configured> for Configured {
    fn from(c: wire::Configured) -> Self {
        Self { parameters: c.parameters, updates: c.updates }
    }
}

impl TryFrom<wire::Command> for Command {
    type Error = ProtocolError;
    fn try_from(command: wire::Command) -> Result<Self> {
        use wire::command::Command as C;
        Ok(match need(command.command, "command")? {
            C::Start(start) => Command::Start(start.into()),
            C::Step(step) => Command::Step(step.try_into()?),
            C::Snapshot(snapshot) => Command::Snapshot(snapshot.try_into()?),
            C::Align(wire::Align { done, steps }) => Command::Align(Align { done, steps }.check()?),
        })
    }
}

impl From<Command> for wire::Command {
    fn from(command: Command) -> Self {
        use wire::command::Command as C;
        let command = match command {
            Command::Start(start) => C::Start(start.into()),
            Command::Step(step) => C::Step(step.into()),
            Command::Snapshot(Keep(keep)) => C::Snapshot(wire::Snapshot { keep }),
            Command::Align(Align { done, steps }) => C::Align(wire::Align { done, steps }),
        };
        Self { command: Some(command) }
    }
}

impl TryFrom<wire::Snapshot> for Keep {
    type Error = ProtocolError;
    fn try_from(snapshot: wire::Snapshot) -> Result<Self> {
        match snapshot.keep.len() {
            0..=MAX_KEEP => Ok(Self(snapshot.keep)),
            more => Err(ProtocolError::invalid(format!("{more} snapshots to keep are more than {MAX_KEEP}"))),
        }
    }
}

impl From<wire::Start> for Start {
    fn from(start: wire::Start) -> Self {
        Self {
            run: start.run,
            incarnation: start.incarnation,
            above: Some(start.above).filter(|above| !above.is_empty()),
            connect_deadline: Duration::from_millis(start.connect_deadline_ms.into()),
            message_deadline: Duration::from_millis(start.message_deadline_ms.into()),
        }
    }
}

impl From<Start> for wire::Start {
    fn from(start: Start) -> Self {
        let millis = |d: Duration| u32::try_from(d.as_millis()).unwrap_or(u32::MAX);
        Self {
            run: start.run,
            incarnation: start.incarnation,
            above: start.above.unwrap_or_default(),
            connect_deadline_ms: millis(start.connect_deadline),
            message_deadline_ms: millis(start.message_deadline),
        }
    }
}

impl TryFrom<wire::Step> for Step {
    type Error = ProtocolError;
    fn try_from(step: wire::Step) -> Result<Self> {
        let phase = Phase::try_from(step.phase())?;
        if step.lane.len() > MAX_ACTIONS {
            let actions = step.lane.len();
            return Err(ProtocolError::invalid(format!(
                "a lane of {actions} actions is longer than {MAX_ACTIONS}"
            )));
        }
        let lane =
            Lane::new(phase, all(step.lane)?).map_err(|error| ProtocolError::invalid(error.to_string()))?;
        Step { step: step.step, minibatch: step.minibatch, lane, measure: step.measure }.check()
    }
}

impl From<Step> for wire::Step {
    fn from(step: Step) -> Self {
        Self {
            step: step.step,
            phase: wire::Phase::from(step.lane.phase()).into(),
            minibatch: step.minibatch,
            lane: step.lane.actions().iter().copied().map(Into::into).collect(),
            measure: step.measure,
        }
    }
}

impl TryFrom<wire::Action> for Action {
    type Error = ProtocolError;
    fn try_from(action: wire::Action) -> Result<Self> {
        use wire::action::Kind as K;
        let m = action.microbatch;
        match action.kind() {
            K::Forward => Ok(Action::Forward(m)),
            K::Error => Ok(Action::Error(m)),
            K::Gradient => Ok(Action::Gradient(m)),
            K::Update => Ok(Action::Update),
            K::Unspecified => Err(ProtocolError::Missing("action's kind")),
        }
    }
}

impl From<Action> for wire::Action {
    fn from(action: Action) -> Self {
        use wire::action::Kind as K;
        let (kind, microbatch) = match action {
            Action::Forward(m) => (K::Forward, m),
            Action::Error(m) => (K::Error, m),
            Action::Gradient(m) => (K::Gradient, m),
            Action::Update => (K::Update, 0),
        };
        Self { kind: kind.into(), microbatch }
    }
}

impl TryFrom<wire::Report> for Report {
    type Error = ProtocolError;
    fn try_from(report: wire::Report) -> Result<Self> {
        use wire::report::Report as R;
        Ok(match need(report.report, "report")? {
            R::Started(_) => Report::Started,
            R::Step(step) => Report::Step(step.try_into()?),
            R::Snapshot(s) => {
                Report::Snapshot(SnapshotDone { updates: s.updates, bytes: s.bytes, seconds: s.seconds })
            }
            R::Align(align) => Report::Aligned(align.done),
        })
    }
}

impl From<Report> for wire::Report {
    fn from(report: Report) -> Self {
        use wire::report::Report as R;
        let report = match report {
            Report::Started => R::Started(wire::Started {}),
            Report::Step(step) => R::Step(step.into()),
            Report::Snapshot(s) => {
                R::Snapshot(wire::SnapshotDone { updates: s.updates, bytes: s.bytes, seconds: s.seconds })
            }
            Report::Aligned(done) => R::Align(wire::AlignDone { done }),
        };
        Self { report: Some(report) }
    }
}

impl TryFrom<wire::StepDone> for StepDone {
    type Error = ProtocolError;
    fn try_from(done: wire::StepDone) -> Result<Self> {
        Ok(Self {
            step: done.step,
            phase: Phase::try_from(done.phase())?,
            spans: all(done.spans)?,
            compute: Duration::from_nanos(done.compute_ns),
            wait: Duration::from_nanos(done.wait_ns),
            bytes_forward: done.bytes_forward,
            bytes_backward: done.bytes_backward,
            finite: done.finite,
            layers: done.layers.into_iter().map(Into::into).collect(),
            send: Duration::from_nanos(done.send_ns),
            updates: done.updates,
        })
    }
}

impl From<StepDone> for wire::StepDone {
    fn from(done: StepDone) -> Self {
        let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        Self {
            step: done.step,
            phase: wire::Phase::from(done.phase).into(),
            spans: into_all(done.spans),
            compute_ns: nanos(done.compute),
            wait_ns: nanos(done.wait),
            bytes_forward: done.bytes_forward,
            bytes_backward: done.bytes_backward,
            finite: done.finite,
            layers: into_all(done.layers),
            send_ns: nanos(done.send),
            updates: done.updates,
        }
    }
}

impl TryFrom<wire::Span> for Span {
    type Error = ProtocolError;
    fn try_from(span: wire::Span) -> Result<Self> {
        let action = need(span.action, "action in a span")?.try_into()?;
        Ok(Self { action, start_ns: span.start_ns, end_ns: span.end_ns })
    }
}

impl From<Span> for wire::Span {
    fn from(span: Span) -> Self {
        Self { action: Some(span.action.into()), start_ns: span.start_ns, end_ns: span.end_ns }
    }
}

impl From<wire::LayerMeasure> for LayerMeasure {
    fn from(m: wire::LayerMeasure) -> Self {
        let wire::LayerMeasure { name, angle_deg, norm_ratio, norm, difference } = m;
        Self { name, angle_deg, norm_ratio, norm, difference }
    }
}

impl From<LayerMeasure> for wire::LayerMeasure {
    fn from(m: LayerMeasure) -> Self {
        let LayerMeasure { name, angle_deg, norm_ratio, norm, difference } = m;
        Self { name, angle_deg, norm_ratio, norm, difference }
    }
}
