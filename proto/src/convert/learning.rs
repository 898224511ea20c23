//! Rules and optimizers.

use super::{Result, need};
use crate::error::ProtocolError;
use crate::spec::optimizer::{Method, OptimizerSpec, Schedule, Shape};
use crate::spec::rule::{Alignment, Centering, Coefficients, Magnitude, Mirror, Noise, RuleSpec, Transfer};
use crate::wire;

impl TryFrom<wire::Rule> for RuleSpec {
    type Error = ProtocolError;
    fn try_from(rule: wire::Rule) -> Result<Self> {
        use wire::Magnitude as M;
        if rule.transport {
            return Ok(RuleSpec::Backprop);
        }
        match M::try_from(rule.magnitude).map_err(|_| ProtocolError::Missing("known magnitude"))? {
            M::Unspecified => {}
            M::Uniform => return Ok(RuleSpec::SignSymmetry(Magnitude::Uniform)),
            M::Redrawn => return Ok(RuleSpec::SignSymmetry(Magnitude::Redrawn)),
            M::Fixed => return Ok(RuleSpec::SignSymmetry(Magnitude::Fixed)),
        }
        let alignment = alignment(&rule)?;
        let wire::Rule { amp, null, sparse, decay, .. } = rule;
        let coefficients = Coefficients { amp, null, sparse, self_: rule.self_, decay };
        RuleSpec::Learned { name: rule.name, task: rule.task, coefficients, alignment }.check()
    }
}

fn alignment(rule: &wire::Rule) -> Result<Alignment> {
    use wire::{Centering as C, Transfer as T};
    let centering =
        match C::try_from(rule.centering).map_err(|_| ProtocolError::Missing("known centering"))? {
            C::None => Centering::None,
            C::Sample => Centering::Sample,
            C::Batch => Centering::Batch,
        };
    let transfer = match T::try_from(rule.transfer).map_err(|_| ProtocolError::Missing("known transfer"))? {
        T::Identity => Transfer::Identity,
        T::Relu => Transfer::Relu,
        T::Tanh => Transfer::Tanh,
    };
    let schedule = rule.schedule.clone().map(Schedule::try_from).transpose()?.unwrap_or_default();
    let mirror = rule.mirror.map(Mirror::try_from).transpose()?;
    Ok(Alignment { schedule, centering, transfer, update_noise: rule.update_noise, mirror })
}

impl From<RuleSpec> for wire::Rule {
    fn from(rule: RuleSpec) -> Self {
        let name = rule.name().to_owned();
        match rule {
            RuleSpec::Backprop => Self { name, transport: true, ..Self::default() },
            RuleSpec::SignSymmetry(magnitude) => {
                let magnitude = match magnitude {
                    Magnitude::Uniform => wire::Magnitude::Uniform,
                    Magnitude::Redrawn => wire::Magnitude::Redrawn,
                    Magnitude::Fixed => wire::Magnitude::Fixed,
                };
                Self { name, magnitude: magnitude.into(), ..Self::default() }
            }
            RuleSpec::Learned { task, coefficients: c, alignment, .. } => {
                let Coefficients { amp, null, sparse, self_, decay } = c;
                let centering = match alignment.centering {
                    Centering::None => wire::Centering::None,
                    Centering::Sample => wire::Centering::Sample,
                    Centering::Batch => wire::Centering::Batch,
                };
                let transfer = match alignment.transfer {
                    Transfer::Identity => wire::Transfer::Identity,
                    Transfer::Relu => wire::Transfer::Relu,
                    Transfer::Tanh => wire::Transfer::Tanh,
                };
                Self {
                    name,
                    task,
                    amp,
                    null,
                    sparse,
                    self_,
                    decay,
                    schedule: Some(alignment.schedule.into()),
                    centering: centering.into(),
                    transfer: transfer.into(),
                    update_noise: alignment.update_noise,
                    mirror: alignment.mirror.map(Into::into),
                    ..Self::default()
                }
            }
        }
    }
}

impl TryFrom<wire::Mirror> for Mirror {
    type Error = ProtocolError;
    fn try_from(mirror: wire::Mirror) -> Result<Self> {
        use wire::mirror::Noise as N;
        let noise = match mirror.noise() {
            N::Normal => Noise::Normal,
            N::Uniform => Noise::Uniform,
            N::Unspecified => return Err(ProtocolError::Missing("mirror steps' noise")),
        };
        let wire::Mirror { sigma, batch, every, delay, .. } = mirror;
        Ok(Self { noise, sigma, batch, every, delay })
    }
}

impl From<Mirror> for wire::Mirror {
    fn from(mirror: Mirror) -> Self {
        let Mirror { noise, sigma, batch, every, delay } = mirror;
        let noise = match noise {
            Noise::Normal => wire::mirror::Noise::Normal,
            Noise::Uniform => wire::mirror::Noise::Uniform,
        };
        Self { noise: noise.into(), sigma, batch, every, delay }
    }
}

impl TryFrom<wire::Optimizer> for OptimizerSpec {
    type Error = ProtocolError;
    fn try_from(optimizer: wire::Optimizer) -> Result<Self> {
        use wire::optimizer::Kind as K;
        let method = match need(optimizer.kind, "optimizer's kind")? {
            K::Sgd(sgd) => Method::Sgd { momentum: sgd.momentum, nesterov: sgd.nesterov },
            K::Adam(adam) => Method::Adam { beta1: adam.beta1, beta2: adam.beta2, eps: adam.eps },
        };
        let schedule = need(optimizer.schedule, "learning rate's schedule")?.try_into()?;
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

impl TryFrom<wire::LearningRate> for Schedule {
    type Error = ProtocolError;
    fn try_from(rate: wire::LearningRate) -> Result<Self> {
        use wire::learning_rate::Shape as W;
        let shape = match rate.shape {
            None => Shape::Constant,
            Some(W::Cosine(total)) => Shape::Cosine { total },
            Some(W::Step(step)) => Shape::Step { boundaries: step.boundaries, factor: step.factor },
        };
        Self { warmup: rate.warmup, shape }.check()
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
