//! Hash chains over messages. Anyone who has the messages can compute them: `docs/locality.md` has the layout.

use crate::link::Carried;
use crate::microbatch::{MicrobatchHeader, Phase};
use crate::tensor::{Block, Kind};
use sha2::{Digest, Sha256};
use std::fmt;
use twox_hash::XxHash3_64;

/// The first bytes that a chain hashes: the version of the layout.
const SEED: &[u8] = b"neuropil-ledger-1";

/// A SHA-256 chain: the hash after a message is SHA-256 of the hash before it, followed by the message's fields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Chain(pub [u8; 32]);

impl Default for Chain {
    /// The hash before the first message.
    fn default() -> Self {
        Self(Sha256::digest(SEED).into())
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The header of a message of a link, as a chain hashes it.
pub struct ChainedHeader<'a> {
    /// Activations, error signals or values of a layer.
    pub carried: Carried,
    /// The header.
    pub header: &'a MicrobatchHeader,
    /// Whether the run and its start are hashed. The chain of all messages hashes them. The chain of consumed messages
    /// does not, so that it is the same for every start and run of one configuration.
    pub with_run: bool,
    /// Name, number format, shape and XXH3-64 of each tensor.
    pub tensors: Vec<(&'a str, Kind, &'a [u64], u64)>,
}

impl Chain {
    /// Adds a message of a link.
    pub fn link(&mut self, message: &ChainedHeader<'_>) {
        let ChainedHeader { carried, header, with_run, tensors } = message;
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update([match carried {
            Carried::Activations => 1,
            Carried::ErrorSignals => 2,
            Carried::LayerValues => 3,
        }]);
        let (run, incarnation) = if *with_run { (header.run.as_str(), header.incarnation) } else { ("", 0) };
        text(&mut hash, run);
        hash.update(incarnation.to_le_bytes());
        hash.update(header.id.step.to_le_bytes());
        hash.update([match header.phase {
            Phase::Train => 1,
            Phase::Evaluate => 2,
        }]);
        for number in [header.minibatch, header.microbatches, header.id.index, header.offset, header.size] {
            hash.update(number.to_le_bytes());
        }
        count(&mut hash, tensors.len());
        for (name, kind, shape, checksum) in tensors {
            text(&mut hash, name);
            hash.update([match kind {
                Kind::F32 => 1,
                Kind::Bf16 => 2,
                Kind::F16 => 3,
                Kind::U8 => 4,
                Kind::Int8(Block::Of32) => 5,
                Kind::Int8(Block::Of64) => 6,
                Kind::Int8(Block::Of128) => 7,
                Kind::Int8(Block::Of256) => 8,
                Kind::Int8(Block::Of512) => 9,
                Kind::Int8(Block::Of1024) => 10,
            }]);
            count(&mut hash, shape.len());
            shape.iter().for_each(|size| hash.update(size.to_le_bytes()));
            hash.update(checksum.to_le_bytes());
        }
        self.0 = hash.finalize().into();
    }

    /// Adds a message of a control plane, by its protobuf bytes.
    pub fn control(&mut self, message: &[u8]) {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update((message.len() as u64).to_le_bytes());
        hash.update(XxHash3_64::oneshot(message).to_le_bytes());
        self.0 = hash.finalize().into();
    }
}

/// Hashes a length as a u32, little-endian. Every length of a message that kept its contract is far below 2³².
fn count(hash: &mut Sha256, length: usize) {
    hash.update((length as u32).to_le_bytes());
}

fn text(hash: &mut Sha256, text: &str) {
    count(hash, text.len());
    hash.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::microbatch::MicrobatchId;

    fn header() -> MicrobatchHeader {
        MicrobatchHeader {
            run: "run".into(),
            incarnation: 7,
            phase: Phase::Train,
            id: MicrobatchId { step: 3, index: 1 },
            minibatch: 8,
            microbatches: 2,
            offset: 4,
            size: 4,
            form: 0,
        }
    }

    /// The expected hashes come from `hashlib` and `xxhash` of Python, by the layout in `docs/locality.md`.
    #[test]
    fn the_layout_is_that_of_the_document() {
        let header = header();
        let mut chain = Chain::default();
        assert_eq!(chain.to_string(), "01be9d85b3b1e3f7063f73117ad55282b55a2afdafecea9fbc5a975a14b519e1");
        let shape = [4, 2];
        let tensors = vec![("conv1", Kind::Bf16, &shape[..], 0x0123_4567_89ab_cdef)];
        chain.link(&ChainedHeader {
            carried: Carried::Activations,
            header: &header,
            with_run: true,
            tensors,
        });
        assert_eq!(chain.to_string(), "058b67eb3f82b0828327496ca6c319fb812ace42cdcdd8c07ad2207842e0597a");
        let done = ChainedHeader {
            carried: Carried::ErrorSignals,
            header: &header,
            with_run: false,
            tensors: vec![],
        };
        chain.link(&done);
        assert_eq!(chain.to_string(), "b7d06c9299f89b51e63b4bd566fea47d5fd35ea9009ba54bf84e1d01b11b6eb6");
        chain.control(b"abc");
        assert_eq!(chain.to_string(), "f7e34841776f72e8e772fb13555896a10d5b11e425dd2869324d8a9cd437e154");
    }
}
