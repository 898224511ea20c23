//! WebP, as Pillow turns it into RGB: alpha is dropped, and of an animation the first picture counts.

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::picture::{Fault, MOST_PIXELS, Part, Region};

type Open<'a> = WebPDecoder<Cursor<&'a [u8]>>;

/// Reads the chunks' headers.
fn open(bytes: &[u8]) -> Result<Open<'_>, Fault> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(told)?;
    decoder.set_memory_limit(4 * MOST_PIXELS as usize);
    if decoder.is_animated() {
        // libwebp's animations begin with a transparent picture, whatever background the file names.
        decoder.set_background_color([0; 4]).map_err(told)?;
    }
    Ok(decoder)
}

/// Width and height of the image.
pub(super) fn size(bytes: &[u8]) -> Result<[u32; 2], Fault> {
    open(bytes).map(|decoder| decoder.dimensions().into())
}

/// Decodes the whole image.
pub(super) fn decode(bytes: &[u8], region: Region) -> Result<Part, Fault> {
    let mut decoder = open(bytes)?;
    let mut pixels = vec![0; decoder.output_buffer_size().ok_or("is too large")?];
    decoder.read_image(&mut pixels).map_err(told)?;
    if decoder.has_alpha() {
        pixels = pixels.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    }
    Ok(Part { pixels, size: decoder.dimensions().into(), region })
}

/// The fault in words.
fn told(error: DecodingError) -> Fault {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "is cut off".to_owned()
        }
        other => format!("is not whole WebP ({other})"),
    }
}
