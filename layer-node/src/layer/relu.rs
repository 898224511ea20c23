//! The ReLU layer: max(0, x).

use super::held::Held;
use super::{Layer, Pass};
use crate::torch;
use proto::microbatch::MicrobatchId;
use tch::{TchError, Tensor};

/// Keeps its output: the next layer keeps the same tensor as its input anyway.
#[derive(Default)]
pub struct Relu {
    held: Held<Tensor>,
}

impl Layer for Relu {
    fn forward(&mut self, m: MicrobatchId, mut inputs: Vec<Tensor>, pass: Pass) -> Result<Tensor, TchError> {
        let y = torch::relu(inputs.remove(0))?;
        if pass.keeps() {
            self.held.put(m, y.shallow_clone());
        }
        Ok(y)
    }

    fn error(&mut self, m: MicrobatchId, error: Tensor, _needed: bool) -> Result<Vec<Tensor>, TchError> {
        let y = self.held.take(m)?;
        Ok(vec![torch::relu_backward(error, &y)?])
    }

    fn abandon(&mut self) {
        self.held.clear();
    }
}
