//! Colour jitter as torchvision's `ColorJitter` applies it to Pillow's images: four changes in a random order.

use rand_chacha::rand_core::Rng;

use crate::data::draw::{below, fraction};

/// Changes brightness, contrast, saturation and hue of RGB pixels, each by a random factor within its strength.
///
/// The first three factors are even between max(0, 1 − s) and 1 + s, the shift of the hue between −s and s turns. A
/// strength of 0 still draws its number, but changes nothing.
pub(super) fn apply(pixels: &mut [u8], strengths: [f64; 4], rng: &mut impl Rng) {
    let mut order = [0, 1, 2, 3];
    for place in (1..order.len()).rev() {
        order.swap(place, below(rng, place as u64 + 1) as usize);
    }
    let amounts = [0, 1, 2, 3].map(|change| {
        let strength = strengths[change];
        let [least, most] =
            if change == 3 { [-strength, strength] } else { [(1.0 - strength).max(0.0), 1.0 + strength] };
        least + (most - least) * fraction(rng)
    });
    for change in order.into_iter().filter(|&change| strengths[change] > 0.0) {
        match change {
            0 => brightness(pixels, amounts[0] as f32),
            1 => contrast(pixels, amounts[1] as f32),
            2 => saturation(pixels, amounts[2] as f32),
            _ => hue(pixels, amounts[3]),
        }
    }
}

/// Blends with black.
fn brightness(pixels: &mut [u8], factor: f32) {
    pixels.iter_mut().for_each(|value| *value = blend(0, *value, factor));
}

/// Blends with the mean of the grey values.
fn contrast(pixels: &mut [u8], factor: f32) {
    let (sum, count) =
        pixels.chunks_exact(3).fold((0, 0), |(sum, count), pixel| (sum + u64::from(grey(pixel)), count + 1));
    let mean = (sum as f64 / f64::max(f64::from(count), 1.0) + 0.5) as u8;
    pixels.iter_mut().for_each(|value| *value = blend(mean, *value, factor));
}

/// Blends with the grey image.
fn saturation(pixels: &mut [u8], factor: f32) {
    for pixel in pixels.chunks_exact_mut(3) {
        let grey = grey(pixel);
        pixel.iter_mut().for_each(|value| *value = blend(grey, *value, factor));
    }
}

/// Turns the hue by `turns`.
fn hue(pixels: &mut [u8], turns: f64) {
    // Pillow keeps a hue in a byte, and torchvision adds the shift to it as one.
    let shift = (turns * 255.0) as i32 as u8;
    for pixel in pixels.chunks_exact_mut(3) {
        let [hue, saturation, value] = to_hsv(pixel);
        pixel.copy_from_slice(&to_rgb([hue.wrapping_add(shift), saturation, value]));
    }
}

/// Between `from` (factor 0) and `to` (factor 1), or beyond `to`; the fraction is cut off as Pillow does.
fn blend(from: u8, to: u8, factor: f32) -> u8 {
    // `as` keeps within the range of a byte.
    (f32::from(from) + factor * (f32::from(to) - f32::from(from))) as u8
}

/// The grey value of a pixel (ITU-R 601-2, in Pillow's whole numbers).
fn grey(pixel: &[u8]) -> u8 {
    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16) as u8
}

