//! Single pictures from the command line, as inputs of the network, with the view of test photographs.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::photo::LARGEST;
use super::source::open_regular;
use super::{DataError, Dataset, View};

/// The most pictures of one call: all are held in memory.
const MOST: usize = 1000;

/// The pictures in `files` in the shape channels × height × width; all have the label 0. The shorter side is resized to
/// `short`, and the centre is taken. A grey input is the luma of the picture (ITU-R 601-2), as Pillow's "L".
///
/// # Errors
/// Too many files, a file that cannot be read or is no picture, or a shape that pictures cannot have.
pub fn pictures(files: &[PathBuf], shape: [usize; 3], short: u32) -> Result<Dataset, DataError> {
    let [channels, height, width] = shape;
    if height != width || !matches!(channels, 1 | 3) {
        let wrong = format!("the network's inputs are {channels}×{height}×{width}");
        return Err(DataError::setting(
            wrong,
            "only square inputs, grey or of three colours, can be pictures",
        ));
    }
    if files.len() > MOST {
        let wrong = format!("--images names {} files", files.len());
        return Err(DataError::setting(
            wrong,
            format!("give up to {MOST}, or evaluate a folder as data.test"),
        ));
    }
    let view = View { crop: height as u32, resize: short, random: None };
    let mut images = Vec::with_capacity(files.len() * channels * height * width);
    for file in files {
        let wrong = |wrong: String| DataError::malformed(file, wrong, "leave it out of --images");
        let planes = view.planes(&read(file)?, 0, 0).map_err(wrong)?;
        match channels {
            1 => images.extend(grey(&planes)),
            _ => images.extend(planes),
        }
    }
    let origin = files.first().map_or(Path::new("--images"), PathBuf::as_path);
    Dataset::new(origin, shape, 1, images, vec![0; files.len()])
}

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let unreadable =
        |cause| DataError::malformed(path, format!("cannot be read ({cause})"), "leave it out of --images");
    let mut bytes = Vec::new();
    let (file, _) = open_regular(path).map_err(unreadable)?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(DataError::malformed(
            path,
            format!("has more than {LARGEST} bytes"),
            "leave it out of --images",
        )),
        false => Ok(bytes),
    }
}

/// One plane of luma, of planes of red, green and blue.
fn grey(planes: &[u8]) -> Vec<u8> {
    let plane = planes.len() / 3;
    let luma = |at: usize| {
        let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(planes[channel * plane + at]));
        // Pillow's weights, of 2¹⁶.
        ((19_595 * red + 38_470 * green + 7_471 * blue + 0x8000) >> 16) as u8
    };
    (0..plane).map(luma).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Samples;
    use super::*;
    use std::fs;

    fn photo(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/photos").join(name)
    }

    fn refusal(files: &[PathBuf], shape: [usize; 3]) -> String {
        pictures(files, shape, 18).unwrap_err().to_string()
    }

    #[test]
    fn the_centre_is_seen_in_colour_and_in_grey() {
        // 24×18 pixels of red, green and blue by Pillow: the central 18×18 begin in column 3.
        let rgb = fs::read(photo("colour.png.rgb")).unwrap();
        let seen = |channel: usize| {
            let rgb = &rgb;
            (0..18).flat_map(move |row| (3..21).map(move |column| rgb[3 * (24 * row + column) + channel]))
        };
        let planes: Vec<u8> = (0..3).flat_map(seen).collect();
        let files = [photo("colour-420.jpg"), photo("colour.png")];
        let colour = pictures(&files, [3, 18, 18], 18).unwrap();
        assert_eq!((colour.len(), &*colour.pixels(0, 1).unwrap()), (2, &planes[..]));
        let grey = pictures(&files[1..], [1, 18, 18], 18).unwrap();
        let luma = |at: usize| {
            let [red, green, blue] = [0, 1, 2].map(|channel| f64::from(planes[channel * 324 + at]));
            0.299 * red + 0.587 * green + 0.114 * blue
        };
        for (at, &value) in grey.pixels(0, 0).unwrap().iter().enumerate() {
            assert!((f64::from(value) - luma(at)).abs() < 0.51);
        }
    }

    #[test]
    fn what_is_no_picture_is_named() {
        for name in ["garbage.jpg", "empty.jpg", "truncated.png", "bomb.png", "not-there.png"] {
            let said = refusal(&[photo("colour.png"), photo(name)], [3, 18, 18]);
            assert!(said.contains(name) && said.ends_with(": leave it out of --images"), "{said}");
        }
        let said = refusal(&[photo("colour.png")], [3, 18, 20]);
        assert!(said.starts_with("the network's inputs are 3×18×20: only square"), "{said}");
        assert!(refusal(&vec![photo("colour.png"); 1001], [3, 18, 18]).contains("names 1001 files"));
    }
}
