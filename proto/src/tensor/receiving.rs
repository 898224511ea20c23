//! A tensor on its way in: its bytes are copied once, into one aligned piece, and hashed while the processor's cache has
//! them.

use super::{Kind, TensorData};
use crate::error::ProtocolError;
use bytes::Bytes;
use std::hash::Hasher;
use std::sync::OnceLock;
use twox_hash::XxHash3_64;

/// The alignment of a received tensor's bytes: a line of the processor's cache, the width of its widest registers, and
/// the alignment that torch gives its own memory.
pub const ALIGNMENT: usize = 64;

/// The bytes of one tensor, as far as they have come.
pub struct Receiving {
    /// The bytes behind `pad` bytes. The vector never grows, since another place could have another alignment.
    bytes: Vec<u8>,
    pad: usize,
    want: usize,
    hash: XxHash3_64,
}

impl Receiving {
    /// Room for a tensor of `want` bytes. The system gives most of it memory only as the bytes come.
    pub fn new(want: usize) -> Self {
        let mut bytes: Vec<u8> = Vec::with_capacity(want + ALIGNMENT);
        let pad = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        bytes.resize(pad, 0);
        Self { bytes, pad, want, hash: XxHash3_64::new() }
    }

    /// The number of bytes that have come.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.pad
    }

    /// Whether no byte has come.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all bytes have come.
    pub fn is_whole(&self) -> bool {
        self.len() == self.want
    }

    /// Takes the next bytes; those beyond the wanted number are left out.
    pub fn extend(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(self.want - self.len())];
        self.extend_by(|into| into.extend_from_slice(bytes));
    }

    /// Takes the next bytes, which `copy` appends to the given vector, no more than are wanted. The copy is hashed, never
    /// its source: another process may have the source in hand.
    pub fn extend_by(&mut self, copy: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        copy(&mut self.bytes);
        self.hash.write(&self.bytes[start..]);
    }

    /// The checksum of the bytes so far.
    pub fn checksum(&self) -> u64 {
        self.hash.finish()
    }

    /// The tensor of the bytes, with its checksum.
    ///
    /// # Errors
    /// As [`TensorData::new`].
    pub fn into_tensor(self, kind: Kind, shape: Vec<u64>) -> Result<TensorData, ProtocolError> {
        let bytes = Bytes::from(self.bytes).slice(self.pad..);
        let tensor = TensorData::new(kind, shape, vec![bytes])?;
        Ok(TensorData { checksum: OnceLock::from(self.hash.finish()), ..tensor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_come_in_any_pieces_make_one_aligned_piece_with_its_checksum() {
        let whole: Vec<u8> = (0..(3 << 20) + 12_u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
        for piece in [1 << 20, 65_521, 3_000_000] {
            let mut receiving = Receiving::new(whole.len());
            for bytes in whole.chunks(piece) {
                assert!(!receiving.is_whole());
                receiving.extend(bytes);
            }
            receiving.extend(&[7; 100]);
            assert!(receiving.is_whole(), "bytes beyond the tensor are left out");
            let tensor = receiving.into_tensor(Kind::U8, vec![whole.len() as u64]).unwrap();
            let known =
                TensorData::new(Kind::U8, tensor.shape().to_vec(), vec![whole.clone().into()]).unwrap();
            assert_eq!(tensor.checksum(), known.checksum());
            let [bytes] = tensor.pieces() else { panic!("one piece") };
            assert!(bytes == &whole && bytes.as_ptr().align_offset(ALIGNMENT) == 0);
        }
        let mut torn = Receiving::new(8);
        torn.extend(&[0; 7]);
        assert!(torn.into_tensor(Kind::F32, vec![2]).is_err());
    }
}
