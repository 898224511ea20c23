//! The flatten layer: it turns each sample into one vector.

use super::held::Held;
use super::{Layer, Pass};
use proto::microbatch::MicrobatchId;
use tch::{TchError, Tensor};

/// Keeps the input's shape, to which the error is reshaped.
#[derive(Default)]
pub struct Flatten {
    held: Held<Vec<i64>>,
}

impl Layer for Flatten {
    fn forward(&mut self, m: MicrobatchId, inputs: Vec<Tensor>, pass: Pass) -> Result<Tensor, TchError> {
        if pass.keeps() {
            self.held.put(m, inputs[0].size());
        }
        inputs[0].f_flatten(1, -1)
    }

    fn error(&mut self, m: MicrobatchId, error: Tensor, _needed: bool) -> Result<Vec<Tensor>, TchError> {
        let shape = self.held.take(m)?;
        Ok(vec![error.f_reshape(shape)?])
    }

    fn abandon(&mut self) {
        self.held.clear();
    }
}
