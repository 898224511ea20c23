//! Data sets of noise, in idx files and in CIFAR-10's, so that a bench needs no download.

use crate::run::Failure;
use std::path::Path;
use std::{fs, io};

/// Side of the images in idx files.
const SIDE: u32 = 28;
/// Bytes of a sample of CIFAR's: a label, and pixels.
const RECORD: usize = 1 + 3 * 32 * 32;
/// Classes of the labels.
const CLASSES: u64 = 10;

/// Writes so many training and test samples into a folder.
pub type Write = fn(&Path, u32, u32) -> io::Result<()>;

/// Makes `folder` anew, with so many training and test samples in it.
pub fn fresh(folder: &Path, write: Write, train: u32, test: u32) -> Result<(), Failure> {
    let empty = if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) };
    let made = empty.and_then(|()| fs::create_dir_all(folder)).and_then(|()| write(folder, train, test));
    Ok(made.map_err(|error| format!("cannot write {} ({error}): make room there", folder.display()))?)
}

/// Grey images of Fashion-MNIST's shape.
pub fn idx(folder: &Path, train: u32, test: u32) -> io::Result<()> {
    let header = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    for (split, count, seed) in [("train", train, 1), ("t10k", test, 2)] {
        let mut next = generator(seed);
        let images = (0..count * SIDE * SIDE).map(|_| next(256)).collect();
        let images = [header(&[0x803, count, SIDE, SIDE]), images].concat();
        let labels = [header(&[0x801, count]), (0..count).map(|_| next(CLASSES)).collect()].concat();
        fs::write(folder.join(format!("{split}-images-idx3-ubyte")), images)?;
        fs::write(folder.join(format!("{split}-labels-idx1-ubyte")), labels)?;
    }
    Ok(())
}

/// CIFAR-10's binary version.
pub fn cifar(folder: &Path, train: u32, test: u32) -> io::Result<()> {
    let parts = (1..=5).map(|part| (format!("data_batch_{part}.bin"), train.div_ceil(5)));
    for ((name, count), seed) in parts.chain([("test_batch.bin".to_string(), test)]).zip(1..) {
        let mut next = generator(seed);
        let bound = |at| if at % RECORD == 0 { CLASSES } else { 256 };
        let records: Vec<u8> = (0..count as usize * RECORD).map(|at| next(bound(at))).collect();
        fs::write(folder.join(name), records)?;
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
