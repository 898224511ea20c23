//! Initial weights: the node that keeps the weights draws them from the run's seed and the layer's name.

mod orthogonal;

use crate::settings::Settings;
use orthogonal::orthogonal;
use proto::host::{Bytes, Memory};
use proto::seed;
use proto::spec::graph::Init;
use rand_distr::{Distribution, StandardNormal};
use tch::{TchError, Tensor};

/// The deviation of a normal distribution that is cut at two deviations, per unit of the uncut distribution's
/// deviation. TensorFlow's variance scaling divides by this number.
const CUT_DEVIATION: f64 = 0.8796;

/// Draws the matrix `which` ("weight" or "weight_backward") of layer `name`, of shape `(out, in, …)`. The numbers are
/// drawn in f32, whatever number format the device computes in.
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
    let (mut values, count) = room(name, which, shape)?;
    match init {
        Init::Normal(deviation) => values.extend((0..count).map(|_| (deviation * normal()) as f32)),
        Init::FanIn => {
            let deviation = (1.0 / fan_in as f64).sqrt() / CUT_DEVIATION;
            let mut cut = || std::iter::repeat_with(&mut normal).find(|z| z.abs() <= 2.0).unwrap_or_default();
            values.extend((0..count).map(|_| (deviation * cut()) as f32));
        }
    }
    let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
    settings.tensor(&values, &shape)
}

/// Draws an orthogonal matrix of `side` rows for the layer `name`, from the stream `which`.
///
/// # Errors
/// When memory or device fail.
pub fn draw_orthogonal(settings: &Settings, name: &str, which: &str, side: u64) -> Result<Tensor, TchError> {
    // The numbers are drawn in f64, which takes twice the room.
    room(name, which, &[side, 2 * side])?;
    let drawn = orthogonal(&mut seed::rng(settings.seed, &[name, which]), side as usize);
    let values: Vec<f32> = drawn.into_iter().map(|number| number as f32).collect();
    settings.tensor(&values, &[side as i64; 2])
}

/// An empty list with room for `shape`, and the number of its elements. A list without room is an error, and does not
/// end the process.
fn room(name: &str, which: &str, shape: &[u64]) -> Result<(Vec<f32>, usize), TchError> {
    let bytes = shape.iter().try_fold(4u64, |bytes, &size| bytes.checked_mul(size));
    // The system may promise memory that it does not have, and the tensor is copied once out of the list.
    let memory = Memory::now();
    let there = memory.as_ref().map_or(u64::MAX, |memory| memory.available / 2);
    let count = bytes.filter(|&bytes| bytes <= there).and_then(|bytes| usize::try_from(bytes / 4).ok());
    let mut values = Vec::new();
    match count.map(|count| values.try_reserve_exact(count).map(|()| count)) {
        Some(Ok(count)) => Ok((values, count)),
        _ => Err(TchError::Shape(format!(
            "there is no memory for the {which} of layer '{name}', of shape {shape:?} ({} bytes twice, of {}): make the layer smaller, or give its stage a host with more memory",
            bytes.map_or_else(|| "too many".into(), |bytes| bytes.to_string()),
            memory.map_or_else(
                || "an unknown number".into(),
                |memory| format!("{} that are free in {}", Bytes(memory.available), memory.bound)
            )
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::spec::stage::StageSpec;
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

    #[test]
    fn a_layer_that_no_memory_holds_is_refused_by_name() {
        let spec = StageSpec::alone(Vec::new(), Vec::new());
        let settings = Settings::of(&spec, Device::Cpu, Kind::Float);
        for (shape, bytes) in
            [([1 << 32, 1 << 29], "9223372036854775808 bytes"), ([1 << 40, 1 << 40], "too many bytes")]
        {
            for init in [Init::FanIn, Init::Normal(0.01)] {
                let refusal = draw(&settings, "wide", "weight", &shape, init).unwrap_err().to_string();
                assert!(refusal.contains("no memory for the weight of layer 'wide'"), "{refusal}");
                assert!(refusal.contains(bytes), "{refusal}");
            }
        }
    }
}
