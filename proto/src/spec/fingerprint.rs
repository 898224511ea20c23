//! The fingerprint of a node's state: its tensors' names and shapes as one number. Two nodes have the same where each could
//! restore the other's snapshots, so it tells a snapshot of another network or another cut without its numbers.

use std::hash::Hasher;
use twox_hash::XxHash3_64;

/// The fingerprint of tensors with these names and shapes, in any order.
pub fn fingerprint<'a>(tensors: impl IntoIterator<Item = (&'a str, &'a [u64])>) -> u64 {
    let mut tensors: Vec<(&str, &[u64])> = tensors.into_iter().collect();
    tensors.sort_unstable();
    let mut hash = XxHash3_64::new();
    for (name, shape) in tensors {
        // The lengths come first, so that no two lists have the same bytes.
        hash.write(&(name.len() as u64).to_le_bytes());
        hash.write(name.as_bytes());
        hash.write(&(shape.len() as u64).to_le_bytes());
        shape.iter().for_each(|size| hash.write(&size.to_le_bytes()));
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    /// A tensor's name and shape.
    type Named<'a> = (&'a str, &'a [u64]);

    #[test]
    fn names_and_shapes_count_and_their_order_does_not() {
        let of = |tensors: &[(&str, &[u64])]| fingerprint(tensors.iter().copied());
        let (a, b): (Named, Named) = (("a.weight", &[2, 3]), ("b.weight", &[3]));
        assert_eq!(of(&[a, b]), of(&[b, a]));
        let others = [
            of(&[a]),
            of(&[a, ("b.weight", &[4])]),
            of(&[a, ("b.bias", &[3])]),
            of(&[("a.weight", &[3, 2]), b]),
            of(&[]),
        ];
        assert!(others.iter().all(|other| *other != of(&[a, b])), "{others:?}");
    }
}
