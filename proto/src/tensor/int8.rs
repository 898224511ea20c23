//! The 8-bit format: whole numbers from −127 to 127, and an f32 scale for each block of a sample's numbers.
//!
//! ```text
//! tensor of s samples with n numbers each, blocks of k numbers, b = ⌈n / k⌉ blocks of a sample:
//! scales   s · b f32, little-endian: sample 0's blocks, sample 1's blocks, …
//! numbers  s · n two's complement bytes, in the order of the elements
//! ```
//!
//! The blocks of each sample begin anew, and the last block of a sample may be short. An element is its number times its
//! block's scale, in f32. The sender's scale is the block's largest magnitude / 127, and a number is the element / scale,
//! rounded to nearest, ties to even. Three kinds of blocks have no such scale:
//!
//! - A block of zeros has scale 0. So has a block whose scale would be subnormal, because a GPU may treat it as 0.
//! - A block with an element that is not finite, or that the format does not hold, has the scale [`NOT_FINITE`], and all
//!   of its elements are NaN. A loss then shows it, as in the other formats.
//!
//! Both have the numbers 0. A receiver refuses every other negative, infinite, subnormal or NaN scale, and the number −128.

use crate::error::ProtocolError;
use serde::{Deserialize, Serialize};

/// The scale of a block with an element that is not finite: the NaN with these bits, and no other.
pub const NOT_FINITE: u32 = 0x7fc0_0000;

/// The largest number, and the divisor of a scale.
const MOST: f32 = 127.0;
/// Bytes of a scale.
const SCALE: usize = 4;

/// The numbers of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u32)]
pub enum Block {
    /// 32 numbers.
    Of32 = 32,
    /// 64 numbers.
    Of64 = 64,
    /// 128 numbers.
    #[default]
    Of128 = 128,
    /// 256 numbers.
    Of256 = 256,
    /// 512 numbers.
    Of512 = 512,
    /// 1024 numbers.
    Of1024 = 1024,
}

impl Block {
    /// All sizes, in ascending order.
    pub const ALL: [Self; 6] = [Self::Of32, Self::Of64, Self::Of128, Self::Of256, Self::Of512, Self::Of1024];

    /// The block of `size` numbers, if there is one.
    pub fn new(size: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|block| *block as u32 == size)
    }

    /// The numbers of a block.
    pub const fn size(self) -> usize {
        self as u32 as usize
    }
}

/// The scales of a sample of `numbers` numbers.
pub const fn scales(block: Block, numbers: u64) -> u64 {
    numbers.div_ceil(block.size() as u64)
}

/// Values in the 8-bit format.
pub struct Encoded {
    /// The scales and the numbers.
    pub bytes: Vec<u8>,
    /// The values that are not 0 and became 0, in blocks that are finite.
    pub vanished: u64,
}

/// Rounds `values`, each `of_sample` of which are a sample.
pub fn encode(block: Block, of_sample: usize, values: &[f32]) -> Encoded {
    let samples = values.len().checked_div(of_sample).unwrap_or(0);
    let scales = samples * of_sample.div_ceil(block.size()) * SCALE;
    let mut bytes = vec![0; scales + values.len()];
    let (mut scales, mut numbers) = bytes.split_at_mut(scales);
    let mut vanished = 0;
    for sample in values.chunks_exact(of_sample.max(1)) {
        for values in sample.chunks(block.size()) {
            let (scale, number);
            (scale, scales) = scales.split_at_mut(SCALE);
            (number, numbers) = numbers.split_at_mut(values.len());
            let of_block = scale_of(values);
            scale.copy_from_slice(&of_block.to_le_bytes());
            vanished += round(values, of_block, number);
        }
    }
    Encoded { bytes, vanished }
}

/// The scale of a block with these elements.
fn scale_of(values: &[f32]) -> f32 {
    // The bits of magnitudes are ordered as the magnitudes are, with infinity and NaN above all numbers.
    let largest = values.iter().map(|value| value.abs().to_bits() as i32).fold(0, i32::max);
    let largest = f32::from_bits(largest as u32);
    let scale = largest / MOST;
    if !(scale * MOST).is_finite() {
        f32::from_bits(NOT_FINITE)
    } else if scale < f32::MIN_POSITIVE {
        0.0
    } else {
        scale
    }
}

