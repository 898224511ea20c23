//! The optimizers: SGD with (Nesterov) momentum, and Adam, each with weight decay and with a limit on gradients.

use crate::torch::{SgdStep, add_scaled, copy, sgd_step};
use proto::spec::optimizer::{Method, OptimizerSpec};
use tch::{TchError, Tensor};

/// A trained tensor with the state of its optimizer.
pub struct Parameter {
    /// The trained tensor.
    pub value: Tensor,
    /// One tensor per name of [`Method::slots`], of the value's shape.
    pub slots: Vec<Tensor>,
    /// Whether the optimizer's weight decay applies: it applies to matrices, not to biases and norms.
    decayed: bool,
}

impl Parameter {
    /// A parameter for `method`, its optimizer state at zero.
    ///
    /// # Errors
    /// When memory fails.
    pub fn new(value: Tensor, method: &Method, decayed: bool) -> Result<Self, TchError> {
        let slots = method.slots().iter().map(|_| value.f_zeros_like()).collect::<Result<_, _>>()?;
        Ok(Self { value, slots, decayed })
    }

    /// Makes one step along `gradient`, after `updates` finished updates.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn step(&mut self, spec: &OptimizerSpec, updates: u64, gradient: &Tensor) -> Result<(), TchError> {
        let lr = spec.lr * spec.schedule.factor(updates);
        let gradient = if spec.clip > 0.0 { clipped(gradient, spec.clip)? } else { gradient.shallow_clone() };
        let weight_decay = if self.decayed { spec.decay(updates) } else { 0.0 };
        match (spec.method, self.slots.first_mut()) {
            (Method::Sgd { momentum, .. }, Some(_)) if spec.delay > 0.0 => {
                let gradient = self.pulled(gradient, weight_decay)?;
                self.late(lr, momentum, spec.direction(), &gradient)
            }
            (Method::Sgd { momentum, nesterov }, Some(buffer)) => {
                let step = SgdStep { lr, momentum, weight_decay, nesterov };
                sgd_step(&mut self.value, &gradient, buffer, &step)
            }
            (Method::Sgd { .. }, None) => {
                let gradient = self.pulled(gradient, weight_decay)?;
                add_scaled(&mut self.value, &gradient, -lr)
            }
            (Method::Adam { beta1, beta2, eps }, _) => {
                let gradient = self.pulled(gradient, weight_decay)?;
                self.adam(lr, [beta1, beta2], eps, updates + 1, &gradient)
            }
        }
    }

    /// g + weight_decay · p
    fn pulled(&self, gradient: Tensor, weight_decay: f64) -> Result<Tensor, TchError> {
        if weight_decay == 0.0 {
            return Ok(gradient);
        }
        let mut pulled = copy(&gradient)?;
        add_scaled(&mut pulled, &self.value, weight_decay)?;
        Ok(pulled)
    }

    /// buf = momentum · buf + g; p −= lr · (a · buf + b · g)
    fn late(&mut self, lr: f64, momentum: f64, [a, b]: [f64; 2], gradient: &Tensor) -> Result<(), TchError> {
        let [buffer] = self.slots.as_mut_slice() else {
            return Err(TchError::Torch("momentum keeps one tensor for each parameter".into()));
        };
        let _ = buffer.f_mul_scalar_(momentum)?;
        add_scaled(buffer, gradient, 1.0)?;
        add_scaled(&mut self.value, buffer, -lr * a)?;
        add_scaled(&mut self.value, gradient, -lr * b)
    }

    /// Kingma & Ba 2015, algorithm 1. `t` counts this step too.
    fn adam(
        &mut self,
        lr: f64,
        betas: [f64; 2],
        eps: f64,
        t: u64,
        gradient: &Tensor,
    ) -> Result<(), TchError> {
        let t = i32::try_from(t).unwrap_or(i32::MAX);
        let [correct1, correct2] = betas.map(|beta| 1.0 - beta.powi(t));
        let [mean, square] = self.slots.as_mut_slice() else {
            return Err(TchError::Torch("Adam keeps two tensors for each parameter".into()));
        };
        let _ = mean.f_mul_scalar_(betas[0])?;
        add_scaled(mean, gradient, 1.0 - betas[0])?;
        let _ = square.f_mul_scalar_(betas[1])?;
        add_scaled(square, &gradient.f_square()?, 1.0 - betas[1])?;
        let root = square.f_sqrt()?.f_div_scalar(correct2.sqrt())?.f_add_scalar(eps)?;
        add_scaled(&mut self.value, &mean.f_div(&root)?, -lr / correct1)
    }
}

