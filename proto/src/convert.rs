//! Domain types out of generated ones, checked, and back.
//!
//! Whoever receives expects junk: `TryFrom` on receipt. Whoever sends has valid values: `From`.

use crate::control::*;
use crate::error::DoorError;
use crate::graph::{Init, LayerSpec, Op, Window};
use crate::lane::{Action, Lane, Phase};
use crate::message::{Identity, Value};
use crate::optimizer::{Method, OptimizerSpec, Schedule, Shape};
use crate::rule::{Coefficients, RuleSpec};
use crate::stage::StageSpec;
use crate::tensor::{Kind, MAX_DIMENSIONS};
use crate::wire;
use std::time::Duration;

type Result<T> = std::result::Result<T, DoorError>;

fn need<T>(value: Option<T>, name: &'static str) -> Result<T> {
    value.ok_or(DoorError::Missing(name))
}

fn all<W, D: TryFrom<W, Error = DoorError>>(values: Vec<W>) -> Result<Vec<D>> {
    values.into_iter().map(D::try_from).collect()
}

fn into_all<D, W: From<D>>(values: Vec<D>) -> Vec<W> {
    values.into_iter().map(W::from).collect()
}

// ---- numbers and names ----

impl TryFrom<wire::Kind> for Kind {
    type Error = DoorError;
    fn try_from(kind: wire::Kind) -> Result<Self> {
        match kind {
            wire::Kind::F32 => Ok(Kind::F32),
            wire::Kind::Bf16 => Ok(Kind::Bf16),
            wire::Kind::F16 => Ok(Kind::F16),
            wire::Kind::Unspecified => Err(DoorError::Missing("number format")),
        }
    }
}

impl From<Kind> for wire::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::F32 => wire::Kind::F32,
            Kind::Bf16 => wire::Kind::Bf16,
            Kind::F16 => wire::Kind::F16,
        }
    }
}

impl TryFrom<wire::Phase> for Phase {
    type Error = DoorError;
    fn try_from(phase: wire::Phase) -> Result<Self> {
        match phase {
            wire::Phase::Train => Ok(Phase::Train),
            wire::Phase::Evaluate => Ok(Phase::Evaluate),
            wire::Phase::Unspecified => Err(DoorError::Missing("phase")),
        }
    }
}

impl From<Phase> for wire::Phase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Train => wire::Phase::Train,
            Phase::Evaluate => wire::Phase::Evaluate,
        }
    }
}

impl TryFrom<wire::Value> for Value {
    type Error = DoorError;
    fn try_from(value: wire::Value) -> Result<Self> {
        if value.shape.len() < MAX_DIMENSIONS && value.name.len() <= crate::graph::MAX_NAME {
            return Ok(Value { name: value.name, shape: value.shape });
        }
        Err(DoorError::invalid("a value has too many dimensions or too long a name"))
    }
}

impl From<Value> for wire::Value {
    fn from(value: Value) -> Self {
        Self { name: value.name, shape: value.shape }
    }
}

// ---- the data plane ----

impl TryFrom<wire::Header> for Identity {
    type Error = DoorError;
    fn try_from(header: wire::Header) -> Result<Self> {
        let phase = Phase::try_from(header.phase())?;
        let identity = Identity {
            run: header.run,
            incarnation: header.incarnation,
            step: header.step,
            phase,
            minibatch: header.minibatch,
            microbatches: header.microbatches,
            index: header.index,
            offset: header.offset,
            size: header.size,
        };
        identity.check()
    }
}

impl Identity {
    pub(crate) fn to_wire(&self, tensors: Vec<wire::TensorHeader>) -> wire::Header {
        wire::Header {
            run: self.run.clone(),
            incarnation: self.incarnation,
            step: self.step,
            phase: wire::Phase::from(self.phase).into(),
            minibatch: self.minibatch,
            microbatches: self.microbatches,
            index: self.index,
            offset: self.offset,
            size: self.size,
            tensors,
        }
    }
}

