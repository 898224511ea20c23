//! PNG, as Pillow turns it into RGB: alpha is dropped, palettes are looked up, and of 16 bits the high byte counts.

use std::io::Cursor;

use png::{BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, Limits, Reader, Transformations};

use super::picture::{Fault, MOST_PIXELS, Part, Region};

type Open<'a> = Reader<Cursor<&'a [u8]>>;

/// Reads the chunks before the pixels.
fn open(bytes: &[u8]) -> Result<Open<'_>, Fault> {
    let mut options = DecodeOptions::default();
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    // Pillow checks the checksum of the unpacked pixels, and not the checksum of each of their chunks.
    options.set_ignore_adler32(false);
    options.set_ignore_crc(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_limits(Limits { bytes: 8 * MOST_PIXELS as usize });
    let grey = decoder.read_header_info().map_err(told)?.color_type == ColorType::Grayscale;
    // Grey pixels of 16 bits stay as they are, since Pillow keeps them too.
    decoder.set_transformations(match grey {
        true => Transformations::EXPAND,
        false => Transformations::EXPAND | Transformations::STRIP_16,
    });
    decoder.read_info().map_err(told)
}

/// Width and height of the image.
pub(super) fn size(bytes: &[u8]) -> Result<[u32; 2], Fault> {
    let reader = open(bytes)?;
    Ok([reader.info().width, reader.info().height])
}

/// Decodes the whole image; of an animation, its first picture.
pub(super) fn decode(bytes: &[u8], region: Region) -> Result<Part, Fault> {
    let mut reader = open(bytes)?;
    let length = reader.output_buffer_size().ok_or("is too large")?;
    let mut raw = vec![0; length];
    let frame = reader.next_frame(&mut raw).map_err(told)?;
    raw.truncate(frame.buffer_size());
    let pixels = match (frame.color_type, frame.bit_depth) {
        (ColorType::Rgb, BitDepth::Eight) => raw,
        (ColorType::Rgba, BitDepth::Eight) => raw.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
        (ColorType::Grayscale, BitDepth::Eight) => raw.iter().flat_map(|&v| [v; 3]).collect(),
        (ColorType::GrayscaleAlpha, BitDepth::Eight) => raw.chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
        (ColorType::Grayscale, BitDepth::Sixteen) => {
            raw.chunks_exact(2).flat_map(|p| [clipped(p); 3]).collect()
        }
        (ColorType::GrayscaleAlpha, BitDepth::Sixteen) => {
            raw.chunks_exact(4).flat_map(|p| [clipped(p); 3]).collect()
        }
        (kind, depth) => return Err(format!("was decoded into {kind:?} of {depth:?} bits")),
    };
    Ok(Part { pixels, size: [frame.width, frame.height], region })
}

/// A grey pixel of 16 bits as Pillow's conversion makes it: cut at 255, and not scaled.
fn clipped(pair: &[u8]) -> u8 {
    if pair[0] == 0 { pair[1] } else { 255 }
}

/// The fault in words.
fn told(error: DecodingError) -> Fault {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "is cut off".to_owned()
        }
        DecodingError::LimitsExceeded => "takes more memory than an image may".to_owned(),
        other => format!("is not whole PNG ({other})"),
    }
}
