//! The values that a layer keeps of a microbatch between its actions, and the sums of gradients.

use proto::microbatch::MicrobatchId;
use std::collections::BTreeMap;
use tch::{TchError, Tensor};

/// Kept values by microbatch. A value that is taken before it was put is a bug of the lane's check.
#[derive(Debug)]
pub struct Held<T>(BTreeMap<MicrobatchId, T>);

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Held<T> {
    /// Keeps `value` for microbatch `m`.
    pub fn put(&mut self, m: MicrobatchId, value: T) {
        self.0.insert(m, value);
    }

    /// The kept value of microbatch `m`.
    ///
    /// # Errors
    /// When no value is kept for `m`.
    pub fn get(&mut self, m: MicrobatchId) -> Result<&mut T, TchError> {
        self.0.get_mut(&m).ok_or_else(|| missing(m))
    }

    /// Takes the kept value of microbatch `m`.
    ///
    /// # Errors
    /// When no value is kept for `m`.
    pub fn take(&mut self, m: MicrobatchId) -> Result<T, TchError> {
        self.0.remove(&m).ok_or_else(|| missing(m))
    }

    /// Drops all kept values.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

fn missing(m: MicrobatchId) -> TchError {
    TchError::Torch(format!("nothing is held of {m}: its forward pass has not run"))
}

/// A gradient that adds up over microbatches, in their order. The first part is assigned, never added to zeros, so
/// that one microbatch keeps its bits.
#[derive(Debug, Default)]
pub struct Sum(Option<Tensor>);

impl Sum {
    /// Adds one microbatch's part.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn add(&mut self, part: Tensor) -> Result<(), TchError> {
        match &mut self.0 {
            None => self.0 = Some(part),
            Some(sum) => crate::torch::add_scaled(sum, &part, 1.0)?,
        }
        Ok(())
    }

    /// Divides the sum by the loss scale, which is a power of two, so that no number is rounded.
    ///
    /// # Errors
    /// When the device fails.
    pub fn unscale(&mut self, loss_scale: f64) -> Result<(), TchError> {
        match &mut self.0 {
            Some(sum) if loss_scale != 1.0 => sum.f_mul_scalar_(1.0 / loss_scale).map(|_| ()),
            Some(_) | None => Ok(()),
        }
    }

    /// The sum so far.
    pub fn get(&self) -> Option<&Tensor> {
        self.0.as_ref()
    }

    /// Takes the sum, and leaves none.
    pub fn take(&mut self) -> Option<Tensor> {
        self.0.take()
    }
}