// ---- a stage ----

impl TryFrom<wire::Stage> for StageSpec {
    type Error = DoorError;
    fn try_from(stage: wire::Stage) -> Result<Self> {
        let wire = Kind::try_from(stage.wire())?;
        let spec = StageSpec {
            run: stage.run,
            incarnation: stage.incarnation,
            index: stage.index,
            stages: stage.stages,
            layers: all(stage.layers)?,
            inputs: all(stage.inputs)?,
            outputs: stage.outputs,
            optimizer: need(stage.optimizer, "optimizer")?.try_into()?,
            optimizer_backward: need(stage.optimizer_backward, "optimizer for B")?.try_into()?,
            seed: stage.seed,
            max_microbatch: stage.max_microbatch,
            max_microbatches: stage.max_microbatches,
            wire,
            restore: stage.restore,
            keep_snapshots: stage.keep_snapshots,
            recompute: stage.recompute,
        };
        spec.check()
    }
}

impl From<StageSpec> for wire::Stage {
    fn from(spec: StageSpec) -> Self {
        Self {
            run: spec.run,
            incarnation: spec.incarnation,
            index: spec.index,
            stages: spec.stages,
            layers: into_all(spec.layers),
            inputs: into_all(spec.inputs),
            outputs: spec.outputs,
            optimizer: Some(spec.optimizer.into()),
            optimizer_backward: Some(spec.optimizer_backward.into()),
            seed: spec.seed,
            max_microbatch: spec.max_microbatch,
            max_microbatches: spec.max_microbatches,
            wire: wire::Kind::from(spec.wire).into(),
            restore: spec.restore,
            keep_snapshots: spec.keep_snapshots,
            recompute: spec.recompute,
        }
    }
}

impl TryFrom<wire::LayerSpec> for LayerSpec {
    type Error = DoorError;
    fn try_from(layer: wire::LayerSpec) -> Result<Self> {
        let op: Op = need(layer.op, "op in a layer")?.try_into()?;
        let rule = match layer.rule {
            Some(rule) => rule.try_into()?,
            None if op.is_weight() => return Err(DoorError::Missing("rule in a weight layer")),
            None => RuleSpec::default(),
        };
        Ok(LayerSpec { name: layer.name, inputs: layer.inputs, op, rule })
    }
}

impl From<LayerSpec> for wire::LayerSpec {
    fn from(layer: LayerSpec) -> Self {
        let rule = layer.op.is_weight().then(|| layer.rule.into());
        Self { name: layer.name, inputs: layer.inputs, op: Some(layer.op.into()), rule }
    }
}

impl TryFrom<wire::layer_spec::Op> for Op {
    type Error = DoorError;
    fn try_from(op: wire::layer_spec::Op) -> Result<Self> {
        use wire::layer_spec::Op as W;
        Ok(match op {
            W::Conv2d(c) => Op::Conv2d {
                out: c.out,
                kernel: c.kernel,
                stride: c.stride,
                padding: c.padding,
                bias: c.bias,
                init: init(c.init)?,
            },
            W::Linear(l) => Op::Linear { out: l.out, bias: l.bias, init: init(l.init)? },
            W::BatchNorm(norm) => batch_norm(norm)?,
            W::MaxPool(pool) => Op::MaxPool(pool.into()),
            W::AvgPool(pool) => Op::AvgPool(pool.into()),
            W::Simple(simple) => match wire::Simple::try_from(simple).unwrap_or_default() {
                wire::Simple::Bias => Op::Bias,
                wire::Simple::Relu => Op::Relu,
                wire::Simple::Flatten => Op::Flatten,
                wire::Simple::Add => Op::Add,
                wire::Simple::Unspecified => return Err(DoorError::Missing("known op in a layer")),
            },
        })
    }
}

