//! JPEG by libjpeg-turbo, which decodes little more than the region that is asked for (the feature `turbojpeg`).
//!
//! All calls into C are here: no other module of the coordinator may contain `unsafe`.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use turbojpeg_sys as turbo;

use super::picture::{Part, Region};

/// The left edge of the decoded part must be at a unit of the compressed image. A unit is at most this wide.
const UNIT: u32 = 32;
/// Pixels around the region on which its colours depend: colours of a coarser grid are interpolated from one neighbour
/// on each side, and the grid is at most four pixels wide.
const MARGIN: u32 = 4;

/// An instance of the library for decoding. Each is used by one thread.
struct Decoder(*mut c_void);

impl Decoder {
    fn new() -> Option<Self> {
        // SAFETY: the function takes a number alone, and returns a pointer that is ours, or null.
        let handle = unsafe { turbo::tj3Init(turbo::TJINIT_TJINIT_DECOMPRESS as c_int) };
        (!handle.is_null()).then_some(Self(handle))
    }

    /// Limits the scans of a progressive file.
    fn limit_scans(&mut self, scans: usize) -> Option<()> {
        let (limit, scans) = (turbo::TJPARAM_TJPARAM_SCANLIMIT as c_int, scans as c_int);
        // SAFETY: the handle is valid until it is dropped, and the function takes numbers besides.
        done(unsafe { turbo::tj3Set(self.0, limit, scans) })
    }

    /// Reads the header, and returns the image's width and height.
    fn read_header(&mut self, bytes: &[u8]) -> Option<[u32; 2]> {
        // SAFETY: the handle is valid; the library reads no more than `len` bytes of the file, and keeps no pointer.
        done(unsafe { turbo::tj3DecompressHeader(self.0, bytes.as_ptr(), bytes.len() as _) })?;
        let names = [turbo::TJPARAM_TJPARAM_JPEGWIDTH, turbo::TJPARAM_TJPARAM_JPEGHEIGHT];
        // SAFETY: the handle is valid, and the function takes a number besides.
        let [width, height] = names.map(|name| unsafe { turbo::tj3Get(self.0, name as c_int) });
        Some([u32::try_from(width).ok()?, u32::try_from(height).ok()?])
    }

    /// Decodes a rectangle of the image whose header was read, as RGB. The library refuses one that leaves the image,
    /// or whose left edge is not at a unit.
    fn decode(&mut self, bytes: &[u8], part: Region) -> Option<Vec<u8>> {
        let [x, y, w, h] =
            [part.left, part.top, part.width, part.height].map(|edge| c_int::try_from(edge).ok());
        let region = turbo::tjregion { x: x?, y: y?, w: w?, h: h? };
        // SAFETY: the handle is valid, and the function takes numbers besides.
        done(unsafe { turbo::tj3SetCroppingRegion(self.0, region) })?;
        let row = 3 * region.w;
        let mut pixels = vec![0; 3 * part.width as usize * part.height as usize];
        let (file, out, rgb) = (bytes.as_ptr(), pixels.as_mut_ptr(), turbo::TJPF_TJPF_RGB as c_int);
        // SAFETY: the handle is valid. The library reads no more than `len` bytes of the file. It writes the rows of
        // the region that was just set, `h` rows of `w` pixels of 3 bytes, one every `row` bytes: as many bytes as
        // `pixels` has. It keeps none of the pointers.
        done(unsafe { turbo::tj3Decompress8(self.0, file, bytes.len() as _, out, row, rgb) })?;
        Some(pixels)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the handle came from tj3Init, and nobody uses it any more.
        unsafe { turbo::tj3Destroy(self.0) }
    }
}

/// Whether the library reports success. Warnings count as failures.
fn done(code: c_int) -> Option<()> {
    (code == 0).then_some(())
}

/// The part of the image in `bytes`, of this size and of one or three colours, that holds `region`.
///
/// `None` if the library refuses the file or warns of it. The decoder without C then decides, so that a file is broken
/// under both decoders or under none.
pub(super) fn decode(bytes: &[u8], size: [u32; 2], region: Region, scans: usize) -> Option<Part> {
    let mut decoder = Decoder::new()?;
    decoder.limit_scans(scans)?;
    if decoder.read_header(bytes)? != size {
        return None;
    }
    let left = region.left.saturating_sub(MARGIN) / UNIT * UNIT;
    let right = (region.left + region.width + MARGIN).min(size[0]);
    let part = Region { left, width: right - left, ..region };
    let pixels = decoder.decode(bytes, part)?;
    let region = Region { left: region.left - left, top: 0, ..region };
    Some(Part { pixels, size: [part.width, part.height], region })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(name: &str) -> Vec<u8> {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/photos").join(name)).unwrap()
    }

    /// The pixels of a part's region.
    fn cut(Part { pixels, size, region }: &Part) -> Vec<u8> {
        let [left, width] = [region.left, region.width].map(|edge| 3 * edge as usize);
        let rows = pixels.chunks_exact(3 * size[0] as usize);
        let rows = rows.skip(region.top as usize).take(region.height as usize);
        rows.flat_map(|row| &row[left..left + width]).copied().collect()
    }

    fn check(name: &str, size: [u32; 2]) {
        let bytes = read(name);
        let whole = decode(&bytes, size, Region::whole(size), 100).unwrap();
        assert!(cut(&whole) == read(&format!("{name}.rgb")), "{name} is not what Pillow makes of it");
        let step = 1 + size[0] as usize / 16;
        for left in (0..size[0]).step_by(step) {
            for top in (0..size[1]).step_by(step) {
                let [width, height] = [(size[0] - left).div_ceil(2), (size[1] - top).div_ceil(3)];
                let region = Region { left, top, width, height };
                let part = decode(&bytes, size, region, 100).unwrap();
                let same = cut(&part) == cut(&Part { pixels: whole.pixels.clone(), size, region });
                assert!(same, "{name}: {region:?} depends on what is decoded around it");
            }
        }
    }

    #[test]
    fn a_region_has_the_pixels_of_the_whole_image_and_of_pillow() {
        for name in ["colour-444.jpg", "colour-422.jpg", "colour-420.jpg", "progressive.jpg", "restart.jpg"] {
            check(name, [24, 18]);
        }
        for name in ["grey.jpg", "grey-sampled.jpg", "adobe-rgb.jpg", "trailing.jpg"] {
            check(name, [24, 18]);
        }
        check("colour-440.jpg", [16, 32]);
        check("odd-size.jpg", [23, 17]);
        check("wide.jpg", [97, 41]);
    }

    #[test]
    fn a_file_that_libjpeg_warns_of_is_left_to_the_other_decoder() {
        for name in ["truncated.jpg", "no-end.jpg", "cmyk.jpg", "colour.png", "garbage.jpg"] {
            assert_eq!(decode(&read(name), [24, 18], Region::whole([24, 18]), 100), None, "{name}");
        }
        let bytes = read("colour-420.jpg");
        assert_eq!(decode(&bytes, [24, 17], Region::whole([24, 17]), 100), None, "another size");
        let outside = Region { left: 8, top: 0, width: 17, height: 18 };
        assert_eq!(decode(&bytes, [24, 18], outside, 100), None, "a region that leaves the image");
    }
}
