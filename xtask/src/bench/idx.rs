//! A data set of noise in idx files, so that a bench needs no download.

use std::fs;
use std::io;
use std::path::Path;

/// Side of the images.
const SIDE: u32 = 28;
/// Classes of the labels.
const CLASSES: u64 = 10;

/// Writes `train` and `test` images with labels into `folder`.
///
/// # Errors
/// When the disk says no.
pub fn write(folder: &Path, train: u32, test: u32) -> io::Result<()> {
    for (split, count, seed) in [("train", train, 1_u64), ("t10k", test, 2)] {
        let mut noise = seed;
        let mut next = move |bound: u64| {
            // Knuth's linear congruential generator: noise that is the same everywhere.
            noise = noise.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((noise >> 40) % bound) as u8
        };
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