fn init(init: Option<wire::Init>) -> Result<Init> {
    match need(init, "init in a weight layer")?.normal {
        None => Ok(Init::FanIn),
        Some(deviation) if deviation >= 0.0 && deviation.is_finite() => Ok(Init::Normal(deviation)),
        Some(deviation) => {
            Err(DoorError::invalid(format!("weights cannot be drawn with a deviation of {deviation}")))
        }
    }
}

fn batch_norm(norm: wire::BatchNorm) -> Result<Op> {
    let wire::BatchNorm { eps, momentum, gamma } = norm;
    if eps > 0.0 && eps.is_finite() && (0.0..=1.0).contains(&momentum) && gamma.is_finite() {
        return Ok(Op::BatchNorm { eps, momentum, gamma });
    }
    Err(DoorError::invalid(format!("a batch norm cannot work with {norm:?}")))
}

impl From<Op> for wire::layer_spec::Op {
    fn from(op: Op) -> Self {
        use wire::layer_spec::Op as W;
        let to_wire =
            |init| Some(wire::Init { normal: if let Init::Normal(d) = init { Some(d) } else { None } });
        let simple = |simple: wire::Simple| W::Simple(simple.into());
        match op {
            Op::Conv2d { out, kernel, stride, padding, bias, init } => {
                W::Conv2d(wire::Conv2d { out, kernel, stride, padding, bias, init: to_wire(init) })
            }
            Op::Linear { out, bias, init } => W::Linear(wire::Linear { out, bias, init: to_wire(init) }),
            Op::BatchNorm { eps, momentum, gamma } => W::BatchNorm(wire::BatchNorm { eps, momentum, gamma }),
            Op::MaxPool(window) => W::MaxPool(window.into()),
            Op::AvgPool(window) => W::AvgPool(window.into()),
            Op::Bias => simple(wire::Simple::Bias),
            Op::Relu => simple(wire::Simple::Relu),
            Op::Flatten => simple(wire::Simple::Flatten),
            Op::Add => simple(wire::Simple::Add),
        }
    }
}

impl From<wire::Pool> for Window {
    fn from(pool: wire::Pool) -> Self {
        Self { kernel: pool.kernel, stride: pool.stride, padding: pool.padding }
    }
}

impl From<Window> for wire::Pool {
    fn from(window: Window) -> Self {
        Self { kernel: window.kernel, stride: window.stride, padding: window.padding }
    }
}

impl TryFrom<wire::Rule> for RuleSpec {
    type Error = DoorError;
    fn try_from(rule: wire::Rule) -> Result<Self> {
        if rule.transport {
            return Ok(RuleSpec::Backprop);
        }
        let wire::Rule { amp, null, sparse, decay, .. } = rule;
        let coefficients = Coefficients { amp, null, sparse, self_: rule.self_, decay };
        RuleSpec::Learned { name: rule.name, task: rule.task, coefficients }.check()
    }
}

impl From<RuleSpec> for wire::Rule {
    fn from(rule: RuleSpec) -> Self {
        match rule {
            RuleSpec::Backprop => Self { name: "backprop".into(), transport: true, ..Self::default() },
            RuleSpec::Learned { name, task, coefficients: c } => {
                let Coefficients { amp, null, sparse, self_, decay } = c;
                Self { name, transport: false, task, amp, null, sparse, self_, decay }
            }
        }
    }
}

impl TryFrom<wire::Optimizer> for OptimizerSpec {
    type Error = DoorError;
    fn try_from(optimizer: wire::Optimizer) -> Result<Self> {
        use wire::optimizer::Kind as K;
        let method = match need(optimizer.kind, "optimizer's kind")? {
            K::Sgd(sgd) => Method::Sgd { momentum: sgd.momentum, nesterov: sgd.nesterov },
            K::Adam(adam) => Method::Adam { beta1: adam.beta1, beta2: adam.beta2, eps: adam.eps },
        };
        let schedule = need(optimizer.schedule, "learning rate's schedule")?.into();
        OptimizerSpec { method, lr: optimizer.lr, weight_decay: optimizer.weight_decay, schedule }.check()
    }
}

