//! The format of an event file, as TensorBoard reads it: records, each an `Event` message.
//!
//! ```text
//! length (8 bytes)  masked CRC-32C of it (4)  the message  masked CRC-32C of it (4)     all little-endian
//! ```
//!
//! The framing is TensorFlow's (`tensorflow/core/lib/io/record_writer.h`). The messages are
//! `tensorflow/core/util/event.proto` and `framework/summary.proto`, with the fields that scalars and plugins need.
//!
//! The format is written here because the only crate for it, tensorboard-rs (0.5.9, of 2022), is not maintained: it
//! depends on protobuf 2 and image 0.23.

use prost::Message;

/// The version, which the first record of every file holds.
pub const VERSION: &str = "brain.Event:2";

/// One record.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since the Unix epoch.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// The training step.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// [`VERSION`], in the first record.
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    /// The scalars, in all records but the first.
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Summary>,
}

/// Scalars of one step.
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    /// The scalars, one per curve.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Scalar>,
}

/// One point of one curve.
#[derive(Clone, PartialEq, Message)]
pub struct Scalar {
    /// The name of the curve.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// The value, which is written even if it is zero.
    #[prost(float, optional, tag = "2")]
    pub value: Option<f32>,
    /// The tensor of a value that is no point of a curve.
    #[prost(message, optional, tag = "8")]
    pub tensor: Option<Null>,
    /// The message of the value to a plugin of TensorBoard.
    #[prost(message, optional, tag = "9")]
    pub metadata: Option<Metadata>,
}

/// A tensor of no elements, which stands where TensorBoard wants a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct Null {
    /// f32.
    #[prost(int32, tag = "1", default = "1")]
    pub dtype: i32,
}

/// The metadata of a value.
#[derive(Clone, PartialEq, Message)]
pub struct Metadata {
    /// The plugin, and its message.
    #[prost(message, optional, tag = "1")]
    pub plugin: Option<PluginData>,
    /// The class of the data.
    #[prost(int32, tag = "4")]
    pub class: i32,
}

impl Metadata {
    /// The class of values with a tensor.
    pub const TENSOR: i32 = 2;
}

/// A message for a plugin.
#[derive(Clone, PartialEq, Message)]
pub struct PluginData {
    /// The plugin's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The message, encoded.
    #[prost(bytes = "vec", tag = "2")]
    pub content: Vec<u8>,
}

/// Encodes `event` as a record.
pub fn record(event: &Event) -> Vec<u8> {
    let message = event.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    let sums = [&length[..], &message].map(|bytes| masked_crc(bytes).to_le_bytes());
    [&length[..], &sums[0], &message, &sums[1]].concat()
}

/// The events of a file, up to the end or to the first incomplete record: a killed run may have left one.
pub fn events(mut bytes: &[u8]) -> impl Iterator<Item = Event> {
    std::iter::from_fn(move || {
        let (length, rest) = checked(bytes, 8)?;
        let length = u64::from_le_bytes(length.try_into().ok()?);
        let (message, rest) = checked(rest, usize::try_from(length).ok()?)?;
        bytes = rest;
        Event::decode(message).ok()
    })
}

/// Splits `bytes` after the first `length` bytes and their checksum; `None` if the checksum is wrong.
fn checked(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (data, rest) = bytes.split_at_checked(length)?;
    let (sum, rest) = rest.split_first_chunk()?;
    (u32::from_le_bytes(*sum) == masked_crc(data)).then_some((data, rest))
}

/// The masked CRC: the mask keeps the checksum good for data that itself contains checksums.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C, bit by bit, which is fast enough for records of some hundred bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let shift = |crc: u32| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| shift(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(step: i64) -> Event {
        let values = vec![Scalar { tag: "train/loss".into(), value: Some(0.0), ..Scalar::default() }];
        Event { wall_time: 1.5, step, file_version: None, summary: Some(Summary { values }) }
    }

    #[test]
    fn the_sum_is_the_one_that_the_standard_gives() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn what_is_written_is_read_up_to_a_record_that_is_torn_or_damaged() {
        let written: Vec<Event> = (1..=3).map(event).collect();
        let bytes: Vec<u8> = written.iter().flat_map(record).collect();
        assert_eq!(events(&bytes).collect::<Vec<_>>(), written);
        let size = bytes.len() / 3;
        for cut in 0..bytes.len() {
            assert_eq!(events(&bytes[..cut]).count(), cut / size);
            let mut damaged = bytes.clone();
            damaged[cut] ^= 4;
            assert_eq!(events(&damaged).count(), cut / size);
        }
    }
}
