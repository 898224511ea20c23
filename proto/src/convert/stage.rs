//! Conversions of stages and their layers.

use super::{Result, all, into_all, need};
use crate::error::ProtocolError;
use crate::error::short;
use crate::spec::begin::Begin;
use crate::spec::graph::{Init, LayerSpec, MAX_LAYERS, Op, Window};
use crate::spec::input::InputSpec;
use crate::spec::layout::Layout;
use crate::spec::precision::Precision;
use crate::spec::rule::RuleSpec;
use crate::spec::stage::{ErrorSource, Half, MAX_VALUES, StageSpec};
use crate::spec::transport::Transport;
use crate::tensor::Kind;
use crate::wire;

impl TryFrom<wire::Stage> for StageSpec {
    type Error = ProtocolError;
    fn try_from(stage: wire::Stage) -> Result<Self> {
        check_counts(&stage)?;
        let (wire, error_source) =
            (Kind::try_from(stage.wire())?, ErrorSource::try_from(stage.error_source())?);
        let half = Half::try_from(stage.half())?;
        let precision = Precision::try_from(stage.precision())?;
        let layout = Layout::try_from(stage.layout())?;
        let transport = Transport::try_from(stage.transport())?;
        let spec = StageSpec {
            run: stage.run,
            incarnation: stage.incarnation,
            index: stage.index,
            stages: stage.stages,
            layers: all(stage.layers)?,
            inputs: all(stage.inputs)?,
            input: stage.input.map(InputSpec::from),
            outputs: stage.outputs,
            optimizer: need(stage.optimizer, "optimizer")?.try_into()?,
            optimizer_backward: need(stage.optimizer_backward, "optimizer for B")?.try_into()?,
            seed: stage.seed,
            max_microbatch: stage.max_microbatch,
            max_microbatches: stage.max_microbatches,
            wire,
            restore: stage.restore,
            begin: stage.begin.map(Begin::try_from).transpose()?,
            keep_snapshots: stage.keep_snapshots,
            recompute: stage.recompute,
            error_source,
            half,
            loss_scale: stage.loss_scale,
            shrink: stage.shrink,
            precision,
            layout,
            deterministic: stage.deterministic,
            memory: stage.memory,
            transport,
            error_feedback: stage.error_feedback,
        };
        spec.check()
    }
}

/// Checks the numbers of layers and values before any of them is converted: a small message may need much memory.
fn check_counts(stage: &wire::Stage) -> Result<()> {
    let [layers, inputs, outputs] = [stage.layers.len(), stage.inputs.len(), stage.outputs.len()];
    if layers <= MAX_LAYERS && inputs <= MAX_VALUES && outputs <= MAX_VALUES {
        return Ok(());
    }
    Err(ProtocolError::invalid(format!(
        "a stage of {layers} layers that takes {inputs} values and sends {outputs} is too large: it has at most {MAX_LAYERS} layers and takes and sends at most {MAX_VALUES} values"
    )))
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
            begin: spec.begin.map(wire::Begin::from),
            keep_snapshots: spec.keep_snapshots,
            recompute: spec.recompute,
            error_source: wire::ErrorSource::from(spec.error_source).into(),
            half: wire::Half::from(spec.half).into(),
            precision: wire::Precision::from(spec.precision).into(),
            layout: wire::Layout::from(spec.layout).into(),
            input: spec.input.map(wire::Input::from),
            loss_scale: spec.loss_scale,
            shrink: spec.shrink,
            deterministic: spec.deterministic,
            memory: spec.memory,
            transport: wire::Transport::from(spec.transport).into(),
            error_feedback: spec.error_feedback,
        }
    }
}

alike!(ErrorSource = wire::ErrorSource { Above } or "source of the error");
alike!(Half = wire::Half { Forward, Backward } or "half of a stage");
alike!(Layout = wire::Layout { ChannelsLast, RowMajor } or "memory order");
alike!(Precision = wire::Precision { F32, Tf32, Bf16 } or "precision");
alike!(Transport = wire::Transport { Auto, Grpc, SharedMemory } or "transport");

impl TryFrom<wire::Begin> for Begin {
    type Error = ProtocolError;
    fn try_from(begin: wire::Begin) -> Result<Self> {
        let wire::Begin { run, updates, optimizer, backward_is_weight } = begin;
        Begin { run, updates, optimizer, backward_is_weight }.check()
    }
}

impl From<Begin> for wire::Begin {
    fn from(begin: Begin) -> Self {
        let Begin { run, updates, optimizer, backward_is_weight } = begin;
        Self { run, updates, optimizer, backward_is_weight }
    }
}

impl From<wire::Input> for InputSpec {
    fn from(wire::Input { mean, deviation }: wire::Input) -> Self {
        Self { mean, deviation }
    }
}

impl From<InputSpec> for wire::Input {
    fn from(InputSpec { mean, deviation }: InputSpec) -> Self {
        Self { mean, deviation }
    }
}

impl TryFrom<wire::LayerSpec> for LayerSpec {
    type Error = ProtocolError;
    fn try_from(layer: wire::LayerSpec) -> Result<Self> {
        let op: Op = need(layer.op, "op in a layer")?.try_into()?;
        let rule = match (layer.rule, op.is_weight()) {
            (Some(rule), true) => (*rule).try_into()?,
            (None, true) => return Err(ProtocolError::Missing("rule in a weight layer")),
            (Some(_), false) => {
                let name = short(&layer.name);
                return Err(ProtocolError::invalid(format!("layer '{name}' has a rule, but no weights")));
            }
            (None, false) => RuleSpec::default(),
        };
        Ok(LayerSpec { name: layer.name, inputs: layer.inputs, op, rule, split: layer.split })
    }
}

impl From<LayerSpec> for wire::LayerSpec {
    fn from(layer: LayerSpec) -> Self {
        let rule = layer.op.is_weight().then(|| Box::new(layer.rule.into()));
        Self { name: layer.name, inputs: layer.inputs, op: Some(layer.op.into()), rule, split: layer.split }
    }
}

impl TryFrom<wire::layer_spec::Op> for Op {
    type Error = ProtocolError;
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
                wire::Simple::Unspecified => return Err(ProtocolError::Missing("known op in a layer")),
            },
        })
    }
}

fn init(init: Option<wire::Init>) -> Result<Init> {
    match need(init, "init in a weight layer")?.normal {
        None => Ok(Init::FanIn),
        Some(deviation) if deviation >= 0.0 && deviation.is_finite() => Ok(Init::Normal(deviation)),
        Some(deviation) => {
            Err(ProtocolError::invalid(format!("weights cannot be drawn with a deviation of {deviation}")))
        }
    }
}

fn batch_norm(norm: wire::BatchNorm) -> Result<Op> {
    let wire::BatchNorm { eps, momentum, gamma } = norm;
    if eps > 0.0 && eps.is_finite() && (0.0..=1.0).contains(&momentum) && gamma.is_finite() {
        return Ok(Op::BatchNorm { eps, momentum, gamma });
    }
    Err(ProtocolError::invalid(format!("a batch norm cannot work with {norm:?}")))
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
