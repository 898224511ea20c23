//! Tensors on the wire: a kind, a shape and bytes that always agree.

pub mod int8;
mod kind;
mod receiving;

pub use int8::Block;
pub use kind::{Kind, byte_len};
pub use receiving::{ALIGNMENT, Receiving};

use crate::error::ProtocolError;
use bytes::Bytes;
use half::{bf16, f16};
use std::borrow::Cow;
use std::hash::Hasher;
use std::sync::OnceLock;
use twox_hash::XxHash3_64;

/// The most dimensions of a tensor on the wire.
pub const MAX_DIMENSIONS: usize = 8;

/// A tensor's elements, little-endian, in the memory order of the run's layout ([`Layout`](crate::spec::layout::Layout)).
/// Their length always matches the shape.
///
/// The bytes of a received tensor are one piece at [`ALIGNMENT`]. Those of other tensors may be several pieces.
#[derive(Clone, Debug)]
pub struct TensorData {
    kind: Kind,
    shape: Vec<u64>,
    pieces: Vec<Bytes>,
    /// The checksum, once it was asked for: framing, the receiver's check and the ledgers share one pass.
    checksum: OnceLock<u64>,
}

impl TensorData {
    /// A tensor of `kind` and `shape` out of `pieces`, in order.
    ///
    /// # Errors
    /// [`ProtocolError::Invalid`] when the pieces do not add up to the shape's bytes, or [`int8::check`] refuses them.
    pub fn new(kind: Kind, shape: Vec<u64>, pieces: Vec<Bytes>) -> Result<Self, ProtocolError> {
        let tensor = Self::of_length(kind, shape, pieces)?;
        if let Kind::Int8(block) = kind {
            let (of_sample, numbers) = tensor.numbers();
            int8::check(block, of_sample, numbers, &tensor.contiguous())?;
        }
        Ok(tensor)
    }

    /// A tensor of values in [`Kind::Int8`], and the number of values that became 0; `values` are in the order of the
    /// tensor's elements.
    ///
    /// # Errors
    /// [`ProtocolError::Invalid`] when the number of values is not the shape's.
    pub fn round_to_int8(
        block: Block,
        shape: Vec<u64>,
        values: &[f32],
    ) -> Result<(Self, u64), ProtocolError> {
        let (of_sample, numbers) = numbers(&shape);
        if numbers != values.len() {
            let (have, kind) = (values.len(), Kind::Int8(block));
            return Err(ProtocolError::invalid(format!(
                "{have} numbers do not make a {kind} tensor of shape {shape:?}"
            )));
        }
        let int8::Encoded { bytes, vanished } = int8::encode(block, of_sample, values);
        Ok((Self::of_length(Kind::Int8(block), shape, vec![bytes.into()])?, vanished))
    }

    /// A tensor whose bytes have the right length.
    fn of_length(kind: Kind, shape: Vec<u64>, pieces: Vec<Bytes>) -> Result<Self, ProtocolError> {
        let have: usize = pieces.iter().map(Bytes::len).sum();
        match byte_len(kind, &shape) {
            Some(want) if want == have && shape.len() <= MAX_DIMENSIONS => {
                Ok(Self { kind, shape, pieces, checksum: OnceLock::new() })
            }
            _ => Err(ProtocolError::invalid(format!(
                "{have} bytes do not make a {kind} tensor of shape {shape:?}"
            ))),
        }
    }

    /// An f32 tensor of `shape` from its elements.
    ///
    /// # Errors
    /// [`ProtocolError::Invalid`] when the number of elements is not the shape's.
    pub fn from_f32(shape: Vec<u64>, elements: &[f32]) -> Result<Self, ProtocolError> {
        Self::round_from_f32(Kind::F32, shape, elements)
    }

    /// The number format.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The size of every dimension; the first is the number of samples.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The pieces of the bytes, in order.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The bytes in one piece. Only several pieces are copied.
    pub fn into_bytes(mut self) -> Bytes {
        match self.pieces.len() {
            1 => self.pieces.remove(0),
            _ => self.pieces.concat().into(),
        }
    }

