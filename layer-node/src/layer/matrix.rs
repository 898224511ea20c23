//! The matrix of a weight layer, W or B: its trained values, and a copy of them in the number format of the computation.

use crate::linear_map::LinearMap;
use crate::optim::Parameter;
use crate::state::named::State;
use crate::torch;
use proto::spec::optimizer::{Method, OptimizerSpec};
use std::cell::OnceCell;
use tch::{Kind, TchError, Tensor};

/// A trained matrix of shape `(out, in, …)`.
///
/// Every function that can change the values drops the copy, so the copy is made at most once for each update.
pub struct Matrix {
    parameter: Parameter,
    /// The number format of the computation.
    kind: Kind,
    copy: OnceCell<Tensor>,
}

impl Matrix {
    /// The matrix `drawn`, trained by `method`, for a computation in `kind`.
    ///
    /// # Errors
    /// When memory fails.
    pub fn new(drawn: Tensor, method: &Method, kind: Kind) -> Result<Self, TchError> {
        Ok(Self { parameter: Parameter::new(drawn, method, true)?, kind, copy: OnceCell::new() })
    }

    /// The trained values.
    pub fn value(&self) -> &Tensor {
        &self.parameter.value
    }

    /// The values in the number format of the computation.
    ///
    /// # Errors
    /// When memory or device fail.
    pub fn factor(&self) -> Result<&Tensor, TchError> {
        if self.kind == self.value().kind() {
            return Ok(self.value());
        }
        match self.copy.get() {
            Some(copy) => Ok(copy),
            None => {
                let copy = self.value().f_to_kind(self.kind)?;
                Ok(self.copy.get_or_init(|| copy))
            }
        }
    }

    /// The gradient of the matrix from the layer's `x` and the `error` at its y, ready for a sum in the number format of
    /// the trained values.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn gradient(&self, map: LinearMap, x: &Tensor, error: &Tensor) -> Result<Tensor, TchError> {
        map.filter_gradient(x, error, self.factor()?)?.f_to_kind(self.value().kind())
    }

    /// Makes one step along `gradient`, after `updates` finished updates.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn step(&mut self, spec: &OptimizerSpec, updates: u64, gradient: &Tensor) -> Result<(), TchError> {
        self.copy.take();
        self.parameter.step(spec, updates, gradient)
    }

    /// values += factor · noise
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn add(&mut self, noise: &Tensor, factor: f64) -> Result<(), TchError> {
        self.copy.take();
        torch::add_scaled(&mut self.parameter.value, noise, factor)
    }

    /// Sets the trained values.
    pub fn set(&mut self, value: Tensor) {
        self.copy.take();
        self.parameter.value = value;
    }

    /// Shows the trained values under `name`, and the state of their optimizer.
    pub fn state<'a>(&'a mut self, name: &str, method: &Method, state: &mut State<'a>) {
        // A caller that sees the state can also set it.
        self.copy.take();
        state.parameter(name, &mut self.parameter, method);
    }
}
