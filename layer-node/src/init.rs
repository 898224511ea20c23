//! Initial weights: drawn by the node that keeps them, from the run's seed and the layer's name.

use crate::layer::Settings;
use proto::graph::Init;
use proto::seed;
use rand_distr::{Distribution, StandardNormal};
use tch::{TchError, Tensor};

/// A normal distribution cut at two deviations has this deviation for each unit of the uncut one's
/// (TensorFlow's variance scaling divides by it).
const CUT_DEVIATION: f64 = 0.8796;

/// Draws the matrix `which` ("weight" or "weight_backward") of layer `name`, of shape
/// `(out, in, …)`, in f32 whatever the device computes in.
///
/// # Errors
/// When memory or device fail.
pub fn draw(
    settings: &Settings,
    name: &str,
    which: &str,
    shape: &[u64],
    init: Init,
) -> Result<Tensor, TchError> {
    let mut rng = seed::rng(settings.seed, &[name, which]);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let fan_in: u64 = shape[1..].iter().product();
    let count = shape.iter().product::<u64>() as usize;
    let values: Vec<f32> = match init {
        Init::Normal(deviation) => (0..count).map(|_| (deviation * normal()) as f32).collect(),
        Init::FanIn => {
            let deviation = (1.0 / fan_in as f64).sqrt() / CUT_DEVIATION;
            let mut cut = || std::iter::repeat_with(&mut normal).find(|z| z.abs() <= 2.0).unwrap_or_default();
            (0..count).map(|_| (deviation * cut()) as f32).collect()
        }
    };
    let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
    let tensor = Tensor::f_from_slice(&values)?.f_reshape(shape)?;
    tensor.f_to_device(settings.device)?.f_to_kind(settings.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::stage::StageSpec;
    use tch::{Device, Kind};

    #[test]
    fn weights_have_the_deviation_that_their_fan_in_asks_for() {
        let spec = StageSpec { seed: 1, ..StageSpec::alone(Vec::new(), Vec::new()) };
        let settings = Settings::of(&spec, Device::Cpu, Kind::Double);
        let deviation = |which, init| {
            let drawn = draw(&settings, "conv", which, &[64, 16, 5, 5], init).unwrap();
            (drawn.std(false).double_value(&[]), drawn.abs().max().double_value(&[]))
        };
        let (std, largest) = deviation("weight", Init::FanIn);
        assert!((std - 0.05).abs() < 0.001, "{std}");
        assert!(largest <= 2.0 * 0.05 / CUT_DEVIATION);
        assert!((deviation("weight_backward", Init::Normal(0.01)).0 - 0.01).abs() < 0.0002);
        assert_ne!(deviation("weight", Init::FanIn), deviation("weight_backward", Init::FanIn));
    }
}
