//! Conversions of commands and reports.

use super::timeline::timeline;
use super::{Result, all, into_all, need};
use crate::control::*;
use crate::error::ProtocolError;
use crate::lane::{Action, Lane, MAX_ACTIONS, WeightVersion};
use crate::link::Carried;
use crate::microbatch::{MicrobatchId, Phase};
use crate::timeline::{Exchange, Timeline};
use crate::transport::address::check_path;
use crate::wire;
use std::path::Path;
use std::time::Duration;

impl From<Description> for wire::Description {
    fn from(d: Description) -> Self {
        let (data_port, data_path) = match d.data {
            DataAddress::Port(port) => (port.into(), String::new()),
            DataAddress::Path(path) => (0, path),
        };
        Self {
            version: d.version,
            protocol: d.protocol,
            device: d.device,
            threads: d.threads,
            memory_total: d.memory_total,
            memory_available: d.memory_available,
            data_port,
            data_path,
            run: d.run.unwrap_or_default(),
            snapshots: into_all(d.snapshots),
            certificate_expires: d.certificate_expires,
        }
    }
}

impl TryFrom<wire::Description> for Description {
    type Error = ProtocolError;
    fn try_from(d: wire::Description) -> Result<Self> {
        let data = match (u16::try_from(d.data_port), d.data_path) {
            (Ok(port @ 1..), path) if path.is_empty() => Some(DataAddress::Port(port)),
            (Ok(0), path) if check_path(Path::new(&path)).is_ok() => Some(DataAddress::Path(path)),
            _ => None,
        };
        Ok(Self {
            version: d.version,
            protocol: d.protocol,
            device: d.device,
            threads: d.threads,
            memory_total: d.memory_total,
            memory_available: d.memory_available,
            data: need(data, "data port or data path")?,
            run: Some(d.run).filter(|run| !run.is_empty()),
            snapshots: d.snapshots.into_iter().map(Into::into).collect(),
            certificate_expires: d.certificate_expires,
        })
    }
}

same_fields! {
    HeldSnapshot { run, updates, imported, tensors }
    Configured { parameters, updates }
    Align { done, steps }
    SnapshotDone { updates, bytes, seconds }
    Underflow { activations, error_signals, layer_values }
    LayerMeasure { name, angle_deg, norm_ratio, norm, difference, split, output_angle_deg, error_angle_deg }
}
alike!(WeightVersion = wire::WeightVersion { OfForward, Newest } or "version of the weights");

impl TryFrom<wire::Command> for Command {
    type Error = ProtocolError;
    fn try_from(command: wire::Command) -> Result<Self> {
        use wire::command::Command as C;
        Ok(match need(command.command, "command")? {
            C::Start(start) => Command::Start(start.into()),
            C::Lane(lane) => Command::Lane(lane.try_into()?),
            C::Snapshot(snapshot) => Command::Snapshot(snapshot.try_into()?),
            C::Align(steps) => Command::Align(Align::from(steps).check()?),
        })
    }
}

impl From<Command> for wire::Command {
    fn from(command: Command) -> Self {
        use wire::command::Command as C;
        let command = match command {
            Command::Start(start) => C::Start(start.into()),
            Command::Lane(lane) => C::Lane(lane.into()),
            Command::Snapshot(Keep(keep)) => C::Snapshot(wire::Snapshot { keep }),
            Command::Align(steps) => C::Align(steps.into()),
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
            backward: Some(start.backward).filter(|backward| !backward.is_empty()),
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
            backward: start.backward.unwrap_or_default(),
            connect_deadline_ms: millis(start.connect_deadline),
            message_deadline_ms: millis(start.message_deadline),
        }
    }
}

impl TryFrom<wire::Lane> for RunLane {
    type Error = ProtocolError;
    fn try_from(lane: wire::Lane) -> Result<Self> {
        let (phase, version) = (Phase::try_from(lane.phase())?, WeightVersion::try_from(lane.version())?);
        if lane.actions.len() > MAX_ACTIONS {
            let actions = lane.actions.len();
            return Err(ProtocolError::invalid(format!(
                "a lane of {actions} actions is longer than {MAX_ACTIONS}"
            )));
        }
        let actions = lane.actions.into_iter().map(|each| action(each, lane.first)).collect::<Result<_>>()?;
        let minibatches = all(lane.minibatches)?;
        let lane = match (phase, version) {
            (Phase::Train, WeightVersion::Newest) => {
                Lane::part(lane.first, lane.microbatches, lane.before, actions)
            }
            (Phase::Train | Phase::Evaluate, WeightVersion::OfForward | WeightVersion::Newest) => {
                Lane::new(phase, version, actions)
            }
        };
        let lane = lane.map_err(|error| ProtocolError::invalid(error.to_string()))?;
        RunLane { lane, minibatches }.check()
    }
}

impl From<RunLane> for wire::Lane {
    fn from(RunLane { lane, minibatches }: RunLane) -> Self {
        let is_part = lane.version() == WeightVersion::Newest;
        Self {
            phase: wire::Phase::from(lane.phase()).into(),
            version: wire::WeightVersion::from(lane.version()).into(),
            first: lane.first(),
            minibatches: into_all(minibatches),
            actions: lane.actions().iter().map(|each| wire_action(*each, lane.first())).collect(),
            microbatches: if is_part { lane.microbatches().to_vec() } else { Vec::new() },
            before: lane.before(),
        }
    }
}

impl TryFrom<wire::Minibatch> for Minibatch {
    type Error = ProtocolError;
    fn try_from(minibatch: wire::Minibatch) -> Result<Self> {
        let wire::Minibatch { samples, measure, measure_signals, timeline } = minibatch;
        if measure_signals && !measure {
            return Err(ProtocolError::invalid("signals are measured only where the layers are measured"));
        }
        Ok(Self { samples, measure: Measure::of(measure, measure_signals), timeline })
    }
}

