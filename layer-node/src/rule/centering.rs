//! Centring: a mean is subtracted from the primitives' x, so that B learns from the variation of x.

use crate::settings::sums;
use proto::spec::rule::Centering;
use tch::{TchError, Tensor};

/// x minus its mean, taken over each sample's features and positions, or over the microbatch's samples.
pub fn center(centering: Centering, x: &Tensor) -> Result<Tensor, TchError> {
    let over: Vec<i64> = match centering {
        Centering::None => return Ok(x.shallow_clone()),
        Centering::Sample => (1..x.dim() as i64).collect(),
        Centering::Batch => vec![0],
    };
    x.f_sub(&x.f_mean_dim(over.as_slice(), true, sums(x.kind()))?)?.f_to_kind(x.kind())
}