fn to_hsv(pixel: &[u8]) -> [u8; 3] {
    let [r, g, b] = [pixel[0], pixel[1], pixel[2]];
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    if most == least {
        return [0, 0, most];
    }
    let spread = f32::from(most - least);
    let [rc, gc, bc] = [r, g, b].map(|value| f32::from(most - value) / spread);
    let sixth = if r == most {
        f64::from(bc - gc)
    } else if g == most {
        2.0 + f64::from(rc) - f64::from(bc)
    } else {
        4.0 + f64::from(gc) - f64::from(rc)
    };
    // Pillow rounds to f32 between the steps.
    let turn = ((f64::from(sixth as f32) / 6.0 + 1.0) % 1.0) as f32;
    let saturation = spread / f32::from(most);
    [(f64::from(turn) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, most]
}

fn to_rgb([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    if saturation == 0 {
        return [value; 3];
    }
    let position = f64::from(f32::from(hue) as f64 as f32) * 6.0 / 255.0;
    let sector = position.floor();
    let (within, share) = ((position - sector) as f32, (f64::from(saturation) / 255.0) as f32);
    let (within, share, full) = (f64::from(within), f64::from(share), f64::from(value));
    let [p, q, t] = [1.0 - share, 1.0 - share * within, 1.0 - share * (1.0 - within)]
        .map(|part| (full * part).round() as u8);
    match sector as u8 % 6 {
        0 => [value, t, p],
        1 => [q, value, p],
        2 => [p, value, t],
        3 => [p, q, value],
        4 => [t, p, value],
        _ => [value, p, q],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIXELS: [u8; 36] = [
        0, 0, 7, 37, 5, 7, 74, 20, 7, 111, 45, 7, 148, 80, 7, 185, 125, 7, 11, 29, 7, 48, 34, 20, 85, 49, 33,
        122, 74, 46, 159, 109, 59, 196, 154, 72,
    ];

    fn changed(change: impl Fn(&mut [u8])) -> [u8; 36] {
        let mut pixels = PIXELS;
        change(&mut pixels);
        pixels
    }

    #[test]
    fn every_change_is_pillows() {
        assert_eq!(
            changed(|all| brightness(all, 1.3)),
            [
                0, 0, 9, 48, 6, 9, 96, 26, 9, 144, 58, 9, 192, 104, 9, 240, 162, 9, 14, 37, 9, 62, 44, 26,
                110, 63, 42, 158, 96, 59, 206, 141, 76, 254, 200, 93
            ]
        );
        assert_eq!(
            changed(|all| brightness(all, 0.6)),
            [
                0, 0, 4, 22, 3, 4, 44, 12, 4, 66, 27, 4, 88, 48, 4, 111, 75, 4, 6, 17, 4, 28, 20, 12, 51, 29,
                19, 73, 44, 27, 95, 65, 35, 117, 92, 43
            ]
        );
        assert_eq!(
            changed(|all| contrast(all, 1.4)),
            [
                0, 0, 0, 25, 0, 0, 76, 1, 0, 128, 36, 0, 180, 85, 0, 232, 148, 0, 0, 13, 0, 40, 20, 1, 92,
                41, 19, 144, 76, 37, 195, 125, 55, 247, 188, 74
            ]
        );
        assert_eq!(
            changed(|all| contrast(all, 0.7)),
            [
                20, 20, 25, 46, 23, 25, 71, 34, 25, 97, 51, 25, 123, 76, 25, 149, 107, 25, 27, 40, 25, 53,
                43, 34, 79, 54, 43, 105, 71, 52, 131, 96, 61, 157, 127, 70
            ]
        );
        assert_eq!(
            changed(|all| saturation(all, 1.5)),
            [
                0, 0, 10, 48, 0, 3, 93, 12, 0, 136, 37, 0, 176, 74, 0, 213, 123, 0, 6, 33, 0, 53, 32, 11, 98,
                44, 20, 140, 68, 26, 179, 104, 29, 215, 152, 29
            ]
        );
        assert_eq!(
            changed(|all| saturation(all, 0.2)),
            [
                0, 0, 2, 19, 13, 13, 42, 32, 29, 70, 57, 49, 103, 89, 75, 140, 128, 104, 19, 22, 18, 39, 36,
                33, 63, 56, 53, 92, 82, 77, 126, 116, 106, 164, 156, 140
            ]
        );
        assert_eq!(
            changed(|all| hue(all, 0.1)),
            [
                4, 0, 7, 37, 21, 5, 74, 59, 7, 111, 105, 7, 133, 148, 8, 141, 185, 7, 7, 29, 16, 46, 48, 20,
                85, 79, 33, 122, 118, 46, 151, 159, 59, 165, 196, 72
            ]
        );
        assert_eq!(
            changed(|all| hue(all, -0.3)),
            [
                0, 7, 1, 10, 5, 37, 36, 7, 74, 68, 7, 111, 113, 8, 148, 166, 7, 185, 29, 8, 7, 40, 20, 48,
                61, 33, 85, 91, 46, 122, 132, 59, 159, 183, 72, 196
            ]
        );
        assert_eq!(
            changed(|all| hue(all, 0.5)),
            [
                7, 7, 0, 5, 37, 34, 7, 62, 74, 7, 76, 111, 8, 77, 148, 7, 70, 185, 25, 7, 29, 20, 35, 48, 33,
                70, 85, 46, 96, 122, 59, 111, 159, 72, 116, 196
            ]
        );
    }

    #[test]
    fn strengths_of_zero_change_nothing_and_others_depend_on_the_stream() {
        let jittered = |strengths, part: &str| {
            changed(|all| apply(all, strengths, &mut proto::seed::rng(0, &["jitter", part])))
        };
        assert_eq!(jittered([0.0; 4], "a"), PIXELS);
        let strong = [0.4, 0.4, 0.4, 0.1];
        assert_eq!(jittered(strong, "a"), jittered(strong, "a"));
        assert_ne!(jittered(strong, "a"), jittered(strong, "b"));
    }
}
