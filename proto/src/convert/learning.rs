//! Conversions of rules and optimizers.

use super::{Result, known, need};
use crate::error::{ProtocolError, short};
use crate::spec::optimizer::{Method, OptimizerSpec, Schedule, Shape};
use crate::spec::rule::{
    Alignment, Centering, Coefficients, Magnitude, Mirror, Noise, Primitive, Product, RuleSpec, Transfer,
};
use crate::wire;

alike!(Centering = wire::Centering { None, Sample, Batch });
alike!(Transfer = wire::Transfer { Identity, Relu, Tanh });
alike!(Magnitude = wire::Magnitude { Uniform, Redrawn, Fixed } or "magnitude");
alike!(Noise = wire::mirror::Noise { Normal, Uniform } or "mirror steps' noise");

impl TryFrom<wire::Rule> for RuleSpec {
    type Error = ProtocolError;
    fn try_from(rule: wire::Rule) -> Result<Self> {
        if rule.transport {
            return Ok(RuleSpec::Backprop);
        }
        match known(rule.magnitude, "known magnitude")? {
            wire::Magnitude::Unspecified => {}
            magnitude => return Ok(RuleSpec::SignSymmetry { magnitude: magnitude.try_into()? }),
        }
        if let Some(wire::Product { ratio, decay }) = rule.product {
            let product = Product { ratio, decay, schedule: schedule(&rule)? };
            return RuleSpec::Product(product).check();
        }
        let alignment = alignment(&rule)?;
        let coefficients = coefficients(&rule.terms)?;
        RuleSpec::Learned { name: rule.name, task: rule.task, coefficients, alignment }.check()
    }
}

/// The coefficients of `terms`, which are the primitives of B's loss in their order, each once.
fn coefficients(terms: &[wire::Term]) -> Result<Coefficients> {
    let (mut found, mut last) = (Coefficients::default(), None);
    for wire::Term { primitive, coefficient } in terms {
        let one = Primitive::named(primitive).ok_or_else(|| {
            let (name, known) = (short(primitive), Primitive::WORDS.join(", "));
            ProtocolError::invalid(format!("B's loss has a primitive '{name}', where this node has {known}"))
        })?;
        if *coefficient == 0.0 || last.is_some_and(|last| last >= one) {
            let why =
                format!("the primitives of B's loss come in their order, once and not with 0: not so {one}");
            return Err(ProtocolError::invalid(why));
        }
        (found, last) = (found.with(one, *coefficient), Some(one));
    }
    Ok(found)
}

fn schedule(rule: &wire::Rule) -> Result<Schedule> {
    Ok(rule.schedule.clone().map(Schedule::try_from).transpose()?.unwrap_or_default())
}

fn alignment(rule: &wire::Rule) -> Result<Alignment> {
    Ok(Alignment {
        schedule: schedule(rule)?,
        centering: known::<wire::Centering>(rule.centering, "known centering")?.try_into()?,
        transfer: known::<wire::Transfer>(rule.transfer, "known transfer")?.try_into()?,
        per_position: rule.per_position,
        update_noise: rule.update_noise,
        mirror: rule.mirror.map(Mirror::try_from).transpose()?,
    })
}

impl From<RuleSpec> for wire::Rule {
    fn from(rule: RuleSpec) -> Self {
        let name = rule.name().to_owned();
        match rule {
            RuleSpec::Backprop => Self { name, transport: true, ..Self::default() },
            RuleSpec::SignSymmetry { magnitude } => {
                Self { name, magnitude: wire::Magnitude::from(magnitude).into(), ..Self::default() }
            }
            RuleSpec::Product(Product { ratio, decay, schedule }) => Self {
                name,
                product: Some(wire::Product { ratio, decay }),
                schedule: Some(schedule.into()),
                ..Self::default()
            },
            RuleSpec::Learned { task, coefficients, alignment, .. } => {
                let term = |(one, coefficient): (Primitive, f64)| wire::Term {
                    primitive: one.word().into(),
                    coefficient,
                };
                Self {
                    name,
                    task,
                    terms: coefficients.terms().map(term).collect(),
                    schedule: Some(alignment.schedule.into()),
                    centering: wire::Centering::from(alignment.centering).into(),
                    transfer: wire::Transfer::from(alignment.transfer).into(),
                    per_position: alignment.per_position,
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
        let noise = mirror.noise().try_into()?;
        let wire::Mirror { sigma, batch, every, delay, .. } = mirror;
        Ok(Self { noise, sigma, batch, every, delay })
    }
}

impl From<Mirror> for wire::Mirror {
    fn from(mirror: Mirror) -> Self {
        let Mirror { noise, sigma, batch, every, delay } = mirror;
        Self { noise: wire::mirror::Noise::from(noise).into(), sigma, batch, every, delay }
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
        let weight_decay_schedule = optimizer.weight_decay_schedule.map(Schedule::try_from).transpose()?;
        let weight_decay_schedule = weight_decay_schedule.unwrap_or_default();
        let wire::Optimizer { lr, weight_decay, clip, delay, .. } = optimizer;
        OptimizerSpec { method, lr, weight_decay, clip, schedule, weight_decay_schedule, delay }.check()
    }
}

impl From<OptimizerSpec> for wire::Optimizer {
    fn from(spec: OptimizerSpec) -> Self {
        use wire::optimizer::Kind as K;
        let kind = match spec.method {
            Method::Sgd { momentum, nesterov } => K::Sgd(wire::Sgd { momentum, nesterov }),
            Method::Adam { beta1, beta2, eps } => K::Adam(wire::Adam { beta1, beta2, eps }),
        };
        Self {
            kind: Some(kind),
            lr: spec.lr,
            weight_decay: spec.weight_decay,
            clip: spec.clip,
            delay: spec.delay,
            schedule: Some(spec.schedule.into()),
            weight_decay_schedule: Some(spec.weight_decay_schedule.into()),
        }
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
