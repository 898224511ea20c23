//! The comparison of two tensors: a layer's B with its W, or a signal through B with the one through W.

use tch::{Kind, TchError, Tensor};

/// The number of elements of either tensor that are compared at once.
const AT_ONCE: i64 = 1 << 20;

/// B compared with W. A number that does not exist, as the angle of a matrix of zeros, is NaN.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// The angle between W and B, in degrees.
    pub angle_deg: f64,
    /// ‖B‖ / ‖W‖.
    pub norm_ratio: f64,
    /// ‖W‖.
    pub norm: f64,
    /// ‖W − B‖.
    pub difference: f64,
}

impl Comparison {
    /// Compares two tensors of one shape, each as one vector, in float64. The fields say W and B, as for matrices.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn of(weight: &Tensor, backward: &Tensor) -> Result<Self, TchError> {
        // The sums go piece by piece: in float64, with its products, a large tensor would outgrow all other kept
        // values.
        let pieces = |tensor: &Tensor| tensor.f_reshape([-1])?.f_split(AT_ONCE, 0);
        let [mut ww, mut bb, mut wb, mut dd] = [0.0; 4];
        for (w, b) in pieces(weight)?.iter().zip(pieces(backward)?) {
            let (w, b) = (w.f_to_kind(Kind::Double)?, b.f_to_kind(Kind::Double)?);
            let difference = w.f_sub(&b)?;
            for (sum, [left, right]) in
                [(&mut ww, [&w, &w]), (&mut bb, [&b, &b]), (&mut wb, [&w, &b]), (&mut dd, [&difference; 2])]
            {
                *sum += left.f_dot(right)?.f_double_value(&[])?;
            }
        }
        let (norm_w, norm_b) = (ww.sqrt(), bb.sqrt());
        let cosine = (wb / (norm_w * norm_b)).clamp(-1.0, 1.0);
        Ok(Self {
            angle_deg: cosine.acos().to_degrees(),
            norm_ratio: norm_b / norm_w,
            norm: norm_w,
            difference: dd.sqrt(),
        })
    }
}