    /// The number of bytes in all pieces.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// Whether the tensor has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes in one piece, without a copy where they lie in one.
    fn contiguous(&self) -> Cow<'_, [u8]> {
        match &self.pieces[..] {
            [piece] => Cow::Borrowed(piece),
            pieces => Cow::Owned(pieces.concat()),
        }
    }

    /// The numbers of a sample, and of the tensor.
    fn numbers(&self) -> (usize, usize) {
        numbers(&self.shape)
    }

    /// Writes the elements of a tensor in [`Kind::Int8`] of blocks `block` to `values`, in one pass.
    pub fn decode_int8(&self, block: Block, values: &mut [f32]) {
        int8::decode(block, self.numbers().0, &self.contiguous(), values);
    }

    /// The elements of any kind, as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        let bytes = self.contiguous();
        let halves = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
        match self.kind {
            Kind::F32 => {
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
            }
            Kind::Bf16 => halves().map(|half| bf16::from_le_bytes(half).to_f32()).collect(),
            Kind::F16 => halves().map(|half| f16::from_le_bytes(half).to_f32()).collect(),
            Kind::U8 => bytes.iter().copied().map(f32::from).collect(),
            Kind::Int8(block) => {
                let mut values = vec![0.0; self.numbers().1];
                self.decode_int8(block, &mut values);
                values
            }
        }
    }

    /// The elements of `values` rounded to `kind` (to nearest, ties to even), as a tensor of `shape`. U8 takes the nearest
    /// of its numbers.
    ///
    /// # Errors
    /// [`ProtocolError::Invalid`] when the number of elements is not the shape's.
    pub fn round_from_f32(kind: Kind, shape: Vec<u64>, values: &[f32]) -> Result<Self, ProtocolError> {
        let all = values;
        let values = values.iter().copied();
        let bytes: Vec<u8> = match kind {
            Kind::F32 => values.flat_map(f32::to_le_bytes).collect(),
            Kind::Bf16 => values.flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect(),
            Kind::F16 => values.flat_map(|value| f16::from_f32(value).to_le_bytes()).collect(),
            // The conversion ends at 0 and 255.
            Kind::U8 => values.map(|value| value.round_ties_even() as u8).collect(),
            Kind::Int8(block) => int8::encode(block, numbers(&shape).0, all).bytes,
        };
        Self::new(kind, shape, vec![bytes.into()])
    }

    /// The same elements in number format `kind`. Elements that have this format already are not copied.
    ///
    /// # Errors
    /// No error in practice: the length is right by construction.
    pub fn to_kind(self, kind: Kind) -> Result<Self, ProtocolError> {
        if self.kind == kind {
            return Ok(self);
        }
        Self::round_from_f32(kind, self.shape.clone(), &self.to_f32())
    }

    /// XXH3-64 of the bytes.
    pub fn checksum(&self) -> u64 {
        *self.checksum.get_or_init(|| {
            let mut hash = XxHash3_64::new();
            for piece in &self.pieces {
                hash.write(piece);
            }
            hash.finish()
        })
    }
}

