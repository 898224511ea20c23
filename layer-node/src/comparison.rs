//! The comparison of two tensors: a layer's B with its W, or a signal through B with the one through W.

use tch::{Kind, TchError, Tensor};

/// The number of elements of either tensor that are compared at once.
const AT_ONCE: i64 = 1 << 20;

/// B compared with W, or B·R with W under product feedback alignment. A number that does not exist, as the angle of a
/// matrix of zeros, is NaN.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// The angle between W and B, in degrees.
    pub angle_deg: f64,
    /// ‖B‖ / ‖W‖, or ‖B·R‖ / ‖W‖.
    pub norm_ratio: f64,
    /// ‖W‖.
    pub norm: f64,
    /// ‖W − B‖, or ‖R − BᵀW‖.
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
        let mut sums = Sums::default();
        for (w, b) in pieces(weight)?.iter().zip(pieces(backward)?) {
            let (w, b) = (w.f_to_kind(Kind::Double)?, b.f_to_kind(Kind::Double)?);
            sums.add(&w, &b, &w.f_sub(&b)?)?;
        }
        Ok(sums.compared())
    }

    /// Compares W `(out, in, …)` with the product of the `fixed` B `(out, mid)` and the `trained` R `(mid, in, …)`, in
    /// float64, and R with BᵀW.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn of_product(weight: &Tensor, fixed: &Tensor, trained: &Tensor) -> Result<Self, TchError> {
        let b = fixed.f_to_kind(Kind::Double)?;
        let rows = b.size().into_iter().max().unwrap_or(1);
        let columns =
            |matrix: &Tensor| matrix.f_reshape([matrix.size()[0], -1])?.f_split((AT_ONCE / rows).max(1), 1);
        let mut sums = Sums::default();
        for (w, r) in columns(weight)?.iter().zip(columns(trained)?) {
            let (w, r) = (w.f_to_kind(Kind::Double)?, r.f_to_kind(Kind::Double)?);
            sums.add(&w, &b.f_matmul(&r)?, &r.f_sub(&b.f_tr()?.f_matmul(&w)?)?)?;
        }
        Ok(sums.compared())
    }
}

/// The sums of a comparison so far, of two tensors and of the difference of which the norm is asked for.
#[derive(Default)]
struct Sums {
    ww: f64,
    bb: f64,
    wb: f64,
    dd: f64,
}

impl Sums {
    fn add(&mut self, w: &Tensor, b: &Tensor, difference: &Tensor) -> Result<(), TchError> {
        let Self { ww, bb, wb, dd } = self;
        let [w, b, difference] = [w, b, difference].map(|tensor| tensor.f_reshape([-1]));
        let (w, b, difference) = (w?, b?, difference?);
        for (sum, [left, right]) in [(ww, [&w, &w]), (bb, [&b, &b]), (wb, [&w, &b]), (dd, [&difference; 2])] {
            *sum += left.f_dot(right)?.f_double_value(&[])?;
        }
        Ok(())
    }

    fn compared(&self) -> Comparison {
        let (norm_w, norm_b) = (self.ww.sqrt(), self.bb.sqrt());
        let cosine = (self.wb / (norm_w * norm_b)).clamp(-1.0, 1.0);
        Comparison {
            angle_deg: cosine.acos().to_degrees(),
            norm_ratio: norm_b / norm_w,
            norm: norm_w,
            difference: self.dd.sqrt(),
        }
    }
}
