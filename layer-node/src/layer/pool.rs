//! The pooling layers: the largest element, or the mean, of each square window.

use super::held::Held;
use super::{Layer, Pass};
use proto::microbatch::MicrobatchId;
use proto::spec::graph::Window;
use tch::{TchError, Tensor};

/// A window in torch's terms: `[kernel, stride, padding]`, each for height and width.
type Sides = [[i64; 2]; 3];

/// The window over planes of shape `x` (one sample); kernel 0 takes the whole plane.
fn sides(window: Window, x: &[u64]) -> Sides {
    let both = |side: u32| [i64::from(side); 2];
    match window.kernel {
        0 => [[x[1] as i64, x[2] as i64], [1, 1], [0, 0]],
        _ => [both(window.kernel), both(window.stride), both(window.padding)],
    }
}

/// The largest element of each window. Keeps the position of that element.
pub struct MaxPool {
    sides: Sides,
    held: Held<(Tensor, Tensor)>,
}

impl MaxPool {
    /// Pools planes of shape `x` (one sample).
    pub fn new(window: Window, x: &[u64]) -> Self {
        Self { sides: sides(window, x), held: Held::default() }
    }
}

impl Layer for MaxPool {
    fn forward(&mut self, m: MicrobatchId, inputs: Vec<Tensor>, pass: Pass) -> Result<Tensor, TchError> {
        let [kernel, stride, padding] = self.sides;
        let (y, indices) = inputs[0].f_max_pool2d_with_indices(kernel, stride, padding, [1, 1], false)?;
        if pass.keeps() {
            self.held.put(m, (inputs[0].shallow_clone(), indices));
        }
        Ok(y)
    }

    fn error(&mut self, m: MicrobatchId, error: Tensor, _needed: bool) -> Result<Vec<Tensor>, TchError> {
        let [kernel, stride, padding] = self.sides;
        let (x, indices) = self.held.take(m)?;
        let at_x =
            x.f_max_pool2d_with_indices_backward(&error, kernel, stride, padding, [1, 1], false, &indices)?;
        Ok(vec![at_x])
    }

    fn abandon(&mut self) {
        self.held.clear();
    }
}

/// The mean of each window. Padding counts as zeros.
pub struct AvgPool {
    sides: Sides,
    held: Held<Tensor>,
}

impl AvgPool {
    /// Pools planes of shape `x` (one sample).
    pub fn new(window: Window, x: &[u64]) -> Self {
        Self { sides: sides(window, x), held: Held::default() }
    }
}

impl Layer for AvgPool {
    fn forward(&mut self, m: MicrobatchId, inputs: Vec<Tensor>, pass: Pass) -> Result<Tensor, TchError> {
        let [kernel, stride, padding] = self.sides;
        if pass.keeps() {
            self.held.put(m, inputs[0].shallow_clone());
        }
        inputs[0].f_avg_pool2d(kernel, stride, padding, false, true, None)
    }

    fn error(&mut self, m: MicrobatchId, error: Tensor, _needed: bool) -> Result<Vec<Tensor>, TchError> {
        let [kernel, stride, padding] = self.sides;
        let x = self.held.take(m)?;
        Ok(vec![x.f_avg_pool2d_backward(&error, kernel, stride, padding, false, true, None)?])
    }

    fn abandon(&mut self) {
        self.held.clear();
    }
}
