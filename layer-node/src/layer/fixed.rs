//! The fixed B of product feedback alignment, which stands between the error at y and the trained R.

use super::matrix::Matrix;
use crate::init;
use crate::linear_map::LinearMap;
use crate::settings::Settings;
use crate::state::named::State;
use proto::spec::graph::Init;
use proto::spec::optimizer::Method;
use proto::spec::rule::Product;
use tch::{TchError, Tensor};

/// A fixed matrix of shape (out, mid), which a layer applies at every position of y.
pub struct Fixed {
    name: String,
    /// How B is applied: as a dense layer, or as a convolution whose window is one pixel.
    map: LinearMap,
    matrix: Matrix,
}

/// The optimizer of a matrix that takes no steps, which needs no state.
pub const NO_STEPS: Method = Method::Sgd { momentum: 0.0, nesterov: false };

impl Fixed {
    /// The B of the layer `name` under `product`, whose W has the shape `weight` and is applied by `map`. A square B is
    /// orthogonal. Any other B has normal numbers of variance 1/mid, which is Xavier's distribution with the gain
    /// √((1 + 1/r)/2) for mid = r·out. Both make B·R as large as W where R is.
    ///
    /// # Errors
    /// When memory or device fail.
    pub fn new(
        name: &str,
        product: &Product,
        weight: &[u64],
        map: LinearMap,
        settings: &Settings,
    ) -> Result<Self, TchError> {
        let shape = product.fixed(weight);
        let drawn = match product.is_orthogonal(weight[0]) {
            true => init::draw_orthogonal(settings, name, STREAM, weight[0])?,
            false => {
                init::draw(settings, name, STREAM, &shape, Init::Normal((1.0 / shape[1] as f64).sqrt()))?
            }
        };
        let matrix = Matrix::new(drawn, &NO_STEPS, settings.kind)?;
        Ok(Self { name: name.into(), map: map.at_each_position(), matrix })
    }

    /// B in the number format of weights.
    pub fn value(&self) -> &Tensor {
        self.matrix.value()
    }

    /// δ_mid = Bᵀδ `(n, mid)` or `(n, mid, H', W')`, from the error δ at y.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn carry(&self, error: &Tensor) -> Result<Tensor, TchError> {
        let kernel = self.kernel()?;
        let mut shape = error.size();
        shape[1] = kernel.size()[1];
        let middle = self.map.unread(&shape, (error.kind(), error.device()))?;
        self.map.adjoint(error, &kernel, &middle)
    }

    /// B·z, of y's shape, for z = map(x, R).
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn forward(&self, z: &Tensor) -> Result<Tensor, TchError> {
        self.map.forward(z, &self.kernel()?)
    }

    /// B in the number format of the computation, as the map takes it.
    fn kernel(&self) -> Result<Tensor, TchError> {
        let matrix = self.matrix.factor()?;
        match self.map {
            LinearMap::Dense => Ok(matrix.shallow_clone()),
            LinearMap::Conv { .. } => matrix.f_unsqueeze(2)?.f_unsqueeze(3),
        }
    }

    /// Shows B.
    pub fn state<'a>(&'a mut self, state: &mut State<'a>) {
        self.matrix.state(&format!("{}.{STREAM}", self.name), &NO_STEPS, state);
    }
}

/// The name of B in the state, and of its random stream.
const STREAM: &str = "feedback";
