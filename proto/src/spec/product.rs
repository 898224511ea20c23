//! Product feedback alignment: the error goes back through a fixed B and a trained R, whose product stands for W.
//!
//! ```text
//! y = map(x, W)                       W (out, in, …)
//! δ_mid = Bᵀ δ, at every position     B (out, mid), fixed; in a convolution a kernel of one pixel
//! error at x = adjoint(δ_mid, R)      R (mid, in, …), with W's window and stride
//! gradient of R = filter_gradient(x, δ_mid) + λR = Bᵀ · filter_gradient(x, δ) + λR
//! ```
//!
//! R takes the steps that BᵀW takes, so that R − BᵀW decays as W − B does under Kolen-Pollack. B·R then comes near
//! B·Bᵀ·W: the quality of the error depends on how near B·Bᵀ is to a multiple of the identity. arXiv 2405.20594.

use super::coefficients::Coefficients;
use super::limits::{MAX_ORTHOGONAL, MAX_RATIO};
use super::op::bounded;
use super::optimizer::Schedule;
use super::primitive::Primitive;
use crate::error::ProtocolError;
use serde::{Deserialize, Serialize};

/// The backward weights of a layer under product feedback alignment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// mid / out: rows of R for each row of W.
    pub ratio: f64,
    /// The coefficient of ΣR² in R's loss: half of W's weight decay.
    pub decay: f64,
    /// The factor on the decay, as a function of the stage's updates: that on W's weight decay.
    #[serde(skip)]
    pub schedule: Schedule,
}

impl Product {
    /// mid, the number of values between B and R, for a W of `out` rows.
    pub fn mid(&self, out: u64) -> u64 {
        // The conversion of a float to an integer saturates.
        ((self.ratio * out as f64).round() as u64).max(1)
    }

    /// The shape of B, (out, mid), for a W of shape `weight`.
    pub fn fixed(&self, weight: &[u64]) -> Vec<u64> {
        weight.first().map_or_else(Vec::new, |&out| vec![out, self.mid(out)])
    }

    /// The shape of R, (mid, in, …), for a W of shape `weight`.
    pub fn trained(&self, weight: &[u64]) -> Vec<u64> {
        match weight {
            [out, rest @ ..] => [&[self.mid(*out)], rest].concat(),
            [] => Vec::new(),
        }
    }

    /// Whether B is drawn orthogonal, for a W of `out` rows: a square B is.
    pub fn is_orthogonal(&self, out: u64) -> bool {
        self.mid(out) == out
    }

    /// The primitives in R's loss.
    pub fn coefficients(&self) -> Coefficients {
        Coefficients::new(&[(Primitive::Decay, self.decay)])
    }

    pub(super) fn check(&self) -> Result<(), ProtocolError> {
        let Self { ratio, decay, .. } = *self;
        if ratio > 0.0 && ratio <= MAX_RATIO && decay >= 0.0 && decay.is_finite() {
            return Ok(());
        }
        Err(ProtocolError::invalid(format!(
            "product feedback alignment cannot work with a ratio of {ratio} (above 0, up to {MAX_RATIO}) and a decay of {decay}"
        )))
    }

    /// Checks that a host can hold B and R of a layer whose W has the shape `weight`; the error is the end of a sentence
    /// that begins with the layer.
    pub(super) fn fits(&self, weight: &[u64]) -> Result<(), String> {
        let (fixed, trained) = (self.fixed(weight), self.trained(weight));
        if !bounded(&fixed) || !bounded(&trained) {
            return Err(format!(
                "has a B of {fixed:?} and an R of {trained:?}, too large: lower 'rule.ratio'"
            ));
        }
        match fixed[..] {
            [out, mid] if out == mid && out > MAX_ORTHOGONAL => Err(format!(
                "has a square B of {out} rows, and more than {MAX_ORTHOGONAL} take too long to be made orthogonal: set \
                 'rule.ratio' to another number than 1"
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(ratio: f64) -> Product {
        Product { ratio, decay: 0.0, schedule: Schedule::default() }
    }

    #[test]
    fn the_shapes_follow_from_the_ratio() {
        let shapes = |ratio, weight: &[u64]| (product(ratio).fixed(weight), product(ratio).trained(weight));
        assert_eq!(shapes(1.0, &[4, 3, 5, 5]), (vec![4, 4], vec![4, 3, 5, 5]));
        assert_eq!(shapes(10.0, &[4, 3]), (vec![4, 40], vec![40, 3]));
        assert_eq!(shapes(0.6, &[4, 3]), (vec![4, 2], vec![2, 3]));
        assert_eq!(shapes(1e-9, &[4, 3]), (vec![4, 1], vec![1, 3]), "at least one value is between B and R");
    }

    #[test]
    fn matrices_that_no_host_holds_are_refused() {
        for (ratio, weight, part) in [
            (1000.0, &[1 << 30, 1 << 9][..], "too large: lower 'rule.ratio'"),
            (1000.0, &[1 << 20, 1], "too large"),
            (1.0, &[5000, 1], "a square B of 5000 rows"),
        ] {
            let why = product(ratio).fits(weight).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
        assert!(product(2.0).fits(&[5000, 1]).is_ok());
        for ratio in [0.0, -1.0, f64::NAN, f64::INFINITY, 1025.0] {
            assert!(product(ratio).check().is_err(), "{ratio}");
        }
        assert!(Product { decay: f64::NAN, ..product(1.0) }.check().is_err());
    }
}