impl From<OptimizerSpec> for wire::Optimizer {
    fn from(spec: OptimizerSpec) -> Self {
        use wire::optimizer::Kind as K;
        let kind = match spec.method {
            Method::Sgd { momentum, nesterov } => K::Sgd(wire::Sgd { momentum, nesterov }),
            Method::Adam { beta1, beta2, eps } => K::Adam(wire::Adam { beta1, beta2, eps }),
        };
        let schedule = Some(spec.schedule.into());
        Self { kind: Some(kind), lr: spec.lr, weight_decay: spec.weight_decay, schedule }
    }
}

impl From<wire::LearningRate> for Schedule {
    fn from(rate: wire::LearningRate) -> Self {
        use wire::learning_rate::Shape as W;
        let shape = match rate.shape {
            None => Shape::Constant,
            Some(W::Cosine(total)) => Shape::Cosine { total },
            Some(W::Step(step)) => Shape::Step { boundaries: step.boundaries, factor: step.factor },
        };
        Self { warmup: rate.warmup, shape }
    }
}

impl From<Schedule> for wire::LearningRate {
    fn from(schedule: Schedule) -> Self {
        use wire::learning_rate::Shape as W;
        let shape = match schedule.shape {
            Shape::Constant => None,
            Shape::Cosine { total } => Some(W::Cosine(total)),
            Shape::Step { boundaries, factor } => Some(W::Step(wire::StepDecay { boundaries, factor })),
        };
        Self { warmup: schedule.warmup, shape }
    }
}

// ---- the control plane ----

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
    type Error = DoorError;
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
    type Error = DoorError;
    fn try_from(command: wire::Command) -> Result<Self> {
        use wire::command::Command as C;
        Ok(match need(command.command, "command")? {
            C::Start(start) => Command::Start(start.into()),
            C::Step(step) => Command::Step(step.try_into()?),
            C::Snapshot(_) => Command::Snapshot,
        })
    }
}

impl From<Command> for wire::Command {
    fn from(command: Command) -> Self {
        use wire::command::Command as C;
        let command = match command {
            Command::Start(start) => C::Start(start.into()),
            Command::Step(step) => C::Step(step.into()),
            Command::Snapshot => C::Snapshot(wire::Snapshot {}),
        };
        Self { command: Some(command) }
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
    type Error = DoorError;
    fn try_from(step: wire::Step) -> Result<Self> {
        let phase = Phase::try_from(step.phase())?;
        let lane =
            Lane::new(phase, all(step.lane)?).map_err(|error| DoorError::invalid(error.to_string()))?;
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
    type Error = DoorError;
    fn try_from(action: wire::Action) -> Result<Self> {
        use wire::action::Kind as K;
        let m = action.microbatch;
        match action.kind() {
            K::Forward => Ok(Action::Forward(m)),
            K::Error => Ok(Action::Error(m)),
            K::Gradient => Ok(Action::Gradient(m)),
            K::Update => Ok(Action::Update),
            K::Unspecified => Err(DoorError::Missing("action's kind")),
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
    type Error = DoorError;
    fn try_from(report: wire::Report) -> Result<Self> {
        use wire::report::Report as R;
        Ok(match need(report.report, "report")? {
            R::Started(_) => Report::Started,
            R::Step(step) => Report::Step(step.try_into()?),
            R::Snapshot(s) => {
                Report::Snapshot(SnapshotDone { updates: s.updates, bytes: s.bytes, seconds: s.seconds })
            }
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
        };
        Self { report: Some(report) }
    }
}

impl TryFrom<wire::StepDone> for StepDone {
    type Error = DoorError;
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
        }
    }
}

impl TryFrom<wire::Span> for Span {
    type Error = DoorError;
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