/// g · min(1, limit / ‖g‖). The norm stays on the device, so that nothing waits for it.
fn clipped(gradient: &Tensor, limit: f64) -> Result<Tensor, TchError> {
    let factor = gradient.f_norm()?.f_reciprocal()?.f_mul_scalar(limit)?.f_clamp_max(1.0)?;
    gradient.f_mul(&factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn walk(method: Method, weight_decay: f64, gradients: [f64; 3]) -> f64 {
        let spec = OptimizerSpec { method, weight_decay, ..OptimizerSpec::sgd(0.1) };
        let one = |value: f64| Tensor::full([1], value, (Kind::Double, Device::Cpu));
        let mut parameter = Parameter::new(one(1.0), &method, true).unwrap();
        for (updates, gradient) in gradients.into_iter().enumerate() {
            parameter.step(&spec, updates as u64, &one(gradient)).unwrap();
        }
        parameter.value.double_value(&[0])
    }

    #[test]
    fn steps_follow_their_formulas() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(walk(Method::Sgd { momentum: 0.0, nesterov: false }, 0.0, [1.0, 2.0, 3.0]), 1.0 - 0.6);
        // buf: 1, 2.9, 5.61
        close(walk(Method::Sgd { momentum: 0.9, nesterov: false }, 0.0, [1.0, 2.0, 3.0]), 1.0 - 0.951);
        // g + m·buf: 1.9, 4.61, 8.049
        close(walk(Method::Sgd { momentum: 0.9, nesterov: true }, 0.0, [1.0, 2.0, 3.0]), 1.0 - 1.4559);
        // The gradients are two updates late, and the step is Nesterov's: a = .729, b = 2.71.
        let late = OptimizerSpec {
            method: Method::Sgd { momentum: 0.9, nesterov: true },
            delay: 2.0,
            ..OptimizerSpec::sgd(0.1)
        };
        let mut parameter =
            Parameter::new(Tensor::full([1], 1.0, (Kind::Double, Device::Cpu)), &late.method, true).unwrap();
        for (updates, gradient) in [1.0, 2.0].into_iter().enumerate() {
            let gradient = Tensor::full([1], gradient, (Kind::Double, Device::Cpu));
            parameter.step(&late, updates as u64, &gradient).unwrap();
        }
        close(parameter.value.double_value(&[0]), 1.0 - 0.1 * (0.729 * (1.0 + 2.9) + 2.71 * (1.0 + 2.0)));
        // p: 1 → .95 → .9025 → .857375
        close(walk(Method::Sgd { momentum: 0.0, nesterov: false }, 0.5, [0.0; 3]), 0.857375);
        // A constant gradient moves Adam by lr at every step, whatever the size of the gradient.
        close(walk(Method::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-30 }, 0.0, [7.0; 3]), 0.7);
    }

    #[test]
    fn a_gradient_in_another_memory_order_makes_the_same_step() {
        let step = |order: fn(Tensor) -> Tensor| {
            let spec = OptimizerSpec {
                method: Method::Sgd { momentum: 0.9, nesterov: true },
                ..OptimizerSpec::sgd(0.1)
            };
            let numbers = || Tensor::arange(24, (Kind::Float, Device::Cpu)).reshape([2, 3, 2, 2]);
            let value = crate::torch::settled(numbers(), true).unwrap();
            let mut parameter = Parameter::new(value, &spec.method, true).unwrap();
            parameter.step(&spec, 0, &order(numbers())).unwrap();
            parameter.value.copy()
        };
        assert_eq!(step(|row_major| row_major), step(|other| crate::torch::settled(other, true).unwrap()));
    }

    #[test]
    fn a_gradient_longer_than_the_limit_is_shortened_to_it_before_the_decay() {
        let step = |clip, weight_decay, gradient: [f64; 2]| {
            let spec = OptimizerSpec { clip, weight_decay, ..OptimizerSpec::sgd(1.0) };
            let value = Tensor::zeros([2], (Kind::Double, Device::Cpu)) + 1.0;
            let mut parameter = Parameter::new(value, &spec.method, true).unwrap();
            parameter.step(&spec, 0, &Tensor::from_slice(&gradient)).unwrap();
            [0, 1].map(|at| (1e9 * parameter.value.double_value(&[at])).round() / 1e9)
        };
        assert_eq!(step(0.0, 0.0, [3.0, 4.0]), [-2.0, -3.0]);
        assert_eq!(step(1.0, 0.0, [3.0, 4.0]), [0.4, 0.2]);
        assert_eq!(step(5.0, 0.0, [3.0, 4.0]), [-2.0, -3.0], "as long as the limit");
        assert_eq!(step(1.0, 0.5, [3.0, 4.0]), [-0.1, -0.3], "the decay is not shortened");
        assert_eq!(step(1.0, 0.0, [0.0, 0.0]), [1.0, 1.0], "a gradient of zero has no direction");
        let both = step(1.0, 0.0, [f64::NAN, 1.0]);
        assert!(both[0].is_nan(), "what is not a number stays visible");
    }
}
