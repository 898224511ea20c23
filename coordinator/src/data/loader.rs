//! The loader: turns samples into the input of stage 0, pixels as the bytes of one message.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;

use super::{Augment, DataError, Samples};

/// The input of the first stage, and the labels, which stay in the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Microbatch {
    /// Samples, channels, height, width.
    pub shape: [usize; 4],
    /// The images: a byte for each pixel, contiguous in the order of the shape. Each thread that loaded a part
    /// contributes one piece.
    pub images: Vec<Bytes>,
    /// One label per sample, below the data set's number of classes.
    pub labels: Vec<u32>,
}

/// Makes microbatches of one data set; the pixels are written once, in place.
///
/// Give evaluation a loader of its own with [`Augment::NONE`]. A clone shares the data set.
#[derive(Clone)]
pub struct Loader {
    data: Arc<dyn Samples>,
    augment: Augment,
    seed: u64,
}

impl Loader {
    /// A loader of `data` with the augmentation `augment`; `seed` is the run's.
    pub fn new(data: Arc<dyn Samples>, augment: Augment, seed: u64) -> Self {
        Loader { data, augment, seed }
    }

    /// The same loader of another set, whose samples have the same shape.
    pub fn over(&self, data: Arc<dyn Samples>) -> Self {
        Self { data, ..self.clone() }
    }

    /// The data set.
    pub fn data(&self) -> &dyn Samples {
        &*self.data
    }

    /// The number of threads that should load at the same time: one per core if decoding is costly, else one.
    pub fn threads(&self) -> usize {
        if !self.data.is_costly() {
            return 1;
        }
        thread::available_parallelism().map_or(1, usize::from)
    }

    /// The microbatch of the samples `indices`, in that order, with the augmentation of epoch `epoch`.
    ///
    /// # Errors
    /// The first sample that is missing or cannot be decoded. A panic of the decoder is such an error too.
    pub fn load(&self, epoch: u64, indices: &[usize]) -> Result<Microbatch, DataError> {
        let [channels, height, width] = self.data.shape();
        let size = channels * height * width;
        // The system gives zeroed pages for free, and the padding of a crop, which is black, needs no further write.
        let mut pixels = vec![0; indices.len() * size];
        let mut labels = Vec::with_capacity(indices.len());
        for (&index, out) in indices.iter().zip(pixels.chunks_exact_mut(size)) {
            let written = catch_unwind(AssertUnwindSafe(|| self.write(epoch, index, out)));
            labels.push(written.unwrap_or_else(|_| Err(self.broken(index, "made its decoder panic")))?);
        }
        let images = vec![pixels.into()];
        Ok(Microbatch { shape: [indices.len(), channels, height, width], images, labels })
    }

    /// Writes the pixels of sample `index` to the zeroed `out`, and returns the sample's label.
    fn write(&self, epoch: u64, index: usize, out: &mut [u8]) -> Result<u32, DataError> {
        let [_, height, width] = self.data.shape();
        let plane = height * width;
        let (pixels, label) = self.data.sample(epoch, index)?;
        if pixels.len() != out.len() {
            let wrong = format!("was decoded into {} bytes instead of {}", pixels.len(), out.len());
            return Err(self.broken(index, wrong));
        }
        let place = self.augment.place(self.seed, epoch, index);
        for (pixels, out) in pixels.chunks_exact(plane).zip(out.chunks_exact_mut(plane)) {
            place.write(pixels, width, out);
        }
        Ok(label)
    }

    /// A fault of the decoder at sample `index`.
    pub(super) fn broken(&self, index: usize, wrong: impl Into<String>) -> DataError {
        DataError::Decoder { path: self.data.origin().to_owned(), index, wrong: wrong.into() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Dataset;
    use super::super::fixtures::Generated;
    use super::*;

    /// A loader of `data` as it is.
    pub(in super::super) fn plain(data: impl Into<Arc<Generated>>) -> Loader {
        Loader::new(data.into(), Augment::NONE, 0)
    }

    /// Six samples of 2×5×5, every pixel of another value.
    fn loader(augment: Augment) -> Loader {
        let images = (0..6 * 50).map(|v| (v % 251) as u8).collect();
        let data = Dataset::new("here".as_ref(), [2, 5, 5], 6, images, (0..6).collect()).unwrap();
        Loader::new(Arc::new(data), augment, 3)
    }

    #[test]
    fn pixels_are_in_nchw_order() {
        let microbatch = loader(Augment::NONE).load(0, &[4, 0]).unwrap();
        assert_eq!((microbatch.shape, &microbatch.labels[..]), ([2, 2, 5, 5], &[4, 0][..]));
        let pixels = microbatch.images.concat();
        assert_eq!((pixels.len(), [0, 25, 50, 99].map(|at| pixels[at])), (100, [200, 225, 0, 49]));
    }

    #[test]
    fn a_sample_is_the_same_wherever_it_stands_in_its_batch() {
        let loader = loader(Augment { pad: 2, flip: true });
        let together = loader.load(5, &[0, 1, 2, 3, 4, 5]).unwrap();
        for sample in 0..6 {
            let alone = loader.load(5, &[sample]).unwrap();
            assert_eq!(alone.images[0], together.images[0][sample * 50..][..50]);
        }
        assert_ne!(loader.load(6, &[0, 1, 2, 3, 4, 5]).unwrap().images, together.images);
    }

    #[test]
    fn padding_is_black() {
        // With this padding, the crops of these three samples contain only padding.
        let microbatch = loader(Augment { pad: 1000, flip: false }).load(0, &[0, 1, 2]).unwrap();
        assert_eq!(microbatch.images.concat(), [0; 3 * 50]);
    }

    #[test]
    fn a_sample_that_is_not_there_is_an_error() {
        let error = loader(Augment::NONE).load(0, &[6]).unwrap_err().to_string();
        assert!(error.starts_with("sample 6 was asked of here, which has 6"), "{error}");
    }

    #[test]
    fn a_set_decodes_differently_in_each_epoch() {
        let loader = plain(Generated::new(9, [1, 2, 2], |_| {}));
        for (epoch, index) in [(0, 3), (1, 3), (1, 8)] {
            let microbatch = loader.load(epoch, &[index]).unwrap();
            assert_eq!(microbatch.images.concat(), [Generated::pixel(epoch, index); 4]);
        }
    }

    #[test]
    fn a_fault_of_the_decoder_names_the_sample() {
        let panicking = plain(Generated::new(9, [1, 2, 2], |index| assert_ne!(index, 5)));
        let error = panicking.load(0, &[4, 5, 6]).unwrap_err().to_string();
        assert!(error.starts_with("sample 5 of generated made its decoder panic"), "{error}");

        let short = Generated { image: 3, ..Generated::new(9, [1, 2, 2], |_| {}) };
        let error = plain(short).load(0, &[4]).unwrap_err().to_string();
        assert!(error.starts_with("sample 4 of generated was decoded into 3 bytes instead of 4"), "{error}");
    }
}
