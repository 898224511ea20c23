//! The network's input, which comes in bytes: each stage that takes it makes the numbers by a table, so that they have the
//! same bits on every device and wherever the network is cut.

use crate::settings::Settings;
use proto::spec::graph::INPUT;
use proto::spec::stage::StageSpec;
use tch::{Kind, TchError, Tensor};

/// The numbers that a byte can take.
const BYTES: i64 = 256;

/// The normalisation of the network's input on a stage's device.
pub(super) struct Input {
    /// The numbers of all bytes, for one channel after the other.
    table: Tensor,
    /// The first number of each channel in the table, in the shape of one sample's channels.
    first: Tensor,
}

impl Input {
    /// The normalisation of the stage `spec`; `None` where none of its layers takes the network's input.
    ///
    /// # Errors
    /// When memory or device fail.
    pub(super) fn of(spec: &StageSpec, settings: &Settings) -> Result<Option<Self>, TchError> {
        let taken = spec.layers.iter().any(|layer| layer.inputs.iter().any(|input| input == INPUT));
        let value = spec.inputs.iter().find(|value| value.name == INPUT);
        let (true, Some(value), Some(input)) = (taken, value, &spec.input) else { return Ok(None) };
        let table = input.table();
        let channels = table.len() as i64 / BYTES;
        let mut shape = vec![1; value.shape.len()];
        // An input without dimensions has no channels either, which torch refuses below.
        if let Some(first) = shape.first_mut() {
            *first = channels;
        }
        let first = Tensor::f_arange_start_step(0, channels * BYTES, BYTES, (Kind::Int, settings.device))?;
        let table = settings.tensor(&table, &[channels * BYTES])?.f_to_kind(settings.kind)?;
        Ok(Some(Self { table, first: first.f_reshape(shape)? }))
    }

    /// The numbers of `pixels`, samples of bytes. An input that has come as numbers is normalised already.
    ///
    /// # Errors
    /// When memory or device fail.
    pub(super) fn normalise(&self, pixels: &Tensor) -> Result<Tensor, TchError> {
        if pixels.kind() != Kind::Uint8 {
            return Ok(pixels.shallow_clone());
        }
        let places = pixels.f_to_kind(Kind::Int)?.f_add_(&self.first)?;
        self.table.f_index_select(0, &places.f_view([-1])?)?.f_view(&pixels.size()[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::spec::graph::{LayerSpec, Op, Value};
    use proto::spec::input::InputSpec;
    use tch::Device;

    /// The stage that normalises samples of this shape with these figures.
    fn stage(layer: &str, shape: &[u64], figures: &[(f32, f32)]) -> StageSpec {
        let (mean, deviation) = figures.iter().copied().unzip();
        let inputs = ["other", INPUT].map(|name| Value { name: name.into(), shape: shape.into() });
        let layers = vec![LayerSpec::new("relu", &[layer], Op::Relu)];
        StageSpec { input: Some(InputSpec { mean, deviation }), ..StageSpec::alone(layers, inputs.into()) }
    }

    fn input(spec: &StageSpec) -> Option<Input> {
        Input::of(spec, &Settings::of(spec, Device::Cpu, Kind::Float)).unwrap()
    }

    /// The formula here is that of the table with which coordinators have normalised when inputs crossed in f32.
    #[test]
    fn every_byte_has_the_bits_of_the_formula() {
        let figures = [(0.485, 0.229), (0.286, 0.353), (0.0, 1.0), (0.4914, 0.2470), (0.5, 1e-3)];
        let input = input(&stage(INPUT, &[5, 16, 8], &figures)).unwrap();
        let pixels: Vec<u8> = (0..=255).cycle().take(2 * 5 * 128).collect();
        let numbers = input.normalise(&Tensor::from_slice(&pixels).view([2, 5, 16, 8])).unwrap();
        assert_eq!((numbers.size(), numbers.kind()), (vec![2, 5, 16, 8], Kind::Float));
        let numbers = Vec::<f32>::try_from(numbers.view([-1])).unwrap();
        for (at, (number, pixel)) in numbers.iter().zip(&pixels).enumerate() {
            let (mean, deviation): (f32, f32) = figures[at / 128 % 5];
            let due = ((f64::from(*pixel) / 255.0 - f64::from(mean)) / f64::from(deviation)) as f32;
            assert_eq!(number.to_bits(), due.to_bits(), "{pixel} {mean} {deviation}");
        }
    }

    #[test]
    fn samples_of_one_dimension_have_a_channel_for_each_number() {
        let input = input(&stage(INPUT, &[2], &[(0.0, 1.0), (1.0, 0.5)])).unwrap();
        let numbers = input.normalise(&Tensor::from_slice(&[51u8, 51, 255, 255]).view([2, 2])).unwrap();
        assert_eq!(numbers, Tensor::from_slice(&[0.2f32, -1.6, 1.0, 0.0]).view([2, 2]));
        let given = Tensor::from_slice(&[0.25f32, 7.0]).view([1, 2]);
        assert_eq!(input.normalise(&given).unwrap(), given, "numbers are normalised already");
    }

    #[test]
    fn a_stage_that_only_passes_the_input_on_needs_no_table() {
        assert!(input(&stage("other", &[2], &[(0.0, 1.0); 2])).is_none());
    }
}
