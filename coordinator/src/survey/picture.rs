//! A picture of the first minibatch of training, as augmentation makes it: images in a grid, as a PNG file.

use crate::data::{DataError, Loader, Microbatch};

/// The most images of a picture, and the most pixels that they may have together.
const MOST: usize = 64;
const MOST_PIXELS: usize = 1 << 24;
/// The pixels between two images, and around all.
const GAP: usize = 2;

/// The picture as a PNG file, of the first of the samples `indices` in epoch 0, at least one.
///
/// # Errors
/// Samples that cannot be loaded.
pub(super) fn png(loader: &Loader, indices: &[usize]) -> Result<Vec<u8>, DataError> {
    let [_, height, width] = loader.data().shape();
    let most = (MOST_PIXELS / (height * width)).clamp(1, MOST);
    let Microbatch { shape, images, .. } = loader.load(0, &indices[..most.min(indices.len())])?;
    let (pixels, [rows, columns]) = grid(shape, &images.concat());
    Ok(encode(&pixels, [rows, columns]))
}

/// The images of N×C×H×W bytes in a white grid, as RGB pixels; returned with their numbers of rows and columns. Images
/// of other than three channels are shown by their first, in grey.
fn grid([samples, channels, height, width]: [usize; 4], images: &[u8]) -> (Vec<u8>, [usize; 2]) {
    let across = (samples as f64).sqrt().ceil() as usize;
    let down = samples.div_ceil(across);
    let [rows, columns] = [down * (height + GAP) + GAP, across * (width + GAP) + GAP];
    let mut pixels = vec![255; 3 * rows * columns];
    let plane = height * width;
    for (place, image) in images.chunks_exact(channels * plane).enumerate() {
        let [top, left] = [place / across * (height + GAP) + GAP, place % across * (width + GAP) + GAP];
        let shown = |channel| if channels == 3 { channel * plane } else { 0 };
        for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column))) {
            let at = 3 * ((top + row) * columns + left + column);
            let from = row * width + column;
            (0..3).for_each(|channel| pixels[at + channel] = image[shown(channel) + from]);
        }
    }
    (pixels, [rows, columns])
}

fn encode(pixels: &[u8], [rows, columns]: [usize; 2]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, columns as u32, rows as u32);
    encoder.set_color(png::ColorType::Rgb);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(pixels));
    written.expect("memory takes an image of its own size");
    file
}
