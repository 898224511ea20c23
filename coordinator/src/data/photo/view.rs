//! The part of a photograph that the network sees: a random crop in training, the centre otherwise.

use proto::seed;
use rand_chacha::rand_core::Rng;

use super::picture::{Fault, MOST_PIXELS, Part, Region};
use super::{crop, decode, jitter, resize};
use crate::data::draw::below;

/// The way in which a photograph becomes an input.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The side of the (square) result, in pixels.
    pub crop: u32,
    /// The length of the shorter side before the central square is taken, at least `crop`.
    pub resize: u32,
    /// The random crop; `None` for the central square.
    pub random: Option<Random>,
}

/// A random region, resized, and mirrored in half of the cases.
#[derive(Debug, Clone, PartialEq)]
pub struct Random {
    /// The least and the largest share of the image's area.
    pub area: [f64; 2],
    /// The strengths by which brightness, contrast, saturation and hue may change; `None` for no change.
    pub jitter: Option<[f64; 4]>,
    /// The seed of the run.
    pub seed: u64,
}

impl View {
    /// The same view without its random part.
    pub fn centred(&self) -> Self {
        Self { random: None, ..*self }
    }

    /// The view of the image in `bytes`: planes of red, green and blue, side × side bytes each, as sample `index` of
    /// epoch `epoch`. A random view draws from the stream "photo", epoch, index.
    ///
    /// # Errors
    /// The reason why the image cannot be decoded, as a phrase that follows the file's name.
    pub fn planes(&self, bytes: &[u8], epoch: u64, index: usize) -> Result<Vec<u8>, String> {
        let Some(random) = &self.random else {
            return centre(&decode::decode(bytes, None)?, self);
        };
        let (region, flip, mut rng) = random.look(bytes, epoch, index)?;
        let mut pixels = resize::resize(&decode::decode(bytes, Some(region))?, [self.crop; 2])?;
        if let Some(strengths) = random.jitter {
            jitter::apply(&mut pixels, strengths, &mut rng);
        }
        Ok(planes(&pixels, self.crop, flip))
    }
}

impl Random {
    /// The region that the view shows: its left and top edge, width and height, and whether it is mirrored.
    ///
    /// # Errors
    /// As those of [`View::planes`].
    pub fn region(&self, bytes: &[u8], epoch: u64, index: usize) -> Result<([u32; 4], bool), String> {
        let (Region { left, top, width, height }, flip, _) = self.look(bytes, epoch, index)?;
        Ok(([left, top, width, height], flip))
    }

    /// The region, whether it is mirrored, and the stream that goes on with the colours.
    fn look(
        &self,
        bytes: &[u8],
        epoch: u64,
        index: usize,
    ) -> Result<(Region, bool, impl Rng + use<>), Fault> {
        let mut rng = seed::rng(self.seed, &["photo", &epoch.to_string(), &index.to_string()]);
        let region = crop::random(decode::size(bytes)?, self.area, &mut rng);
        let flip = below(&mut rng, 2) == 1;
        Ok((region, flip, rng))
    }
}

/// The central square of the image, whose shorter side is resized first.
fn centre(part: &Part, view: &View) -> Result<Vec<u8>, Fault> {
    let size = crop::resized(part.size, view.resize);
    if size.iter().map(|&extent| u64::from(extent)).product::<u64>() > MOST_PIXELS {
        return Err("is too long for its width".to_owned());
    }
    let pixels = resize::resize(part, size)?;
    let Region { left, top, width, height } = crop::centre(size, view.crop);
    let row = 3 * size[0] as usize;
    let columns = 3 * left as usize..3 * (left + width) as usize;
    let rows = pixels.chunks_exact(row).skip(top as usize).take(height as usize);
    let square: Vec<u8> = rows.flat_map(|row| &row[columns.clone()]).copied().collect();
    Ok(planes(&square, view.crop, false))
}

/// Planes of red, green and blue, of pixels in rows of `side`; mirrored left to right with `flip`.
fn planes(pixels: &[u8], side: u32, flip: bool) -> Vec<u8> {
    let side = side as usize;
    let mut planes = vec![0; 3 * side * side];
    for (channel, plane) in planes.chunks_exact_mut(side * side).enumerate() {
        for (out, row) in plane.chunks_exact_mut(side).zip(pixels.chunks_exact(3 * side)) {
            let values = row.iter().skip(channel).step_by(3);
            match flip {
                true => out.iter_mut().rev().zip(values).for_each(|(out, &value)| *out = value),
                false => out.iter_mut().zip(values).for_each(|(out, &value)| *out = value),
            }
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const CENTRE: View = View { crop: 8, resize: 12, random: None };

    fn read(name: &str) -> Vec<u8> {
        fs::read(format!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos/{}"), name)).unwrap()
    }

    #[test]
    fn planes_hold_one_colour_each_and_are_mirrored_by_rows() {
        let pixels: Vec<u8> = (0..12).collect();
        assert_eq!(planes(&pixels, 2, false), [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
        assert_eq!(planes(&pixels, 2, true), [3, 0, 9, 6, 4, 1, 10, 7, 5, 2, 11, 8]);
    }

    #[test]
    fn the_centre_is_that_of_the_resized_image_and_does_not_change() {
        // 24×18 becomes 16×12, of which the columns from 4 and the rows from 2 are seen.
        let bytes = read("colour.png");
        let whole = View { crop: 18, resize: 18, ..CENTRE }.planes(&bytes, 0, 0).unwrap();
        let part = decode::decode(&bytes, None).unwrap();
        let red: Vec<u8> =
            part.pixels.chunks_exact(3 * 24).flat_map(|row| row[9..63].iter().step_by(3)).copied().collect();
        assert_eq!(whole[..18 * 18], red, "nothing is resized");
        let small = CENTRE.planes(&bytes, 0, 0).unwrap();
        assert_eq!(small.len(), 3 * 64);
        assert_eq!(CENTRE.planes(&bytes, 7, 9).unwrap(), small);
        assert!(CENTRE.planes(&read("garbage.jpg"), 0, 0).unwrap_err().contains("is no image"));
    }

    #[test]
    fn a_random_view_depends_on_seed_epoch_and_index_and_is_mirrored_half_of_the_time() {
        let bytes = read("colour-420.jpg");
        let random = |seed| View { random: Some(Random { area: [0.08, 1.0], jitter: None, seed }), ..CENTRE };
        let seen = |seed, epoch, index| random(seed).planes(&bytes, epoch, index).unwrap();
        assert_eq!(seen(1, 2, 3), seen(1, 2, 3));
        let others = [seen(2, 2, 3), seen(1, 3, 3), seen(1, 2, 4)];
        assert!(others.iter().all(|other| *other != seen(1, 2, 3)));
        // Red grows from left to right.
        let whole = View { random: Some(Random { area: [1.0, 1.0], jitter: None, seed: 0 }), ..CENTRE };
        let mirrored = (0..200).filter(|&index| {
            let planes = whole.planes(&read("colour.png"), 0, index).unwrap();
            planes[0] > planes[7]
        });
        assert!((80..120).contains(&mirrored.count()));
        let jitter =
            View { random: Some(Random { area: [0.08, 1.0], jitter: Some([0.4; 4]), seed: 1 }), ..CENTRE };
        assert_ne!(jitter.planes(&bytes, 2, 3).unwrap(), seen(1, 2, 3));
    }
}
