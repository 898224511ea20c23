//! The precision of a stage, set in torch: the number format of the computation, and CUDA's rounding of factors.

use crate::torch;
use proto::spec::precision::Precision;
use std::sync::Once;
use std::time::{Duration, Instant};
use tch::{Device, Kind, TchError, Tensor};

/// Sets `precision` in torch, and returns the number format of activations and errors. On a CPU that multiplies bf16
/// more slowly than f32, it warns once in a process.
///
/// # Errors
/// When memory fails.
pub fn set(precision: Precision, device: Device) -> Result<Kind, TchError> {
    torch::allow_tf32(precision == Precision::Tf32)?;
    match precision {
        Precision::F32 | Precision::Tf32 => Ok(Kind::Float),
        Precision::Bf16 => {
            if device == Device::Cpu {
                warn_once()?;
            }
            Ok(Kind::BFloat16)
        }
    }
}

/// A CPU without instructions for bf16 can still compute in it, and a CPU with them may still be slower than in f32.
fn warn_once() -> Result<(), TchError> {
    static WARNED: Once = Once::new();
    if WARNED.is_completed() {
        return Ok(());
    }
    let [plain, brain] = [product(Kind::Float)?, product(Kind::BFloat16)?].map(|time| time.as_secs_f64());
    WARNED.call_once(|| {
        if brain > plain {
            tracing::warn!(
                "this CPU takes {:.1} times as long for a product in bf16 as in f32, since it has no fast instructions for bf16 (AMX, or AVX512_BF16 at full width): bf16 saves memory here and no time, and node.precision = \"f32\" is faster",
                brain / plain
            );
        }
    });
    Ok(())
}

/// The shortest of several measured times of a product of two square matrices in `kind`.
fn product(kind: Kind) -> Result<Duration, TchError> {
    const SIDE: i64 = 384;
    const TIMES: usize = 5;
    let ones = Tensor::f_ones([SIDE, SIDE], (kind, Device::Cpu))?;
    let mut shortest = Duration::MAX;
    for _ in 0..TIMES {
        let begun = Instant::now();
        let _ = ones.f_matmul(&ones)?;
        shortest = shortest.min(begun.elapsed());
    }
    Ok(shortest)
}
