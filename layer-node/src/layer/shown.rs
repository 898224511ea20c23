//! The values of a layer that its W gives to the training of its B: x and y, or noise and its y.
//!
//! The node with W computes them, whether it keeps B as well or sends them to the node with B.

use crate::linear_map::LinearMap;
use crate::rule;
use crate::settings::Settings;
use proto::spec::graph::LayerSpec;
use proto::spec::rule::{Alignment, Centering, Mirror, RuleSpec};
use tch::{TchError, Tensor};

/// The values that are shown of one microbatch, or of one mirror step.
#[derive(Debug, Default)]
pub struct Shown {
    /// The layer's input `(n, in)` or `(n, in, H, W)`, or noise of its shape; `None` where B's training has no use for it.
    pub x: Option<Tensor>,
    /// The layer's output for x before bias, norm and activation, `(n, out)` or `(n, out, H', W')`; `None` where the rule
    /// does not use it.
    pub y: Option<Tensor>,
}

/// A mirror step, by the steps before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorStep {
    /// The mirror step of the update after so many others.
    AfterUpdate(u64),
    /// The mirror step after so many others, before the first update.
    Delay(u64),
}

impl MirrorStep {
    /// The number of steps of its kind before it.
    pub fn count(self) -> u64 {
        match self {
            Self::AfterUpdate(count) | Self::Delay(count) => count,
        }
    }

    /// The random stream of its noise.
    pub fn stream(self) -> &'static str {
        match self {
            Self::AfterUpdate(_) => "mirror",
            Self::Delay(_) => "mirror_delay",
        }
    }
}

/// What a layer's W shows, as the layer's rule asks for it.
pub struct Show {
    name: String,
    map: LinearMap,
    /// The shape of one sample that enters the layer.
    input: Vec<i64>,
    centering: Centering,
    mirror: Option<Mirror>,
    /// Whether the rule reads samples of the network.
    samples: bool,
    /// Whether the rule reads y.
    output: bool,
    /// Whether W's task gradient is part of B's.
    task: bool,
}

impl Show {
    /// What the layer `spec` shows, which applies its matrix by `map` to inputs of shape `x` (one sample).
    pub fn new(spec: &LayerSpec, map: LinearMap, x: &[u64]) -> Self {
        let (alignment, samples, task) = match &spec.rule {
            RuleSpec::Learned { task, coefficients, alignment, .. } => {
                (alignment.clone(), coefficients.use_samples(), *task)
            }
            RuleSpec::Backprop | RuleSpec::SignSymmetry { .. } | RuleSpec::Product(_) => {
                (Alignment::default(), false, spec.rule.uses_task())
            }
        };
        Self {
            name: spec.name.clone(),
            map,
            input: x.iter().map(|&size| size as i64).collect(),
            centering: alignment.centering,
            mirror: alignment.mirror,
            samples: samples && alignment.mirror.is_none(),
            output: spec.rule.uses_output(),
            task,
        }
    }

    /// Whether the layer's own y is shown, so that the layer must keep it.
    pub fn keeps_output(&self) -> bool {
        self.samples && self.output && self.centering == Centering::None
    }

    /// The values of one microbatch that the rule's primitives see, from the layer's `x` and the factor `weight`, and from its own
    /// `y` if [`Show::keeps_output`] asked for it. `None` if they see none.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn sample(&self, x: &Tensor, y: Option<&Tensor>, weight: &Tensor) -> Result<Option<Shown>, TchError> {
        if !self.samples {
            return Ok(None);
        }
        if self.centering == Centering::None {
            return Ok(Some(Shown { x: Some(x.shallow_clone()), y: y.map(Tensor::shallow_clone) }));
        }
        let x = rule::center(self.centering, x)?;
        let y = self.output(&x, weight)?;
        Ok(Some(Shown { x: Some(x), y }))
    }

    /// As [`Show::sample`], for another host: the task gradient needs x as it is, and x can be centred there.
    ///
    /// # Errors
    /// As [`Show::sample`].
    pub fn sample_to_send(&self, x: &Tensor, y: Option<&Tensor>, weight: &Tensor) -> Result<Shown, TchError> {
        let shown = self.sample(x, y, weight)?.unwrap_or_default();
        Ok(match self.task {
            true => Shown { x: Some(x.shallow_clone()), ..shown },
            false => shown,
        })
    }

    /// The values that the rule's primitives see, from those that another host has sent by [`Show::sample_to_send`].
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn received(&self, Shown { x, y }: &Shown) -> Result<Option<Shown>, TchError> {
        if !self.samples {
            return Ok(None);
        }
        let x = x.as_ref().map(|x| match self.task {
            true => rule::center(self.centering, x),
            false => Ok(x.shallow_clone()),
        });
        Ok(Some(Shown { x: x.transpose()?, y: y.as_ref().map(Tensor::shallow_clone) }))
    }

    /// Whether the layer makes the mirror step `step`.
    pub fn is_due(&self, step: MirrorStep) -> bool {
        self.mirror.is_some_and(|Mirror { every, delay, .. }| match step {
            MirrorStep::AfterUpdate(updates) => every > 0 && (updates + 1).is_multiple_of(every),
            MirrorStep::Delay(done) => done < delay,
        })
    }

    /// The values of the mirror step `step`: noise in the place of x, and its y through `weight`. `None` if the step is
    /// not due.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn noise(
        &self,
        step: MirrorStep,
        weight: &Tensor,
        settings: &Settings,
    ) -> Result<Option<Shown>, TchError> {
        let Some(Mirror { noise, sigma, batch, .. }) = self.mirror.filter(|_| self.is_due(step)) else {
            return Ok(None);
        };
        let shape = [&[i64::from(batch)], self.input.as_slice()].concat();
        let parts = [self.name.as_str(), step.stream(), &step.count().to_string()];
        let noise = rule::draw_noise(settings, &parts, &shape, noise, sigma)?;
        let x = rule::center(self.centering, &noise.f_to_kind(settings.kind)?)?;
        let y = self.output(&x, weight)?;
        Ok(Some(Shown { x: Some(x), y }))
    }

    /// The layer's y for an x that did not pass through it, if the rule uses y.
    fn output(&self, x: &Tensor, weight: &Tensor) -> Result<Option<Tensor>, TchError> {
        self.output.then(|| self.map.forward(x, weight)).transpose()
    }
}
