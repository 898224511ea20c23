//! The addition layer: the sum of several values, where a skip joins its branch.

use super::held::Held;
use super::{Layer, Pass};
use crate::torch;
use proto::microbatch::MicrobatchId;
use tch::{TchError, Tensor};

/// Adds the inputs in their order. The error goes to each input unchanged.
#[derive(Default)]
pub struct Add {
    held: Held<usize>,
}

impl Layer for Add {
    fn forward(&mut self, m: MicrobatchId, inputs: Vec<Tensor>, pass: Pass) -> Result<Tensor, TchError> {
        if pass.keeps() {
            self.held.put(m, inputs.len());
        }
        let mut inputs = inputs.into_iter();
        let first = inputs.next().ok_or_else(|| TchError::Torch("an addition has no inputs".into()))?;
        inputs.try_fold(first, |sum, input| torch::add(sum, &input))
    }

    fn error(&mut self, m: MicrobatchId, error: Tensor, _needed: bool) -> Result<Vec<Tensor>, TchError> {
        Ok((0..self.held.take(m)?).map(|_| error.shallow_clone()).collect())
    }

    fn abandon(&mut self) {
        self.held.clear();
    }
}
