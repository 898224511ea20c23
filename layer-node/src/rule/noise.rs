//! The noise of a layer: the node draws it from the run's seed and a name.

use crate::settings::Settings;
use proto::seed;
use proto::spec::rule::Noise;
use rand_distr::{Distribution, StandardNormal, StandardUniform};
use tch::{TchError, Tensor};

/// A tensor of `shape` with deviation `sigma` from the stream that `parts` name, in the number format of weights. The
/// numbers are drawn in f32, whatever number format the device computes in.
///
/// # Errors
/// When memory or device fail.
pub fn draw(
    settings: &Settings,
    parts: &[&str],
    shape: &[i64],
    noise: Noise,
    sigma: f64,
) -> Result<Tensor, TchError> {
    let mut rng = seed::rng(settings.seed, parts);
    let mut one = || -> f64 {
        match noise {
            Noise::Normal => StandardNormal.sample(&mut rng),
            Noise::Uniform => {
                let unit: f64 = StandardUniform.sample(&mut rng);
                3f64.sqrt() * (2.0 * unit - 1.0)
            }
        }
    };
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(usize::try_from(size).ok()?));
    let mut values: Vec<f32> = Vec::new();
    // A list without room is an error, and does not end the process.
    let room = count.map(|count| values.try_reserve_exact(count).map(|()| count));
    let Some(Ok(count)) = room else {
        return Err(TchError::Shape(format!(
            "there is no memory for noise of shape {shape:?}: lower rule.noise_batch"
        )));
    };
    values.extend((0..count).map(|_| (sigma * one()) as f32));
    settings.tensor(&values, shape)
}
