//! Data sets of noise, in the idx format and in CIFAR-10's, so that a bench needs no download.

use crate::run::{Failure, INTERNAL};
use std::path::Path;
use std::{fs, io};

/// The side of the images in idx files.
const SIDE: u32 = 28;
/// The number of pixels of a CIFAR image, in all channels.
const PIXELS: usize = 3 * 32 * 32;
/// The number of classes of the labels.
const CLASSES: u64 = 10;

/// The file format of a data set.
#[derive(Clone, Copy, Debug)]
pub enum Format {
    /// Grey images of Fashion-MNIST's shape.
    Idx,
    /// CIFAR-10's binary version.
    Cifar,
}

/// Empties `folder`, and fills it with `train` training samples and `test` test samples.
///
/// # Errors
/// When the files cannot be written.
pub fn fresh(folder: &Path, format: Format, train: u32, test: u32) -> Result<(), Failure> {
    let empty = fs::remove_dir_all(folder).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    });
    let write = match format {
        Format::Idx => write_idx,
        Format::Cifar => write_cifar,
    };
    empty.and_then(|()| fs::create_dir_all(folder)).and_then(|()| write(folder, train, test)).map_err(
        |error| {
            Failure::new(INTERNAL, format!("cannot write {} ({error}): make room there", folder.display()))
        },
    )
}

fn write_idx(folder: &Path, train: u32, test: u32) -> io::Result<()> {
    for (split, count, seed) in [("train", train, 1), ("t10k", test, 2)] {
        let mut next = generator(seed);
        let images: Vec<u8> = (0..count * SIDE * SIDE).map(|_| next(256)).collect();
        let labels: Vec<u8> = (0..count).map(|_| next(CLASSES)).collect();
        let images = [header(0x803, &[count, SIDE, SIDE]), images].concat();
        let labels = [header(0x801, &[count]), labels].concat();
        fs::write(folder.join(format!("{split}-images-idx3-ubyte")), images)?;
        fs::write(folder.join(format!("{split}-labels-idx1-ubyte")), labels)?;
    }
    Ok(())
}

fn header(magic: u32, sizes: &[u32]) -> Vec<u8> {
    std::iter::once(&magic).chain(sizes).flat_map(|word| word.to_be_bytes()).collect()
}

fn write_cifar(folder: &Path, train: u32, test: u32) -> io::Result<()> {
    let parts = (1..=5).map(|part| (format!("data_batch_{part}.bin"), train.div_ceil(5)));
    for ((name, count), seed) in parts.chain([("test_batch.bin".to_string(), test)]).zip(1..) {
        let mut next = generator(seed);
        let mut record = || -> Vec<u8> {
            let label = next(CLASSES);
            std::iter::once(label).chain((0..PIXELS).map(|_| next(256))).collect()
        };
        fs::write(folder.join(name), (0..count).flat_map(|_| record()).collect::<Vec<u8>>())?;
    }
    Ok(())
}

/// Knuth's linear congruential generator: noise that is the same everywhere.
fn generator(mut noise: u64) -> impl FnMut(u64) -> u8 {
    move |bound| {
        noise = noise.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((noise >> 40) % bound) as u8
    }
}
