//! The primitives of B's loss, as gradients with respect to B. The type of a gradient says whether it reads W.
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
use crate::torch;
use proto::spec::rule::{Coefficients, Primitive, Transfer};
use tch::{TchError, Tensor};

/// The gradient of a primitive: when it is computed, and from which values. The compiler gives W to no other than
/// [`Gradient::Weight`].
pub enum Gradient {
    /// Each microbatch, or mirror step, adds a part, which samples make. `None` where another call has computed it.
    Samples(fn(&Seen, &Terms) -> Result<Option<Tensor>, TchError>),
    /// It is added once, at the update, and reads B alone. The number is the coefficient.
    Backward(fn(&AtUpdate<Local>, f64) -> Result<Tensor, TchError>),
    /// It is added once, at the update, and reads W.
    Weight(fn(&AtUpdate<ReadsWeight>, f64) -> Result<Tensor, TchError>),
}

/// The terms of B's loss, as the gradients of samples see them.
pub struct Terms {
    /// The coefficients of the sums over positions.
    pub coefficients: Coefficients,
    /// The number by which the sums are divided: that of y's positions where the rule asks for means, or else 1.
    pub positions: f64,
    /// φ.
    pub transfer: Transfer,
}

impl Terms {
    fn of(&self, primitive: Primitive) -> f64 {
        self.coefficients.of(primitive) / self.positions
    }
}

/// The gradient of a primitive.
pub fn gradient(primitive: Primitive) -> Gradient {
    match primitive {
        Primitive::Amp => Gradient::Samples(amp_and_sparse),
        // Where amp has a coefficient, its call has computed both.
        Primitive::Sparse => Gradient::Samples(|seen, terms| match terms.coefficients.of(Primitive::Amp) {
            0.0 => amp_and_sparse(seen, terms),
            _ => Ok(None),
        }),
        Primitive::Null => Gradient::Samples(null),
        Primitive::Self_ => Gradient::Weight(|seen, self_| seen.weight().f_mul_scalar(-self_)),
        Primitive::Decay => Gradient::Backward(|seen, decay| seen.backward().f_mul_scalar(2.0 * decay)),
    }
}

/// The gradient of amp and sparse. Both meet x in the same filter gradient, so one call is enough:
/// cW(x, φ′ ∘ (2βz − αy)) / N. Without φ the one factor of a term is taken into its gradient, which is smaller than y.
fn amp_and_sparse(seen: &Seen, terms: &Terms) -> Result<Option<Tensor>, TchError> {
    let n = f64::from(seen.minibatch());
    let amp = -terms.of(Primitive::Amp) / n;
    let sparse = 2.0 * terms.of(Primitive::Sparse) / n;
    match (amp != 0.0, sparse != 0.0, terms.transfer) {
        (false, false, _) => Ok(None),
        (true, false, Transfer::Identity) => scaled(seen.filter_gradient(seen.x(), seen.y()?)?, amp),
        (false, true, Transfer::Identity) => {
            scaled(seen.filter_gradient(seen.x(), &through_b(seen)?)?, sparse)
        }
        (true, true, Transfer::Identity) => {
            let mut against = through_b(seen)?;
            torch::add_scaled(&mut against, seen.y()?, amp / sparse)?;
            scaled(seen.filter_gradient(seen.x(), &against)?, sparse)
        }
        (_, _, transfer) => transferred(seen, transfer, amp, sparse).map(Some),
    }
}

/// z = map(x, B).
fn through_b(seen: &Seen) -> Result<Tensor, TchError> {
    seen.map().forward(seen.x(), seen.backward())
}

fn scaled(mut gradient: Tensor, factor: f64) -> Result<Option<Tensor>, TchError> {
    let _ = gradient.f_mul_scalar_(factor)?;
    Ok(Some(gradient))
}

/// cW(x, φ′(z) ∘ (sparse · φ(z) + amp · φ(y)))
fn transferred(seen: &Seen, transfer: Transfer, amp: f64, sparse: f64) -> Result<Tensor, TchError> {
    let z = through_b(seen)?;
    let mut against = transfer::apply(transfer, &z)?.f_mul_scalar(sparse)?;
    if amp != 0.0 {
        torch::add_scaled(&mut against, &transfer::apply(transfer, seen.y()?)?, amp)?;
    }
    let against = match transfer::slope(transfer, &z)? {
        Some(slope) => against.f_mul(&slope)?,
        None => against,
    };
    seen.filter_gradient(seen.x(), &against)
}

/// The gradient of null: the signal that B sends back of y should be small.
fn null(seen: &Seen, terms: &Terms) -> Result<Option<Tensor>, TchError> {
    let y = transfer::apply(terms.transfer, seen.y()?)?;
    let r = seen.map().adjoint(&y, seen.backward(), seen.x())?;
    let factor = 2.0 * terms.of(Primitive::Null) / f64::from(seen.minibatch());
    scaled(seen.filter_gradient(&r, &y)?, factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_reads_w_where_the_facts_say_so() {
        for one in Primitive::ALL {
            let gradient = gradient(one);
            assert_eq!(matches!(gradient, Gradient::Weight(_)), one.reads_weight(), "{one}");
            assert_eq!(matches!(gradient, Gradient::Samples(_)), one.uses_samples(), "{one}");
        }
    }
}
