//! A number drawn evenly from a range. The draw is written out here so that no library's update changes a
//! run.

use rand_chacha::rand_core::Rng;

/// A number in `0..bound` (0 when `bound` is 0): the high half of 64 random bits times `bound`.
///
/// The numbers are uneven by at most bound / 2⁶⁴, too little to measure. Each call takes exactly one draw, so
/// streams stay in step (Lemire, "Fast random integer generation in an interval", arXiv 1805.10941, without
/// rejection).
pub(super) fn below(rng: &mut impl Rng, bound: u64) -> u64 {
    let wide = u128::from(rng.next_u64()) * u128::from(bound);
    (wide >> 64) as u64
}

/// A number from 0 to below 1, of 53 random bits. Each call takes exactly one draw.
pub(super) fn fraction(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_below_the_bound_comes_about_equally_often() {
        let mut rng = proto::seed::rng(0, &["draw"]);
        let mut counts = [0; 9];
        (0..9000).for_each(|_| counts[below(&mut rng, 9) as usize] += 1);
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        assert_eq!(below(&mut rng, 0), 0);
    }
}
