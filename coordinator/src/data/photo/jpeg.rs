//! JPEG, as libjpeg reads it for Pillow: the colours of a file by libjpeg's rules, and the pixels by zune-jpeg.
//!
//! With the feature `turbojpeg`, libjpeg-turbo decodes the files that it neither refuses nor warns of, and zune-jpeg
//! the rest.

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::picture::{Fault, Part, Region};

/// The most scans of a progressive file. libjpeg writes about ten.
const MOST_SCANS: usize = 100;

/// The contents of the segments before the first scan.
#[derive(Default)]
struct Header {
    size: [u32; 2],
    components: u8,
    /// Whether the channels are called R, G and B; zune-jpeg then takes them for RGB.
    named_rgb: bool,
    /// Whether a JFIF segment says that the colours are YCbCr.
    jfif: bool,
    /// The position in the file of the byte of Adobe's segment that names the colours.
    transform: Option<usize>,
    /// The position of the first scan.
    scan: usize,
}

impl Header {
    /// Reads the segments up to the first scan.
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let mut header = Header::default();
        let mut at = 2;
        loop {
            let marker = next_marker(bytes, &mut at)?;
            let cut = || "ends within its header".to_owned();
            let length = usize::from(number(bytes, at).ok_or_else(cut)?);
            let segment = bytes.get(at + 2..at + length.max(2)).ok_or_else(cut)?;
            match (marker, segment) {
                (0xe0, [b'J', b'F', b'I', b'F', 0, ..]) => header.jfif = true,
                (0xee, [b'A', b'd', b'o', b'b', b'e', ..]) if segment.len() >= 12 => {
                    header.transform = Some(at + 2 + 11);
                }
                (0xc0..=0xc2, [8, rest @ ..]) if rest.len() >= 5 => {
                    let [height, width] = [0, 2].map(|at| number(rest, at).unwrap_or(0).into());
                    (header.size, header.components) = ([width, height], rest[4]);
                    header.named_rgb = rest[5..].iter().step_by(3).eq(b"RGB");
                }
                (0xc0..=0xc2, [precision, ..]) => {
                    return Err(format!("is a JPEG file of {precision} bits: only those of 8 are decoded"));
                }
                (0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf, _) => {
                    return Err(
                        "is lossless, hierarchical or arithmetic JPEG, which is not decoded".to_owned()
                    );
                }
                (0xda, _) => {
                    header.scan = at;
                    return header.checked();
                }
                _ => {}
            }
            at += length.max(2);
        }
    }

    /// The header, if it is of an image whose colours are known.
    fn checked(self) -> Result<Self, Fault> {
        match self.components {
            0 => Err("has no frame before its first scan".to_owned()),
            1 | 3 | 4 => Ok(self),
            other => Err(format!("has {other} colour channels")),
        }
    }
}

/// The marker at or after `at`, which moves behind it. Like libjpeg, this skips bytes between segments.
fn next_marker(bytes: &[u8], at: &mut usize) -> Result<u8, Fault> {
    loop {
        let found = bytes.get(*at..).and_then(|rest| {
            rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))
        });
        *at += found.ok_or("ends before its first scan")? + 2;
        match bytes[*at - 1] {
            0xd9 => return Err("ends before its first scan".to_owned()),
            // Markers without a segment.
            0x01 | 0xd0..=0xd8 => {}
            marker => return Ok(marker),
        }
    }
}

/// The number of 16 bits at `at`.
fn number(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

/// Width and height of the image.
pub(super) fn size(bytes: &[u8]) -> Result<[u32; 2], Fault> {
    Header::read(bytes).map(|header| header.size)
}

/// Decodes the whole image, or with the feature `turbojpeg` little more than the region.
pub(super) fn decode(bytes: &[u8], region: Region) -> Result<Part, Fault> {
    let header = Header::read(bytes)?;
    // Pillow refuses a file without the marker of its end, and within the scans this marker has no other meaning.
    if !bytes[header.scan..].windows(2).rev().any(|pair| pair == [0xff, 0xd9]) {
        return Err("is cut off".to_owned());
    }
    #[cfg(feature = "turbojpeg")]
    if matches!(header.components, 1 | 3)
        && let Some(part) = super::turbo::decode(bytes, header.size, region, MOST_SCANS)
    {
        return Ok(part);
    }
    let transform = header.transform.map(|at| bytes[at]);
    // Three channels are YCbCr for libjpeg, unless Adobe's segment says otherwise and no JFIF segment contradicts it.
    // zune-jpeg would take them for CMYK then, so it is told that they are YCbCr, and asked not to convert them.
    let pixels = match (header.components, header.jfif, transform) {
        _ if header.named_rgb => run(bytes, ColorSpace::RGB),
        (3, false, Some(0)) => run(&with_transform(bytes, &header, 1), ColorSpace::YCbCr),
        (3, true, Some(0)) => run(&with_transform(bytes, &header, 1), ColorSpace::RGB),
        _ => run(bytes, ColorSpace::RGB),
    };
    Ok(Part { pixels: pixels?, size: header.size, region })
}

/// The file with another byte in Adobe's segment.
fn with_transform(bytes: &[u8], header: &Header, transform: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(at) = header.transform {
        bytes[at] = transform;
    }
    bytes
}

/// Decodes into pixels of the colours `out`, which have three channels.
fn run(bytes: &[u8], out: ColorSpace) -> Result<Vec<u8>, Fault> {
    let options = DecoderOptions::default()
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .set_strict_mode(true)
        .jpeg_set_max_scans(MOST_SCANS)
        .jpeg_set_out_colorspace(out);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options).decode().map_err(|error| told(&error))
}

/// The fault in words.
fn told(error: &DecodeErrors) -> Fault {
    match error {
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => "is cut off".to_owned(),
        DecodeErrors::FormatStatic("Premature end of buffer") => "is cut off".to_owned(),
        other => {
            let why: String = format!("{other:?}").chars().filter(|c| !c.is_control()).take(120).collect();
            format!("is not whole JPEG ({why})")
        }
    }
}