/// Rounds a block to `numbers`, which are 0, and counts the values that become 0.
fn round(values: &[f32], scale: f32, numbers: &mut [u8]) -> u64 {
    /// 1.5 · 2²³: added to a number of magnitude below 2²², it leaves the nearest whole number, ties to even, in the low
    /// bits of the sum.
    const TO_WHOLE: f32 = 12_582_912.0;
    if scale.is_nan() {
        return 0;
    }
    if scale > 0.0 {
        for (value, number) in values.iter().zip(numbers.iter_mut()) {
            *number = (value / scale + TO_WHOLE).to_bits() as u8;
        }
    }
    // Two plain counts instead of one over pairs, so that the compiler takes many elements at a time: 0 stays 0. The zeros
    // among 128 numbers fit a byte.
    let zeros = |numbers: &[u8]| numbers.iter().fold(0, |zeros: u8, &number| zeros + u8::from(number == 0));
    let after: u64 = numbers.chunks(128).map(|numbers| u64::from(zeros(numbers))).sum();
    let before: u32 = values.iter().map(|value| u32::from(*value == 0.0)).sum();
    after - u64::from(before)
}

/// Writes the elements of an encoded tensor to `values`, each `of_sample` of which are a sample. The bytes are those of
/// [`encode`], or passed [`check`].
pub fn decode(block: Block, of_sample: usize, bytes: &[u8], values: &mut [f32]) {
    let numbers = bytes.len().saturating_sub(values.len());
    let (scales, numbers) = bytes.split_at(numbers);
    let mut scales = scales.chunks_exact(SCALE);
    let samples = values.chunks_mut(of_sample.max(1)).zip(numbers.chunks(of_sample.max(1)));
    for (values, numbers) in samples {
        let blocks = values.chunks_mut(block.size()).zip(numbers.chunks(block.size()));
        for ((values, numbers), scale) in blocks.zip(&mut scales) {
            let scale = read(scale);
            for (value, number) in values.iter_mut().zip(numbers) {
                *value = f32::from(*number as i8) * scale;
            }
        }
    }
}

/// Checks that `bytes` could be an encoded tensor of `numbers` numbers, `of_sample` for each sample.
///
/// # Errors
/// A scale that no sender makes, the number −128, or a number in a block without a scale.
pub fn check(block: Block, of_sample: usize, numbers: usize, bytes: &[u8]) -> Result<(), ProtocolError> {
    let (scales, numbers) = bytes.split_at(bytes.len().saturating_sub(numbers));
    let mut scales = scales.chunks_exact(SCALE).map(read);
    let blocks = numbers.chunks(of_sample.max(1)).flat_map(|sample| sample.chunks(block.size()));
    for (at, (numbers, scale)) in blocks.zip(&mut scales).enumerate() {
        let zeros = scale.to_bits() == 0 || scale.to_bits() == NOT_FINITE;
        let is_scale = scale.is_normal() && scale > 0.0;
        if !(zeros || is_scale) {
            return Err(ProtocolError::invalid(format!("{scale:e} is no scale of block {at} in 8 bits")));
        }
        // Sums instead of searches, so that the compiler takes many bytes at a time.
        let any = |odd: fn(u8) -> bool| numbers.iter().fold(false, |found, &number| found | odd(number));
        if any(|number| number == 0x80) {
            return Err(ProtocolError::invalid(format!("block {at} in 8 bits has the number -128")));
        }
        if zeros && any(|number| number != 0) {
            return Err(ProtocolError::invalid(format!("block {at} in 8 bits has numbers and no scale")));
        }
    }
    Ok(())
}

