//! Data for tests: tiny files, and a set that is larger than memory.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{DataError, Samples};

/// An idx file: the magic number, the sizes of the dimensions, and the values.
pub(super) fn idx(magic: u32, sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let header = std::iter::once(magic).chain(sizes.iter().copied()).flat_map(u32::to_be_bytes);
    header.chain(values.iter().copied()).collect()
}

/// An idx file of images: `sizes` are count, rows and columns, whatever `pixels` holds.
pub(super) fn idx_images(sizes: [u32; 3], pixels: &[u8]) -> Vec<u8> {
    idx(0x0803, &sizes, pixels)
}

/// An idx file of labels.
pub(super) fn idx_labels(labels: &[u8]) -> Vec<u8> {
    idx(0x0801, &[labels.len() as u32], labels)
}

/// `bytes` as a gzip file.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A set that may be larger than memory: each sample is computed when it is asked for, and counted.
pub(super) struct Generated {
    pub samples: usize,
    pub shape: [usize; 3],
    /// The bytes of a decoded sample, which should match the shape.
    pub image: usize,
    /// A hook that is called with the index of each sample before it is decoded; it may wait, or panic.
    pub before: fn(usize),
    pub decoded: AtomicUsize,
}

impl Generated {
    pub fn new(samples: usize, shape: [usize; 3], before: fn(usize)) -> Self {
        let decoded = AtomicUsize::new(0);
        Self { samples, shape, image: shape.iter().product(), before, decoded }
    }

    /// The value of every pixel of a sample: it differs between epochs, as after a random crop.
    pub fn pixel(epoch: u64, index: usize) -> u8 {
        (index as u64 * 31 + epoch) as u8
    }
}

impl Samples for Generated {
    fn len(&self) -> usize {
        self.samples
    }

    fn shape(&self) -> [usize; 3] {
        self.shape
    }

    fn classes(&self) -> usize {
        10
    }

    fn origin(&self) -> &Path {
        "generated".as_ref()
    }

    fn label(&self, index: usize) -> Result<u32, DataError> {
        Ok((index % 10) as u32)
    }

    fn pixels(&self, epoch: u64, index: usize) -> Result<Cow<'_, [u8]>, DataError> {
        self.decoded.fetch_add(1, Ordering::SeqCst);
        (self.before)(index);
        if index >= self.samples {
            return Err(DataError::NoSuchSample { path: "generated".into(), index, samples: self.samples });
        }
        Ok(vec![Self::pixel(epoch, index); self.image].into())
    }

    fn fingerprint(&self) -> u64 {
        0
    }

    fn is_costly(&self) -> bool {
        true
    }
}

/// All labels of a set.
pub(super) fn labels(data: &dyn Samples) -> Vec<u32> {
    (0..data.len()).map(|index| data.label(index).unwrap()).collect()
}
