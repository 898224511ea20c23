//! The figures for the normalisation of the network's input, (v / 255 − mean) / std by channel. The stages get the
//! figures and normalise.

use proto::spec::input::InputSpec;

use super::{DataError, DataKind, Samples};

/// Each channel's mean and standard deviation, for pixels on a scale from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Normalization {
    /// The figures that the caller gives (`data.mean`, `data.std`). A figure that is `None` is the known figure of
    /// the kind, or, for idx files, the figure of `train` itself.
    ///
    /// The known figures are over the whole training split, rounded to four digits: Fashion-MNIST's are checked
    /// against the data in a test, CIFAR's are the usual published ones. For idx files the figures are computed
    /// from exact counts in f64, over the samples of `train`. A limit changes them, so a run should record them
    /// and not compute them again from other samples.
    ///
    /// # Errors
    /// A figure that isn't finite, a deviation that isn't above 0 (as that of a constant channel), a number of
    /// figures that isn't the number of channels, or a sample that cannot be decoded.
    pub fn of(
        kind: DataKind,
        train: &dyn Samples,
        mean: Option<&[f32]>,
        std: Option<&[f32]>,
    ) -> Result<Self, DataError> {
        let (mean, std) = match (mean, std) {
            (Some(mean), Some(std)) => (mean.to_vec(), std.to_vec()),
            (mean, std) => {
                let (default_mean, default_std) = match kind.facts().figures {
                    Some((mean, std)) => (mean.to_vec(), std.to_vec()),
                    None => histograms(train)?.iter().map(moments).unzip(),
                };
                (mean.map_or(default_mean, <[f32]>::to_vec), std.map_or(default_std, <[f32]>::to_vec))
            }
        };
        let this = Normalization { mean, std };
        this.check(train.shape()[0])?;
        Ok(this)
    }

    /// Each channel's mean.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Each channel's standard deviation, above 0.
    pub fn std(&self) -> &[f32] {
        &self.std
    }

    /// The normalisation in the form that the stages get.
    pub fn input(&self) -> InputSpec {
        InputSpec { mean: self.mean.clone(), deviation: self.std.clone() }
    }

    /// Checks that there is one usable figure per channel.
    fn check(&self, channels: usize) -> Result<(), DataError> {
        let figures = [("data.mean", &self.mean), ("data.std", &self.std)];
        if let Some((key, values)) = figures.iter().find(|(_, values)| values.len() != channels) {
            let wrong =
                format!("{key} has {} numbers, but the images have {channels} channel(s)", values.len());
            return Err(DataError::setting(wrong, "give one number per channel, or leave it out"));
        }
        if let Some(mean) = self.mean.iter().find(|mean| !mean.is_finite()) {
            return Err(DataError::setting(format!("data.mean holds {mean}"), "give a finite number"));
        }
        if let Some(std) = self.std.iter().find(|std| !std.is_finite() || **std <= 0.0) {
            let wrong = format!("a channel's standard deviation is {std}");
            return Err(DataError::setting(wrong, "set data.std to finite numbers above 0"));
        }
        if self.input().table().iter().any(|value| !value.is_finite()) {
            let wrong = "data.mean and data.std make inputs that f32 does not hold";
            return Err(DataError::setting(wrong, "set data.std to larger numbers"));
        }
        Ok(())
    }
}

/// The number of pixels of each value in each channel, counted one sample after the other. Counts are whole
/// numbers, so the order of the pixels has no effect.
fn histograms(data: &dyn Samples) -> Result<Vec<[u64; 256]>, DataError> {
    let [channels, height, width] = data.shape();
    let mut counts = vec![[0; 256]; channels];
    for index in 0..data.len() {
        let pixels = data.pixels(0, index)?;
        for (pixels, count) in pixels.chunks_exact(height * width).zip(&mut counts) {
            pixels.iter().for_each(|&pixel| count[usize::from(pixel)] += 1);
        }
    }
    Ok(counts)
}

/// The mean and the (population) standard deviation of v / 255.
fn moments(counts: &[u64; 256]) -> (f32, f32) {
    let total = counts.iter().sum::<u64>() as f64;
    let average = |of: &dyn Fn(f64) -> f64| {
        let values = counts.iter().enumerate();
        values.map(|(v, &count)| of(v as f64 / 255.0) * count as f64).sum::<f64>() / total
    };
    let mean = average(&|v| v);
    (mean as f32, average(&|v| (v - mean).powi(2)).sqrt() as f32)
}

#[cfg(test)]
mod tests {
    use super::super::Dataset;
    use super::*;

    fn data(shape: [usize; 3], images: &[u8]) -> Dataset {
        let samples = images.len() / shape.iter().product::<usize>();
        Dataset::new("here".as_ref(), shape, 1, images.to_vec(), vec![0; samples]).unwrap()
    }

    #[test]
    fn idx_computes_each_channel_of_the_training_split() {
        // Two samples of two channels of two pixels each.
        let train = data([2, 1, 2], &[0, 255, 51, 51, 255, 0, 51, 153]);
        let figures = Normalization::of(DataKind::Idx, &train, None, None).unwrap();
        assert_eq!(figures.mean(), [0.5, 0.3]);
        assert!((figures.std()[0] - 0.5).abs() < 1e-7 && (figures.std()[1] - 0.03f32.sqrt()).abs() < 1e-7);
        let table = figures.input().table();
        assert_eq!([table[0], table[255]], [-1.0, 1.0]);
    }

    #[test]
    fn the_caller_overrides_and_nonsense_is_refused() {
        let train = data([1, 1, 2], &[7, 7]);
        let of =
            |kind, mean, std| Normalization::of(kind, &train, mean, std).map_err(|error| error.to_string());
        assert_eq!(of(DataKind::FashionMnist, Some(&[0.5]), None).unwrap().mean(), [0.5]);
        assert_eq!(of(DataKind::FashionMnist, Some(&[0.5]), None).unwrap().std(), [0.3530]);
        assert!(of(DataKind::Idx, None, None).unwrap_err().contains("deviation is 0"));
        assert!(of(DataKind::Idx, None, Some(&[f32::NAN])).unwrap_err().contains("data.std"));
        assert!(of(DataKind::Idx, Some(&[f32::INFINITY]), Some(&[1.0])).unwrap_err().contains("data.mean"));
        assert!(of(DataKind::Idx, Some(&[0.0]), Some(&[1e-39])).unwrap_err().contains("f32 does not hold"));
        assert!(of(DataKind::Idx, Some(&[0.0; 2]), Some(&[1.0])).unwrap_err().contains("data.mean has 2"));
        assert!(of(DataKind::Cifar10, None, None).unwrap_err().contains("the images have 1 channel(s)"));
    }
}
