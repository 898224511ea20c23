//! Resizing: bilinear, with the filter as wide as the image is reduced, as Pillow does it.

use std::cell::RefCell;

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::picture::{Fault, Part};

thread_local! {
    /// Each thread's resizer, which keeps its buffers.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// The region of `part` in the size `width` × `height`, as RGB. Pixels outside of the region have no effect.
///
/// # Errors
/// A region outside of the part.
pub(super) fn resize(part: &Part, [width, height]: [u32; 2]) -> Result<Vec<u8>, Fault> {
    let wrong = |error: &dyn std::fmt::Display| format!("cannot be resized ({error})");
    let ([w, h], region) = (part.size, part.region);
    // With types of pixels, the compiler makes the kernels of one type; otherwise it makes those of thirteen.
    let source = TypedImageRef::<U8x3>::from_buffer(w, h, &part.pixels).map_err(|error| wrong(&error))?;
    let source = TypedCroppedImage::from_ref(&source, region.left, region.top, region.width, region.height)
        .map_err(|error| wrong(&error))?;
    let mut pixels = vec![0; width as usize * height as usize * 3];
    let mut out =
        TypedImage::<U8x3>::from_buffer(width, height, &mut pixels).map_err(|error| wrong(&error))?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    RESIZER
        .with_borrow_mut(|resizer| resizer.resize_typed(&source, &mut out, &options))
        .map_err(|error| wrong(&error))?;
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use super::super::picture::Region;
    use super::*;

    /// An image of 12×9 whose pixels Pillow resized too.
    fn image() -> Part {
        let pixel =
            |(x, y): (usize, usize)| [x * 37 + y * 11, x * x * 5 + y * 29, x * y * 13 + 7].map(|v| v as u8);
        let pixels = (0..9).flat_map(|y| (0..12).map(move |x| (x, y))).flat_map(pixel).collect();
        Part { pixels, size: [12, 9], region: Region::whole([12, 9]) }
    }

    /// The largest difference from Pillow's result. Pillow rounds between its two passes, and takes the rows first.
    fn worst(region: Region, due: [u8; 60]) -> u8 {
        let resized = resize(&Part { region, ..image() }, [5, 4]).unwrap();
        resized.iter().zip(due).map(|(&ours, due)| ours.abs_diff(due)).max().unwrap()
    }

    #[test]
    fn a_region_is_resized_as_pillow_crops_and_resizes_it() {
        let smaller = Region { left: 2, top: 1, width: 9, height: 8 };
        let due = [
            114, 85, 64, 172, 138, 99, 181, 152, 132, 54, 107, 146, 112, 112, 126, 134, 137, 122, 192, 180,
            139, 133, 98, 130, 74, 135, 120, 132, 109, 116, 156, 192, 161, 204, 162, 104, 79, 93, 133, 96,
            153, 114, 154, 110, 107, 175, 184, 138, 165, 89, 114, 55, 137, 117, 115, 111, 145, 173, 148, 103,
        ];
        assert!(worst(smaller, due) <= 1, "made smaller");
        let larger = Region { left: 3, top: 2, width: 3, height: 3 };
        let due = [
            133, 103, 85, 148, 117, 95, 170, 138, 111, 192, 165, 127, 207, 183, 137, 140, 121, 109, 155, 135,
            123, 177, 156, 144, 199, 183, 164, 214, 201, 178, 148, 143, 139, 163, 157, 157, 185, 178, 183,
            207, 205, 151, 222, 223, 130, 155, 161, 163, 170, 175, 184, 192, 196, 215, 214, 223, 93, 229,
            241, 11,
        ];
        assert!(worst(larger, due) <= 1, "made larger");
        assert_eq!(resize(&image(), [12, 9]).unwrap(), image().pixels);
        let outside = Region { left: 4, ..Region::whole([12, 9]) };
        assert!(resize(&Part { region: outside, ..image() }, [5, 4]).is_err());
    }
}
