//! The notes of a step about the values that the stage sent, by the largest magnitude of each value.

use super::is_bytes;
use proto::control::{Overflow, Underflow};
use proto::failure::Failure;
use proto::link::Carried;
use proto::tensor::Kind;
use tch::{TchError, Tensor};

/// The notes of a step about the values that the stage sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noted {
    /// Whether every output was finite, also in the number format of the links.
    pub finite: bool,
    /// The first finite value that is not finite in that number format.
    pub overflow: Option<Overflow>,
    /// The numbers that became 0 in that number format.
    pub underflow: Underflow,
}

impl Noted {
    /// Nothing to note.
    pub(super) const GOOD: Self = Self {
        finite: true,
        overflow: None,
        underflow: Underflow { activations: 0, error_signals: 0, layer_values: 0 },
    };

    /// Notes an output whose largest magnitude is `largest`, NaN where one of its elements is.
    pub(super) fn output(&mut self, largest: f64, wire: Kind) {
        if !largest.is_finite() {
            (self.finite, self.overflow) = (false, None);
        } else if !wire.holds(largest as f32) && self.finite {
            let overflow = Some(Overflow { largest, of: Carried::Activations });
            (self.finite, self.overflow) = (false, overflow);
        }
    }

    /// Notes a value that is no output of the stage.
    pub(super) fn sent(&mut self, largest: f64, of: Carried, wire: Kind) {
        if largest.is_finite() && !wire.holds(largest as f32) {
            self.overflow.get_or_insert(Overflow { largest, of });
        }
    }

    /// Checks the values that mirror steps sent before the first update, since no step reports them.
    ///
    /// # Errors
    /// A value that `wire` does not hold.
    pub fn check_noise(self, wire: Kind) -> Result<(), Failure> {
        let Some(Overflow { largest, .. }) = self.overflow else { return Ok(()) };
        Err(Failure::own(format!(
            "a mirror step before the first update made a value of {largest} for the host of B, and {wire}, the number \
             format of the links, ends at {}: set network.wire to \"bf16\" or \"f32\" in a new run, or lower rule.noise_sigma",
            wire.largest()
        )))
    }

    /// Counts `numbers` of the values of `of` that became 0.
    pub(super) fn vanished(&mut self, numbers: u64, of: Carried) {
        let count = match of {
            Carried::Activations => &mut self.underflow.activations,
            Carried::ErrorSignals => &mut self.underflow.error_signals,
            Carried::LayerValues => &mut self.underflow.layer_values,
        };
        *count += numbers;
    }
}

/// Whether values for `wire` need a look: f32 holds every finite value of either format of the computation.
pub(super) fn may_overflow(wire: Kind) -> bool {
    wire != Kind::F32
}

/// The least and the largest element of `tensor`, still on its device; both NaN if any element is. `None` without
/// elements, and for bytes, which every format holds.
pub(super) fn extremes(tensor: &Tensor) -> Result<Option<[Tensor; 2]>, TchError> {
    match tensor.numel() == 0 || is_bytes(tensor) {
        true => Ok(None),
        false => tensor.f_aminmax(None, false).map(|(least, most)| Some([least, most])),
    }
}

/// The largest magnitude between these extremes.
pub(super) fn largest([least, most]: [f64; 2]) -> f64 {
    if least.is_nan() { least } else { least.abs().max(most.abs()) }
}

/// The largest magnitude that is 0 in f16: half the smallest number of the format, a tie that goes to the even 0.
const VANISHES: f64 = 1.0 / (1 << 25) as f64;

/// The number of elements that are not 0, and become 0 in `wire`, still on their device. bf16 has the exponents of f32,
/// so it loses none that matter, and the encoder of 8 bits counts its own; `None` for every format but f16, and for bytes.
pub(super) fn vanishing(tensor: &Tensor, wire: Kind) -> Result<Option<Tensor>, TchError> {
    if wire != Kind::F16 || is_bytes(tensor) {
        return Ok(None);
    }
    let small = tensor.f_abs()?.f_le(VANISHES)?;
    small.f_logical_and(&tensor.f_ne(0.0)?)?.f_sum(tch::Kind::Int64).map(Some)
}
