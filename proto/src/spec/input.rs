//! The normalisation of the network's input: a byte on the wire, and a number in the stage that takes it.

use super::graph::{INPUT, Value};
use crate::error::ProtocolError;
use serde::{Deserialize, Serialize, Serializer};

/// The mean and the deviation of each channel of the network's input, where a byte goes from 0 to 1. Channels are the
/// first dimension of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputSpec {
    /// The mean of each channel.
    #[serde(serialize_with = "as_written")]
    pub mean: Vec<f32>,
    /// The deviation of each channel, above 0.
    #[serde(serialize_with = "as_written")]
    pub deviation: Vec<f32>,
}

/// Serialises numbers as the f64 of their shortest decimals, so that 0.353 is 0.353 in a file and reads back as itself.
fn as_written<S: Serializer>(numbers: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
    let shortest = |number: &f32| number.to_string().parse().unwrap_or(f64::from(*number));
    serializer.collect_seq(numbers.iter().map(shortest))
}

impl InputSpec {
    /// The normalisation that leaves the bytes on the scale from 0 to 1.
    pub fn plain(channels: usize) -> Self {
        Self { mean: vec![0.0; channels], deviation: vec![1.0; channels] }
    }

    /// The plain normalisation of the network's input, if it is among `values`.
    pub(super) fn plain_of(values: &[Value]) -> Option<Self> {
        channels(values).map(Self::plain)
    }

    /// The number that the network takes for the byte `pixel` of a channel with this mean and deviation: computed in f64
    /// and rounded once. It is infinite where f32 does not hold it.
    pub fn value(pixel: u8, mean: f32, deviation: f32) -> f32 {
        ((f64::from(pixel) / 255.0 - f64::from(mean)) / f64::from(deviation)) as f32
    }

    /// The numbers of all 256 bytes, for one channel after the other.
    pub fn table(&self) -> Vec<f32> {
        let figures = self.mean.iter().zip(&self.deviation);
        figures
            .flat_map(|(&mean, &deviation)| (0..=255).map(move |v| Self::value(v, mean, deviation)))
            .collect()
    }

    /// Checks that a stage that takes `inputs` has a normalisation exactly where it takes the network's input, and that
    /// it fits that input.
    pub(super) fn check(input: Option<&Self>, inputs: &[Value]) -> Result<(), ProtocolError> {
        match (input, channels(inputs)) {
            (None, None) => Ok(()),
            (Some(input), Some(channels)) => input.fits(channels),
            (None, Some(_)) => Err(ProtocolError::Missing("mean and deviation of the network's input")),
            (Some(_), None) => Err(ProtocolError::invalid(
                "a stage that does not take the network's input has a mean and a deviation of it",
            )),
        }
    }

    fn fits(&self, channels: usize) -> Result<(), ProtocolError> {
        let [means, deviations] = [self.mean.len(), self.deviation.len()];
        if [means, deviations] != [channels; 2] {
            return Err(ProtocolError::invalid(format!(
                "an input of {channels} channels has {means} means and {deviations} deviations"
            )));
        }
        let ends = |mean, deviation| [0, 255].map(|pixel| Self::value(pixel, mean, deviation));
        let usable = |(&mean, &deviation): (&f32, &f32)| {
            deviation > 0.0
                && deviation.is_finite()
                && ends(mean, deviation).iter().all(|end| end.is_finite())
        };
        match self.mean.iter().zip(&self.deviation).find(|figures| !usable(*figures)) {
            None => Ok(()),
            Some((mean, deviation)) => Err(ProtocolError::invalid(format!(
                "an input cannot be normalised with mean {mean} and deviation {deviation}"
            ))),
        }
    }
}

/// The channels of the network's input, if it is among `values`.
fn channels(values: &[Value]) -> Option<usize> {
    let input = values.iter().find(|value| value.name == INPUT)?;
    Some(input.shape.first().map_or(0, |&channels| channels as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A byte, mean, deviation, and the bits of Python's `struct.pack("f", (v / 255 - m) / s)` with m and s rounded to f32.
    const PYTHON: [(u8, f32, f32, u32); 9] = [
        (0, 0.485, 0.229, 0xc007_8bbd),
        (0, 0.5, 0.5, 0xbf80_0000),
        (1, 0.286, 0.353, 0xbf4c_911b),
        (77, 0.485, 0.229, 0xbf4c_9eca),
        (77, 0.5, 0.5, 0xbeca_cacb),
        (128, 0.286, 0.353, 0x3f1c_9e11),
        (254, 0.485, 0.229, 0x400e_d58a),
        (254, 0.5, 0.5, 0x3f7d_fdfe),
        (255, 0.286, 0.353, 0x4001_734f),
    ];

    #[test]
    fn a_number_is_computed_in_f64_and_rounded_once() {
        for (pixel, mean, deviation, bits) in PYTHON {
            let value = InputSpec::value(pixel, mean, deviation);
            assert_eq!(value.to_bits(), bits, "{pixel} {mean} {deviation}: {value}");
        }
        let spec = InputSpec { mean: vec![0.0, 0.5], deviation: vec![1.0, 0.5] };
        let table = spec.table();
        assert_eq!((table.len(), table[51], table[256], table[511]), (512, 0.2, -1.0, 1.0));
    }

    #[test]
    fn a_stage_has_it_exactly_where_it_takes_the_networks_input() {
        let value = |name: &str, shape: &[u64]| Value { name: name.into(), shape: shape.into() };
        let (image, other) = ([value(INPUT, &[3, 8, 8])], [value("conv", &[3, 8, 8])]);
        let refused =
            |input: Option<&InputSpec>, values| InputSpec::check(input, values).unwrap_err().to_string();
        let plain = InputSpec::plain(3);
        assert!(InputSpec::check(Some(&plain), &image).is_ok() && InputSpec::check(None, &other).is_ok());
        assert!(refused(None, &image).contains("no mean and deviation"), "{}", refused(None, &image));
        assert!(refused(Some(&plain), &other).contains("does not take the network's input"));
        let with = |mean: &[f32], deviation: &[f32]| {
            let input = InputSpec { mean: mean.into(), deviation: deviation.into() };
            InputSpec::check(Some(&input), &image).map_err(|error| error.to_string())
        };
        assert!(with(&[0.0; 2], &[1.0; 3]).unwrap_err().contains("3 channels has 2 means and 3 deviations"));
        for wrong in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-39] {
            let why = with(&[0.0; 3], &[1.0, 1.0, wrong]).unwrap_err();
            assert!(why.contains("cannot be normalised with mean 0 and deviation"), "{why}");
        }
        assert!(with(&[f32::NAN, 0.0, 0.0], &[1.0; 3]).is_err() && with(&[1e30; 3], &[1.0; 3]).is_ok());
    }
}
