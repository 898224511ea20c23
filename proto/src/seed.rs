//! The named random streams of a run: the same seed and name give the same numbers on every host.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// The generator of the stream that `parts` name, for a run with `seed`.
///
/// ChaCha8 keyed by SHA-256 of the seed (8 bytes, little-endian) and of every part, each after its
/// length (8 bytes, little-endian): `rng(0, &["conv1", "weight"])` draws conv1's W.
pub fn rng(seed: u64, parts: &[&str]) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    ChaCha8Rng::from_seed(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::Rng;

    #[test]
    fn streams_differ_by_seed_and_by_every_part() {
        let first = |seed, parts: &[&str]| rng(seed, parts).next_u64();
        let streams = [
            first(0, &["conv1", "weight"]),
            first(1, &["conv1", "weight"]),
            first(0, &["conv1", "weight_backward"]),
            first(0, &["conv1weight"]),
        ];
        assert_eq!(first(0, &["conv1", "weight"]), streams[0]);
        let mut distinct = streams.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), streams.len());
    }
}
