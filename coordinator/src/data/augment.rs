//! Augmentation: random crops and flips. The crop of a sample in an epoch does not depend on its position in the batch.

use proto::seed;

use super::draw::below;

/// The augmentation of training images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Augment {
    /// The width of the black border around the image, in pixels; a crop of the image's own size is taken from the
    /// whole. 0 for no border. Black is the pixel value 0 before normalisation.
    pub pad: u32,
    /// Whether half of the images are mirrored, left to right.
    pub flip: bool,
}

/// The position of one image's crop, and whether the crop is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The crop's top edge, in rows below the image's own: −pad to pad.
    pub down: i64,
    /// The crop's left edge, in columns right of the image's own: −pad to pad.
    pub right: i64,
    /// Whether the crop is mirrored.
    pub flip: bool,
}

impl Augment {
    /// No augmentation, as in evaluation.
    pub const NONE: Augment = Augment { pad: 0, flip: false };

    /// The placement of sample `sample` (its index in the data set, from 0) in epoch `epoch`; every offset and side
    /// is equally likely. The result is a function of the arguments alone: the stream is named "augment", epoch,
    /// sample.
    pub fn place(&self, seed: u64, epoch: u64, sample: usize) -> Placement {
        if *self == Augment::NONE {
            return Placement::STRAIGHT;
        }
        let mut rng = seed::rng(seed, &["augment", &epoch.to_string(), &sample.to_string()]);
        let pad = i64::from(self.pad);
        let mut offset = || below(&mut rng, 2 * u64::from(self.pad) + 1) as i64 - pad;
        let (down, right) = (offset(), offset());
        Placement { down, right, flip: self.flip && below(&mut rng, 2) == 1 }
    }
}

impl Placement {
    /// The image without a shift or a flip.
    pub const STRAIGHT: Placement = Placement { down: 0, right: 0, flip: false };

    /// Writes one channel of an image, `width` columns wide, to `out`. `out` must be zeroed before, because the
    /// function does not write the padding.
    pub(super) fn write(self, plane: &[u8], width: usize, out: &mut [u8]) {
        let (from_rows, to_rows) = overlap(plane.len() / width, self.down);
        let (from, to) = overlap(width, self.right);
        let rows = plane.chunks_exact(width).skip(from_rows).zip(out.chunks_exact_mut(width).skip(to_rows));
        // Cells of the crop beyond the image have no partner, and keep their zeros.
        for (row, out) in rows {
            let (row, seen) = (&row[from..], width - from.max(to));
            if self.flip {
                out.iter_mut().rev().skip(to).zip(row).for_each(|(cell, &pixel)| *cell = pixel);
            } else {
                out[to..][..seen].copy_from_slice(&row[..seen]);
            }
        }
    }
}

/// The start of the overlap between a crop of `extent` cells, shifted by `by`, and its image: an index in the
/// image, and an index in the crop. Without an overlap, one of the two is `extent`, the end.
fn overlap(extent: usize, by: i64) -> (usize, usize) {
    let distance = usize::try_from(by.unsigned_abs()).unwrap_or(extent).min(extent);
    if by >= 0 { (distance, 0) } else { (0, distance) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Augment = Augment { pad: 4, flip: true };

    #[test]
    fn a_placement_depends_on_seed_epoch_and_sample() {
        let places =
            |seed, epoch| (0..100).map(|sample| USUAL.place(seed, epoch, sample)).collect::<Vec<_>>();
        assert_eq!(places(1, 2), places(1, 2));
        assert_ne!(places(1, 2), places(2, 2));
        assert_ne!(places(1, 2), places(1, 3));
        assert!((0..100).all(|sample| Augment::NONE.place(1, 2, sample) == Placement::STRAIGHT));
    }

    #[test]
    fn every_offset_and_side_is_reached() {
        let places: Vec<_> = (0..2000).map(|sample| USUAL.place(0, 0, sample)).collect();
        for offset in -4..=4 {
            assert!(
                places.iter().any(|place| place.down == offset)
                    && places.iter().any(|place| place.right == offset)
            );
        }
        assert!(places.iter().all(|place| place.down.abs() <= 4 && place.right.abs() <= 4));
        assert!((900..1100).contains(&places.iter().filter(|place| place.flip).count()));
    }

    /// A crop of the 2×3 image 1 2 3 / 4 5 6, as text.
    fn crop(down: i64, right: i64, flip: bool) -> String {
        let mut out = [0; 6];
        Placement { down, right, flip }.write(&[1, 2, 3, 4, 5, 6], 3, &mut out);
        let row = |row: &[u8]| row.iter().map(u8::to_string).collect::<String>();
        format!("{} {}", row(&out[..3]), row(&out[3..]))
    }

    #[test]
    fn crops_and_flips_as_drawn() {
        assert_eq!(crop(0, 0, false), "123 456");
        assert_eq!(crop(0, 0, true), "321 654");
        assert_eq!(crop(1, 0, false), "456 000");
        assert_eq!(crop(-1, 1, false), "000 230");
        assert_eq!(crop(0, -1, false), "012 045");
        assert_eq!(crop(0, -1, true), "210 540");
        assert_eq!(crop(-1, 2, true), "000 003");
        for (down, right) in [(2, 0), (0, 3), (-9, 0), (0, i64::MIN)] {
            assert_eq!(crop(down, right, true), "000 000");
        }
    }
}
