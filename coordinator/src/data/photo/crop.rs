//! The region that a view shows: torchvision's random resized crop, or the central square.

use rand_chacha::rand_core::Rng;

use super::picture::Region;
use crate::data::draw::{below, fraction};

/// How often a random crop is drawn before the central one is taken.
const TRIES: usize = 10;
/// The range of width / height.
const RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];

/// A region of a share of the image's area within `area`, and of a width and height whose ratio is log-uniform from
/// 3/4 to 4/3 (torchvision's `RandomResizedCrop`; Szegedy et al., "Going Deeper with Convolutions", arXiv 1409.4842).
pub(super) fn random([width, height]: [u32; 2], area: [f64; 2], rng: &mut impl Rng) -> Region {
    let whole = f64::from(width) * f64::from(height);
    let [narrow, wide] = RATIO.map(f64::ln);
    for _ in 0..TRIES {
        let target = whole * between(area, rng);
        let ratio = between([narrow, wide], rng).exp();
        let [w, h] = [target * ratio, target / ratio].map(|square| square.sqrt().round_ties_even() as u32);
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let top = below(rng, u64::from(height - h) + 1) as u32;
            let left = below(rng, u64::from(width - w) + 1) as u32;
            return Region { left, top, width: w, height: h };
        }
    }
    fallback([width, height])
}

/// The central region of an image that is too long for the ratios; it has the whole shorter side.
fn fallback([width, height]: [u32; 2]) -> Region {
    let ratio = f64::from(width) / f64::from(height);
    let [w, h] = if ratio < RATIO[0] {
        [width, (f64::from(width) / RATIO[0]).round_ties_even() as u32]
    } else if ratio > RATIO[1] {
        [(f64::from(height) * RATIO[1]).round_ties_even() as u32, height]
    } else {
        [width, height]
    };
    let [w, h] = [w.clamp(1, width), h.clamp(1, height)];
    Region { left: (width - w) / 2, top: (height - h) / 2, width: w, height: h }
}

/// The size of the whole image once its shorter side is `side` (torchvision's `Resize`).
pub(super) fn resized([width, height]: [u32; 2], side: u32) -> [u32; 2] {
    // An image of one row and millions of columns would be too long for a u32; the view refuses such an image.
    let long = |short: u32, long: u32| {
        u32::try_from(u64::from(side) * u64::from(long) / u64::from(short)).unwrap_or(u32::MAX)
    };
    if width <= height { [side, long(width, height)] } else { [long(height, width), side] }
}

/// The central square of `side` pixels (torchvision's `CenterCrop`, which rounds halves to even).
pub(super) fn centre([width, height]: [u32; 2], side: u32) -> Region {
    let start = |extent: u32| (f64::from(extent.saturating_sub(side)) / 2.0).round_ties_even() as u32;
    Region { left: start(width), top: start(height), width: side.min(width), height: side.min(height) }
}

fn between([least, most]: [f64; 2], rng: &mut impl Rng) -> f64 {
    least + (most - least) * fraction(rng)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(size: [u32; 2], area: [f64; 2]) -> Vec<Region> {
        (0..2000).map(|n| random(size, area, &mut proto::seed::rng(0, &["crop", &n.to_string()]))).collect()
    }

    #[test]
    fn random_regions_have_the_areas_and_ratios_of_their_ranges() {
        let all = regions([500, 375], [0.08, 1.0]);
        let area = |region: &Region| f64::from(region.width * region.height) / (500.0 * 375.0);
        let ratio = |region: &Region| f64::from(region.width) / f64::from(region.height);
        assert!(
            all.iter().all(|region| region.left + region.width <= 500 && region.top + region.height <= 375)
        );
        assert!(all.iter().all(|region| (0.078..=1.0).contains(&area(region))));
        assert!(all.iter().all(|region| (0.74..=1.35).contains(&ratio(region))));
        // Evenly distributed areas would have the mean 0.54, but the largest often do not fit and are drawn anew: the
        // same draws in Python have the mean 0.433, and 0.58 of them are wider than high.
        let mean = all.iter().map(area).sum::<f64>() / 2000.0;
        assert!((0.42..0.45).contains(&mean), "{mean}");
        let wide = all.iter().filter(|region| region.width > region.height).count();
        assert!((1090..1220).contains(&wide), "{wide} of 2000 are wider than high");
        assert!(all.iter().any(|region| region.left == 0) && all.iter().any(|region| region.top > 200));
        assert_eq!(random([1, 1], [0.08, 1.0], &mut proto::seed::rng(0, &[])), Region::whole([1, 1]));
    }

    #[test]
    fn where_no_region_fits_the_centre_is_taken() {
        let tall = Region { left: 0, top: 483, width: 25, height: 33 };
        assert!(regions([25, 1000], [0.9, 1.0]).iter().all(|&region| region == tall));
        let long = Region { left: 483, top: 0, width: 33, height: 25 };
        assert!(regions([1000, 25], [0.9, 1.0]).iter().all(|&region| region == long));
        assert_eq!(fallback([40, 40]), Region::whole([40, 40]));
    }

    #[test]
    fn the_central_square_is_torchvisions() {
        assert_eq!(resized([500, 375], 256), [341, 256]);
        assert_eq!(resized([375, 500], 256), [256, 341]);
        assert_eq!(resized([256, 256], 256), [256, 256]);
        assert_eq!(resized([1 << 24, 1], 256), [u32::MAX, 256], "2³² columns are no 0");
        // (341 - 224) / 2 is 58.5, which Python rounds to 58; 119 / 2 becomes 60.
        assert_eq!(centre([341, 256], 224), Region { left: 58, top: 16, width: 224, height: 224 });
        assert_eq!(centre([343, 256], 224).left, 60);
    }
}