fn read(scale: &[u8]) -> f32 {
    f32::from_le_bytes([scale[0], scale[1], scale[2], scale[3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bytes of `values`, one sample of them, in blocks of 32.
    fn bytes(values: &[f32]) -> Vec<u8> {
        encode(Block::Of32, values.len(), values).bytes
    }

    fn decoded(block: Block, of_sample: usize, bytes: &[u8], numbers: usize) -> Vec<f32> {
        let mut values = vec![f32::MAX; numbers];
        decode(block, of_sample, bytes, &mut values);
        values
    }

    /// Two samples of 33 numbers in blocks of 32: a scale for 32 numbers, and another for the last one.
    #[test]
    fn the_layout_is_that_of_the_document() {
        let mut values = [0.0; 66];
        (values[0], values[1], values[2], values[32]) = (254.0, -3.0, 1.0, 0.5);
        (values[33], values[34]) = (-127.0, 63.5);
        let Encoded { bytes, vanished } = encode(Block::Of32, 33, &values);
        let mut due: Vec<u8> =
            [2.0f32, 0.5 / 127.0, 1.0, 0.0].into_iter().flat_map(f32::to_le_bytes).collect();
        let mut numbers = [0u8; 66];
        // −1.5 goes to the even −2, 0.5 to 0 and 63.5 to 64.
        (numbers[0], numbers[1], numbers[2], numbers[32]) = (127, 0xfe, 0, 127);
        (numbers[33], numbers[34]) = (0x81, 64);
        due.extend(numbers);
        assert_eq!((bytes, vanished), (due, 1));
    }

    #[test]
    fn blocks_without_a_scale_are_zeros_or_not_finite() {
        let [nan, infinite] = [f32::NAN, f32::NEG_INFINITY];
        let mark = NOT_FINITE.to_le_bytes();
        for odd in [nan, -nan, infinite, f32::MAX] {
            let bytes = bytes(&[1.0, odd, 0.0]);
            assert_eq!(bytes, [&mark[..], &[0; 3]].concat(), "{odd}");
            check(Block::Of32, 3, 3, &bytes).unwrap();
            assert!(decoded(Block::Of32, 3, &bytes, 3).iter().all(|value| value.is_nan()));
        }
        assert_eq!(encode(Block::Of32, 2, &[nan, 1.0]).vanished, 0);
        for tiny in [0.0, -0.0, 1e-45, 126.0 * f32::MIN_POSITIVE] {
            assert_eq!(bytes(&[tiny, 0.0]), [0; 6], "{tiny}");
        }
        assert_eq!(encode(Block::Of32, 2, &[1e-45, 0.0]).vanished, 1);
        let largest = f32::MAX.next_down();
        assert!(decoded(Block::Of32, 1, &bytes(&[largest]), 1)[0].is_finite());
    }

    #[test]
    fn bytes_that_no_sender_makes_are_refused() {
        let good = bytes(&[1.0, -1.0, 0.25]);
        check(Block::Of32, 3, 3, &good).unwrap();
        for scale in [f32::INFINITY, -1.0, -0.0, f32::from_bits(1), f32::from_bits(0x7fc0_0001), -f32::NAN] {
            let bytes = [&scale.to_le_bytes()[..], &good[4..]].concat();
            let why = check(Block::Of32, 3, 3, &bytes).unwrap_err().to_string();
            assert!(why.contains("is no scale of block 0"), "{scale}: {why}");
        }
        let mut least = good.clone();
        least[6] = 0x80;
        assert!(check(Block::Of32, 3, 3, &least).unwrap_err().to_string().contains("the number -128"));
        for scale in [0, NOT_FINITE] {
            let bytes = [&u32::to_le_bytes(scale)[..], &good[4..]].concat();
            let why = check(Block::Of32, 3, 3, &bytes).unwrap_err().to_string();
            assert!(why.contains("block 0 in 8 bits has numbers and no scale"), "{why}");
        }
    }

    /// Three samples of the same number of elements, of magnitudes far apart.
    fn samples() -> impl Strategy<Value = (usize, Vec<f32>)> {
        let number = (-1.0f32..1.0, -20i32..20).prop_map(|(number, power)| number * 2f32.powi(power));
        (1usize..150, proptest::collection::vec(number, 450)).prop_map(|(of_sample, mut numbers)| {
            numbers.truncate(3 * of_sample);
            (of_sample, numbers)
        })
    }

    proptest! {
        #[test]
        fn an_element_is_off_by_half_a_scale_and_a_second_rounding_changes_nothing(
            (of_sample, values) in samples(),
            block in proptest::sample::select(&Block::ALL[..3]),
        ) {
            let Encoded { bytes, vanished } = encode(block, of_sample, &values);
            check(block, of_sample, values.len(), &bytes).unwrap();
            let again = decoded(block, of_sample, &bytes, values.len());
            let lost = values.iter().zip(&again).filter(|(value, again)| **value != 0.0 && **again == 0.0);
            prop_assert_eq!(lost.count() as u64, vanished);
            for (values, again) in values.chunks(of_sample).zip(again.chunks(of_sample)) {
                for (values, again) in values.chunks(block.size()).zip(again.chunks(block.size())) {
                    let scale = values.iter().fold(0f32, |most, value| most.max(value.abs())) / 127.0;
                    let off = values.iter().zip(again).map(|(value, again)| (value - again).abs());
                    prop_assert!(off.fold(0.0, f32::max) <= scale * 0.500_01);
                }
            }
            prop_assert_eq!(&encode(block, of_sample, &again).bytes, &bytes);
            // A sample's bytes do not depend on its neighbours in the message.
            let middle = encode(block, of_sample, &values[of_sample..2 * of_sample]).bytes;
            let scales = of_sample.div_ceil(block.size()) * SCALE;
            prop_assert_eq!(&middle[..scales], &bytes[scales..2 * scales]);
            let numbers = 3 * scales + of_sample;
            prop_assert_eq!(&middle[scales..], &bytes[numbers..numbers + of_sample]);
        }
    }
}
