//! Noise of a layer's own: drawn by the node, from the run's seed and a name.

use crate::layer::Settings;
use proto::rule::Noise;
use proto::seed;
use rand_distr::{Distribution, StandardNormal, StandardUniform};
use tch::{TchError, Tensor};

/// A tensor of `shape` with deviation `sigma` from the stream that `parts` name, drawn in f32 whatever the
/// device computes in.
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
    let count: i64 = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| (sigma * one()) as f32).collect();
    let tensor = Tensor::f_from_slice(&values)?.f_reshape(shape)?;
    tensor.f_to_device(settings.device)?.f_to_kind(settings.kind)
}
