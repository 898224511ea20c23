//! The five primitives of B's loss, as gradients with respect to B.
//!
//! Kunin et al. 2020, in the convention of the authors' code: sums over features and positions, means
//! over the batch, squared terms without ½. x, y and W count as constants. φ is the identity, or the
//! activation that the rule puts on y and z.
//!
//! In a computation in bf16, z, r and the products of amp, sparse and null are bf16: F has rounded x and y to bf16
//! already, and these products are most of a rule's cost. Their filter gradients are summed in f32. Self and decay are
//! read from W and B in f32.
//!
//! ```text
//! y = φ(map(x, W))   z = φ(map(x, B))   r = adjoint(y, B)
//! amp     −Σ mean(z ∘ y)   →  −cW(x, φ′ ∘ y) / N
//! sparse   Σ mean(z²)      →  2 cW(x, φ′ ∘ z) / N
//! null     Σ mean(r²)      →  2 cW(r, y) / N
//! self    −Σ W ∘ B         →  −W
//! decay    Σ B²            →  2 B
//! ```

use super::{AtUpdate, Local, ReadsWeight, Seen, transfer};
use proto::spec::rule::Transfer;
use tch::{TchError, Tensor};

/// The gradient of amp and sparse. Both meet x in the same filter gradient, so one call is enough:
/// cW(x, φ′ ∘ (2βz − αy)) / N.
pub fn amp_and_sparse(
    seen: &Seen,
    amp: f64,
    sparse: f64,
    transfer: Transfer,
) -> Result<Option<Tensor>, TchError> {
    let n = f64::from(seen.minibatch());
    let pull =
        if amp != 0.0 { Some(transfer::apply(transfer, seen.y()?)?.f_mul_scalar(-amp / n)?) } else { None };
    let through_b = match transfer {
        Transfer::Identity => sparse != 0.0,
        Transfer::Relu | Transfer::Tanh => sparse != 0.0 || pull.is_some(),
    };
    let z = if through_b { Some(seen.map().forward(seen.x(), seen.backward())?) } else { None };
    let push = match &z {
        Some(z) if sparse != 0.0 => Some(transfer::apply(transfer, z)?.f_mul_scalar(2.0 * sparse / n)?),
        _ => None,
    };
    let against = match (push, pull) {
        (Some(push), Some(pull)) => push.f_add(&pull)?,
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return Ok(None),
    };
    let against = match z.map(|z| transfer::slope(transfer, &z)).transpose()?.flatten() {
        Some(slope) => against.f_mul(&slope)?,
        None => against,
    };
    seen.filter_gradient(seen.x(), &against).map(Some)
}

/// The gradient of null: the signal that B sends back of y should be small.
pub fn null(seen: &Seen, null: f64, transfer: Transfer) -> Result<Option<Tensor>, TchError> {
    if null == 0.0 {
        return Ok(None);
    }
    let y = transfer::apply(transfer, seen.y()?)?;
    let r = seen.map().adjoint(&y, seen.backward(), seen.x())?;
    let scaled = r.f_mul_scalar(2.0 * null / f64::from(seen.minibatch()))?;
    seen.filter_gradient(&scaled, &y).map(Some)
}

/// The gradient of decay: B should be small.
pub fn decay(seen: &AtUpdate<Local>, decay: f64) -> Result<Option<Tensor>, TchError> {
    if decay == 0.0 {
        return Ok(None);
    }
    seen.backward().f_mul_scalar(2.0 * decay).map(Some)
}

/// The gradient of self: B should point in the direction of W.
pub fn self_(seen: &AtUpdate<ReadsWeight>, self_: f64) -> Result<Tensor, TchError> {
    seen.weight().f_mul_scalar(-self_)
}
