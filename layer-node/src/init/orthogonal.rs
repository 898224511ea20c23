//! Orthogonal matrices, drawn uniformly: the Q of the QR factorisation of normal numbers, in which the diagonal of R is
//! positive. All arithmetic is in f64 and in a fixed order, so that no library and no device decides a bit.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// The number of sums that a dot product keeps at a time.
const LANES: usize = 8;

/// An orthogonal matrix of `side` rows in their order, by modified Gram-Schmidt over the rows. The time grows with the cube
/// of `side`.
pub fn orthogonal(rng: &mut impl Rng, side: usize) -> Vec<f64> {
    let mut matrix: Vec<f64> = (0..side * side).map(|_| StandardNormal.sample(rng)).collect();
    for at in 0..side {
        let (above, rest) = matrix.split_at_mut(at * side);
        let row = &mut rest[..side];
        for other in above.chunks_exact(side) {
            let shared = dot(other, row);
            row.iter_mut().zip(other).for_each(|(number, other)| *number -= shared * other);
        }
        let norm = dot(row, row).sqrt();
        row.iter_mut().for_each(|number| *number /= norm);
    }
    matrix
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::seed;

    #[test]
    fn the_rows_are_orthonormal_and_follow_from_the_seed() {
        let drawn = |seed, side| orthogonal(&mut seed::rng(seed, &["it"]), side);
        for side in [1, 2, 13, 64] {
            let matrix = drawn(1, side);
            for (i, row) in matrix.chunks(side).enumerate() {
                for (j, other) in matrix.chunks(side).enumerate() {
                    let due = if i == j { 1.0 } else { 0.0 };
                    assert!((dot(row, other) - due).abs() < 1e-12, "{side}: {i} {j}");
                }
            }
            assert_eq!(matrix, drawn(1, side));
            assert!(side == 1 || matrix != drawn(2, side));
        }
    }
}
