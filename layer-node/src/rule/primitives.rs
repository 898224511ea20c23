//! The five primitives of B's loss, as gradients with respect to B.
//!
//! Kunin et al. 2020, in the convention of the authors' code: sums over features and positions, means
//! over the batch, squared terms without ½. x, y and W count as constants.
//!
//! ```text
//! y = map(x, W)   z = map(x, B)   r = adjoint(y, B)
//! amp     −Σ mean(z ∘ y)   →  −cW(x, y) / N
//! sparse   Σ mean(z²)      →  2 cW(x, z) / N
//! null     Σ mean(r²)      →  2 cW(r, y) / N
//! self    −Σ W ∘ B         →  −W
//! decay    Σ B²            →  2 B
//! ```

use super::Seen;
use tch::{TchError, Tensor};

/// amp and sparse meet x in the same filter gradient, so one is enough: cW(x, 2βz − αy) / N.
pub fn amp_and_sparse(seen: &Seen, amp: f64, sparse: f64) -> Result<Option<Tensor>, TchError> {
    let n = f64::from(seen.minibatch);
    let pull = match seen.y {
        Some(y) if amp != 0.0 => Some(y.f_mul_scalar(-amp / n)?),
        _ => None,
    };
    let push = match sparse {
        0.0 => None,
        _ => Some(seen.map.forward(seen.x, seen.backward)?.f_mul_scalar(2.0 * sparse / n)?),
    };
    let against = match (push, pull) {
        (Some(push), Some(pull)) => push.f_add(&pull)?,
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return Ok(None),
    };
    seen.map.filter_gradient(seen.x, &against, seen.backward).map(Some)
}

/// null: what B would send back of y should be small.
pub fn null(seen: &Seen, null: f64) -> Result<Option<Tensor>, TchError> {
    let Some(y) = seen.y.filter(|_| null != 0.0) else { return Ok(None) };
    let r = seen.map.adjoint(y, seen.backward, seen.x)?;
    let scaled = r.f_mul_scalar(2.0 * null / f64::from(seen.minibatch))?;
    seen.map.filter_gradient(&scaled, y, seen.backward).map(Some)
}

/// decay: B should be small.
pub fn decay(backward: &Tensor, decay: f64) -> Result<Option<Tensor>, TchError> {
    if decay == 0.0 {
        return Ok(None);
    }
    backward.f_mul_scalar(2.0 * decay).map(Some)
}

/// self: B should point where W points.
pub fn self_(weight: &Tensor, self_: f64) -> Result<Option<Tensor>, TchError> {
    weight.f_mul_scalar(-self_).map(Some)
}
