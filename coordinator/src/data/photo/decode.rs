//! The decoder: from the bytes of a file to the RGB pixels of a region. The content decides the format, not the name.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::picture::{Fault, MOST_PIXELS, Part, Region};
use super::{jpeg, png, webp};

/// The formats that are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Jpeg,
    Png,
    WebP,
}

/// Width and height of the image in `bytes`, at least 1 each, and together no more than `MOST_PIXELS` pixels.
///
/// # Errors
/// Bytes that are no image, or an image that is too large.
pub(super) fn size(bytes: &[u8]) -> Result<[u32; 2], Fault> {
    let read = match format(bytes)? {
        Format::Jpeg => jpeg::size,
        Format::Png => png::size,
        Format::WebP => webp::size,
    };
    let [width, height] = contained(|| read(bytes))?;
    match u64::from(width) * u64::from(height) {
        0 => Err(format!("declares an image of {width}×{height} pixels")),
        pixels if pixels > MOST_PIXELS => {
            Err(format!("declares {width}×{height} pixels, more than {MOST_PIXELS}"))
        }
        _ => Ok([width, height]),
    }
}

/// Decodes the image in `bytes` as Pillow's `convert("RGB")` would, at least as far as `region` (`None` for all of
/// it) needs it. The region must lie within the image.
///
/// # Errors
/// Bytes that are no whole image of a supported format.
pub(super) fn decode(bytes: &[u8], region: Option<Region>) -> Result<Part, Fault> {
    let size = size(bytes)?;
    let read = match format(bytes)? {
        Format::Jpeg => jpeg::decode,
        Format::Png => png::decode,
        Format::WebP => webp::decode,
    };
    let part = contained(|| read(bytes, region.unwrap_or_else(|| Region::whole(size))))?;
    let [width, height] = part.size.map(|extent| extent as usize);
    match part.pixels.len() == 3 * width * height {
        true => Ok(part),
        false => Err("was decoded into an image of another size".to_owned()),
    }
}

/// The format of `bytes`.
fn format(bytes: &[u8]) -> Result<Format, Fault> {
    let other = |name: &str| Err(format!("is a {name} file: only JPEG, PNG and WebP are decoded"));
    match bytes {
        [] => Err("is empty".to_owned()),
        [0xff, 0xd8, 0xff, ..] => Ok(Format::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Format::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Format::WebP),
        [b'G', b'I', b'F', b'8', ..] => other("GIF"),
        [b'B', b'M', ..] => other("BMP"),
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => other("TIFF"),
        [b'P', b'1'..=b'6', white, ..] if white.is_ascii_whitespace() => other("PNM"),
        _ => Err("is no image".to_owned()),
    }
}

/// Runs a decoder. A decoder that panics at a malformed file counts as an error of the file.
fn contained<T>(decoder: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(decoder)).unwrap_or_else(|_| Err("makes its decoder panic".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A line of the list of pictures, which scripts/odd_images.py wrote with Pillow.
    #[derive(serde::Deserialize)]
    struct Picture {
        file: String,
        outcome: String,
        #[serde(default)]
        width: u32,
        #[serde(default)]
        height: u32,
    }

    fn pictures() -> Vec<(Picture, Vec<u8>)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos/");
        let list = fs::read(format!("{folder}manifest.json")).unwrap();
        let list: Vec<Picture> = serde_json::from_slice(&list).unwrap();
        let read = |picture: Picture| {
            let bytes = fs::read(format!("{folder}{}", picture.file)).unwrap();
            (picture, bytes)
        };
        list.into_iter().map(read).collect()
    }

    #[test]
    fn every_odd_picture_is_what_pillow_makes_of_it_or_is_refused_with_a_reason() {
        let mut faults = Vec::new();
        for (picture, bytes) in pictures() {
            let (file, decoded) = (&picture.file, decode(&bytes, None));
            let due = fs::read(format!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos/{}.rgb"), file));
            match (&*picture.outcome, decoded) {
                ("exact" | "near", Ok(part)) => {
                    let (due, size) = (due.unwrap(), [picture.width, picture.height]);
                    let differences = part.pixels.iter().zip(&due).map(|(&a, &b)| a.abs_diff(b));
                    let worst = differences.clone().max().unwrap();
                    let mean = differences.map(f64::from).sum::<f64>() / due.len() as f64;
                    println!("{file}: mean {mean:.3}, worst {worst}");
                    let near = if picture.outcome == "exact" { worst == 0 } else { mean < 1.5 };
                    if (part.size, part.pixels.len()) != (size, due.len()) || !near {
                        faults.push(format!("{file}: {:?}, mean {mean:.3}, worst {worst}", part.size));
                    }
                }
                ("error" | "refused", Err(fault)) => println!("{file} {fault}"),
                (due, other) => {
                    faults.push(format!("{file}: {:?} is due to be {due}", other.map(|part| part.size)))
                }
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn a_damaged_picture_is_decoded_into_its_size_or_refused() {
        use crate::data::draw::below;
        let mut rng = proto::seed::rng(0, &["damage"]);
        for (picture, whole) in pictures().into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
            for _ in 0..30 {
                let mut bytes = whole.clone();
                for _ in 0..=below(&mut rng, 3) {
                    let at = below(&mut rng, bytes.len() as u64) as usize;
                    bytes[at] = below(&mut rng, 256) as u8;
                }
                bytes.truncate(
                    whole.len() - (below(&mut rng, 2) * below(&mut rng, whole.len() as u64)) as usize,
                );
                match (size(&bytes), decode(&bytes, None)) {
                    (Ok(size), Ok(part)) => assert_eq!(part.size, size, "{}", picture.file),
                    (_, Err(fault)) => assert!((5..400).contains(&fault.len()), "{}: {fault}", picture.file),
                    (Err(fault), Ok(_)) => panic!("{} {fault}, and is decoded", picture.file),
                }
            }
        }
    }
}