impl From<Minibatch> for wire::Minibatch {
    fn from(Minibatch { samples, measure, timeline }: Minibatch) -> Self {
        let measure_signals = measure == Measure::Signals;
        Self { samples, measure: measure.is_due(), measure_signals, timeline }
    }
}

/// The action of a wire action, whose step counts from `first`: in a lane of one step, the step takes no bytes.
fn action(action: wire::Action, first: u64) -> Result<Action> {
    use wire::action::Kind as K;
    let none = || ProtocolError::invalid(format!("no step is number {} after {first}", action.step));
    let step = first.checked_add(action.step.into()).ok_or_else(none)?;
    let m = MicrobatchId { step, index: action.microbatch };
    match action.kind() {
        K::Forward => Ok(Action::Forward(m)),
        K::Error => Ok(Action::Error(m)),
        K::Gradient => Ok(Action::Gradient(m)),
        K::Update => Ok(Action::Update(step)),
        K::Unspecified => Err(ProtocolError::Missing("action's kind")),
    }
}

/// The wire action of `action`, whose step counts from `first`: a lane has fewer steps than a u32 counts.
fn wire_action(action: Action, first: u64) -> wire::Action {
    use wire::action::Kind as K;
    let (kind, microbatch) = match action {
        Action::Forward(m) => (K::Forward, m.index),
        Action::Error(m) => (K::Error, m.index),
        Action::Gradient(m) => (K::Gradient, m.index),
        Action::Update(_) => (K::Update, 0),
    };
    let step = u32::try_from(action.step().saturating_sub(first)).unwrap_or(u32::MAX);
    wire::Action { kind: kind.into(), microbatch, step }
}

impl TryFrom<wire::Report> for Report {
    type Error = ProtocolError;
    fn try_from(report: wire::Report) -> Result<Self> {
        use wire::report::Report as R;
        Ok(match need(report.report, "report")? {
            R::Started(_) => Report::Started,
            R::Step(step) => Report::Step(step.try_into()?),
            R::Snapshot(done) => Report::Snapshot(done.into()),
            R::Align(align) => Report::Aligned(align.done),
            R::Leaving(failure) => Report::Leaving(failure.try_into()?),
        })
    }
}

impl From<Report> for wire::Report {
    fn from(report: Report) -> Self {
        use wire::report::Report as R;
        let report = match report {
            Report::Started => R::Started(wire::Started {}),
            Report::Step(step) => R::Step(step.into()),
            Report::Snapshot(done) => R::Snapshot(done.into()),
            Report::Aligned(done) => R::Align(wire::AlignDone { done }),
            Report::Leaving(failure) => R::Leaving(failure.into()),
        };
        Self { report: Some(report) }
    }
}

impl TryFrom<wire::Overflow> for Overflow {
    type Error = ProtocolError;
    fn try_from(overflow: wire::Overflow) -> Result<Self> {
        Ok(Self { largest: overflow.largest, of: Carried::try_from(overflow.of())? })
    }
}

impl From<Overflow> for wire::Overflow {
    fn from(Overflow { largest, of }: Overflow) -> Self {
        Self { largest, of: wire::Carried::from(of).into() }
    }
}

impl TryFrom<wire::StepDone> for StepDone {
    type Error = ProtocolError;
    fn try_from(mut done: wire::StepDone) -> Result<Self> {
        Ok(Self {
            timeline: timeline(&mut done)?,
            step: done.step,
            phase: Phase::try_from(done.phase())?,
            spans: done.spans.into_iter().map(|each| span(each, done.step)).collect::<Result<_>>()?,
            compute: Duration::from_nanos(done.compute_ns),
            wait: Duration::from_nanos(done.wait_ns),
            bytes_forward: done.bytes_forward,
            bytes_backward: done.bytes_backward,
            finite: done.finite,
            overflow: done.overflow.map(Overflow::try_from).transpose()?,
            underflow: done.underflow.map(Into::into).unwrap_or_default(),
            layers: done.layers.into_iter().map(Into::into).collect(),
            send: Duration::from_nanos(done.send_ns),
            updates: done.updates,
            bytes_split: done.bytes_split,
        })
    }
}

impl From<StepDone> for wire::StepDone {
    fn from(done: StepDone) -> Self {
        let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        let Timeline { transfers, exchange } = done.timeline.unwrap_or_default();
        let Exchange { received_ns, answered_ns, .. } = exchange;
        Self {
            step: done.step,
            phase: wire::Phase::from(done.phase).into(),
            spans: done.spans.into_iter().map(|each| wire_span(each, done.step)).collect(),
            compute_ns: nanos(done.compute),
            wait_ns: nanos(done.wait),
            bytes_forward: done.bytes_forward,
            bytes_backward: done.bytes_backward,
            finite: done.finite,
            overflow: done.overflow.map(Into::into),
            underflow: (done.underflow != Underflow::default()).then(|| done.underflow.into()),
            layers: into_all(done.layers),
            send_ns: nanos(done.send),
            updates: done.updates,
            bytes_split: done.bytes_split,
            transfers: into_all(transfers),
            received_ns,
            answered_ns,
        }
    }
}

/// A span from the report of `step`.
fn span(span: wire::Span, step: u64) -> Result<Span> {
    let action = action(need(span.action, "action in a span")?, step)?;
    let wire::Span { start_ns, end_ns, backward, .. } = span;
    Ok(Span { action, start_ns, end_ns, backward })
}

fn wire_span(span: Span, step: u64) -> wire::Span {
    let action = Some(wire_action(span.action, step));
    let Span { start_ns, end_ns, backward, .. } = span;
    wire::Span { action, start_ns, end_ns, backward }
}