/// The numbers of a sample, and of all samples, of a tensor of `shape`, which takes less than the address space.
fn numbers(shape: &[u64]) -> (usize, usize) {
    let all = shape.iter().copied().fold(1, u64::saturating_mul);
    let samples = shape.first().copied().unwrap_or(1);
    (all.checked_div(samples).unwrap_or(0) as usize, all as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_of_the_wrong_length_cannot_exist() {
        let piece = Bytes::from(vec![0; 12]);
        assert!(TensorData::new(Kind::F32, vec![3], vec![piece.clone()]).is_ok());
        for shape in [vec![4], vec![2], vec![u64::MAX, 4], vec![1; 9], vec![1 << 40, 1 << 40]] {
            assert!(TensorData::new(Kind::F32, shape, vec![piece.clone()]).is_err());
        }
    }

    #[test]
    fn a_format_ends_half_a_step_above_its_largest_number() {
        assert_eq!([Kind::F16.largest(), Kind::F32.largest()], [65504.0, f32::MAX]);
        for (kind, held, lost) in [
            (Kind::F16, -65519.0, -65520.0),
            (Kind::Bf16, f32::from_bits(0x7f7f_7fff), f32::from_bits(0x7f7f_8000)),
            (Kind::F32, f32::MAX, f32::INFINITY),
        ] {
            assert!(kind.holds(kind.largest()) && kind.holds(held) && !kind.holds(lost), "{kind}");
            assert!(!kind.holds(f32::NAN), "{kind}");
        }
    }

    #[test]
    fn bytes_are_the_whole_numbers_to_255_and_no_word_of_a_configuration() {
        let all: Vec<u8> = (0..=255).collect();
        let tensor = TensorData::new(Kind::U8, vec![2, 128], vec![all.clone().into()]).unwrap();
        assert_eq!(tensor.to_f32(), (0u8..=255).map(f32::from).collect::<Vec<_>>());
        assert_eq!(tensor.to_kind(Kind::F32).unwrap().to_kind(Kind::U8).unwrap().into_bytes(), all);
        let rounded =
            TensorData::round_from_f32(Kind::U8, vec![5], &[-3.0, 0.5, 1.5, 254.51, 300.0]).unwrap();
        assert_eq!(rounded.into_bytes()[..], [0, 0, 2, 255, 255]);
        let held = [-0.5, 0.0, 255.5, 255.49, -0.6, f32::NAN].map(|value| Kind::U8.holds(value));
        assert_eq!((held, Kind::U8.largest()), ([true, true, false, true, false, false], 255.0));
        assert_eq!(Kind::U8.to_string(), "u8");
        let refused = serde_json::from_str::<Kind>("\"u8\"").unwrap_err().to_string();
        assert!(refused.contains("unknown variant `u8`, expected one of `f32`, `bf16`, `f16`"), "{refused}");
    }

    /// The elements of `values` in `kind`.
    fn rounded(kind: Kind, values: &[f32]) -> Vec<u16> {
        let tensor = TensorData::round_from_f32(kind, vec![values.len() as u64], values).unwrap();
        tensor.into_bytes().chunks_exact(2).map(|half| u16::from_le_bytes([half[0], half[1]])).collect()
    }

    #[test]
    fn halves_survive_a_round_trip() {
        let halves: Vec<u16> = (0..=u16::MAX).collect();
        let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        for (kind, nans) in [(Kind::F16, 2 * 1023), (Kind::Bf16, 2 * 127)] {
            let tensor = TensorData::new(kind, vec![1 << 16], vec![bytes.clone().into()]).unwrap();
            let values = tensor.to_f32();
            for ((half, value), again) in halves.iter().zip(&values).zip(rounded(kind, &values)) {
                assert!(value.is_nan() || again == *half, "{kind} {value}");
            }
            assert_eq!(values.iter().filter(|value| value.is_nan()).count(), nans);
        }
    }

    /// Rounding is to nearest, ties to even. Too large a number becomes infinite; too small a number becomes zero.
    #[test]
    fn numbers_are_rounded_to_the_nearest_half() {
        let bits = f32::from_bits;
        let cases = [
            (65519.0, 0x7bff),
            (65520.0, 0x7c00),
            (f32::NEG_INFINITY, 0xfc00),
            (2f32.powi(-26), 0),
            (-(2f32.powi(-25)), 0x8000),
            (bits(0x3300_0001), 0x0001),
            (1.0 + 2f32.powi(-11), 0x3c00),
            (1.0 + 3.0 * 2f32.powi(-11), 0x3c02),
            (2f32.powi(-14) - 2f32.powi(-25), 0x0400),
        ];
        let brain = [
            (bits(0x3f80_8000), 0x3f80),
            (bits(0x3f80_8001), 0x3f81),
            (bits(0x3f81_8000), 0x3f82),
            (f32::MAX, 0x7f80),
            (bits(0x0000_8000), 0),
            (bits(0x8000_8001), 0x8001),
        ];
        for (kind, cases) in [(Kind::F16, &cases[..]), (Kind::Bf16, &brain)] {
            let (values, halves): (Vec<f32>, Vec<u16>) = cases.iter().copied().unzip();
            assert_eq!(rounded(kind, &values), halves, "{kind}");
            let nan = TensorData::round_from_f32(kind, vec![1], &[f32::NAN]).unwrap();
            assert!(nan.to_f32()[0].is_nan());
        }
    }
}
