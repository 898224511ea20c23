//! Tiny data files for tests.

use std::io::Write;

/// An idx file of images: `sizes` are count, rows and columns, whatever `pixels` holds.
pub(super) fn idx_images(sizes: [u32; 3], pixels: &[u8]) -> Vec<u8> {
    let header = [0x0000_0803, sizes[0], sizes[1], sizes[2]].map(u32::to_be_bytes).concat();
    [&header, pixels].concat()
}

/// An idx file of labels.
pub(super) fn idx_labels(labels: &[u8]) -> Vec<u8> {
    let header = [0x0000_0801, labels.len() as u32].map(u32::to_be_bytes).concat();
    [&header, labels].concat()
}

/// `bytes` as a gzip file.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
