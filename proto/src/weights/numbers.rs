//! The numbers of a tensor in a file: their conversion into a node's format, and the count of those that are not
//! finite.

use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView};
use std::borrow::Cow;
use std::fmt;

/// The numbers of a tensor that are not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotFinite {
    /// NaN.
    nan: usize,
    /// Infinite in the file.
    infinite: usize,
    /// Finite in the file, and beyond the node's format.
    beyond: usize,
    /// All numbers of the tensor.
    of: usize,
}

impl NotFinite {
    /// Counts the number `given`, which is `taken` in the node's format.
    fn count(&mut self, given: f64, taken: f64) {
        self.of += 1;
        match (given.is_nan(), given.is_infinite()) {
            (true, _) => self.nan += 1,
            (false, true) => self.infinite += 1,
            (false, false) => self.beyond += usize::from(taken.is_infinite()),
        }
    }

    fn sum(&self) -> usize {
        self.nan + self.infinite + self.beyond
    }
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.nan, "NaN"), (self.infinite, "infinite"), (self.beyond, "too large for the node")];
        let said: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        write!(f, "{} of {} numbers are not finite", self.sum(), self.of)?;
        write!(f, " ({})", said.join(", "))
    }
}

/// Whether numbers in the format `dtype` can be converted into those of a network.
pub fn are_numbers(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64)
}

/// The numbers of `view` in the format `to`, which is f32 or f64, and those of them that are not finite.
///
/// # Errors
/// A format without floating point; the error is the end of a sentence.
pub fn converted<'a>(view: &TensorView<'a>, to: Dtype) -> Result<(Cow<'a, [u8]>, Option<NotFinite>), String> {
    let (mut found, mut bytes) = (NotFinite::default(), Vec::new());
    let same = view.dtype() == to;
    match to {
        Dtype::F32 => each(view, |number| {
            found.count(number, f64::from(number as f32));
            if !same {
                bytes.extend((number as f32).to_le_bytes());
            }
        })?,
        Dtype::F64 => each(view, |number| {
            found.count(number, number);
            if !same {
                bytes.extend(number.to_le_bytes());
            }
        })?,
        other => return Err(format!("{other} is no format of a node")),
    }
    let bytes = if same { Cow::Borrowed(view.data()) } else { Cow::Owned(bytes) };
    Ok((bytes, Some(found).filter(|found| found.sum() > 0)))
}

/// The numbers of `view` that are not finite in its own format; `None` if it has none, or holds no floating point.
pub fn not_finite(view: &TensorView<'_>) -> Option<NotFinite> {
    let mut found = NotFinite::default();
    each(view, |number| found.count(number, number)).ok()?;
    Some(found).filter(|found| found.sum() > 0)
}

/// Calls `take` with each number of `view`; f64 holds all of them.
fn each(view: &TensorView<'_>, take: impl FnMut(f64)) -> Result<(), String> {
    match view.dtype() {
        Dtype::F16 => of_size(view.data(), |bytes| f16::from_le_bytes(bytes).to_f64(), take),
        Dtype::BF16 => of_size(view.data(), |bytes| bf16::from_le_bytes(bytes).to_f64(), take),
        Dtype::F32 => of_size(view.data(), |bytes| f64::from(f32::from_le_bytes(bytes)), take),
        Dtype::F64 => of_size(view.data(), f64::from_le_bytes, take),
        other => return Err(format!("{other} has no floating point")),
    }
    Ok(())
}

fn of_size<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f64, take: impl FnMut(f64)) {
    data.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).for_each(take);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f32s(dtype: Dtype, data: &[u8]) -> (Vec<f32>, String) {
        let view = TensorView::new(dtype, vec![data.len() * 8 / dtype.bitsize()], data).unwrap();
        let (bytes, found) = converted(&view, Dtype::F32).unwrap();
        let numbers = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        (numbers, found.map_or_else(String::new, |found| found.to_string()))
    }

    #[test]
    fn numbers_become_f32_and_what_is_not_finite_is_counted() {
        let bytes = |numbers: &[f64]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>();
        assert_eq!(f32s(Dtype::F64, &bytes(&[0.1, -2.5])), (vec![0.1, -2.5], String::new()));
        let (numbers, said) = f32s(Dtype::F64, &bytes(&[1e39, f64::NAN, f64::NEG_INFINITY, 1.0]));
        assert_eq!((numbers[0], numbers[3]), (f32::INFINITY, 1.0));
        assert_eq!(said, "3 of 4 numbers are not finite (1 NaN, 1 infinite, 1 too large for the node)");
        let half: Vec<u8> = [1.5, -0.25].iter().flat_map(|n| f16::from_f64(*n).to_le_bytes()).collect();
        assert_eq!(f32s(Dtype::F16, &half).0, [1.5, -0.25]);
        let brain: Vec<u8> = [3.0, 1e-3].iter().flat_map(|n| bf16::from_f64(*n).to_le_bytes()).collect();
        assert_eq!(f32s(Dtype::BF16, &brain).0, [3.0, bf16::from_f64(1e-3).to_f32()]);
        let whole = TensorView::new(Dtype::I64, vec![1], &[0; 8]).unwrap();
        assert!(converted(&whole, Dtype::F32).is_err() && not_finite(&whole).is_none());
    }
}
