//! Links between processes of one host: tensors lie in shared memory, and all else travels over two sockets.
//!
//! ```text
//!          Opening: run, incarnation, call; its ring's memory, and the socket for the other direction
//! caller ───────────────────────────────────────────────────────────────────────────────────────────▶ node
//!        ◀─────────────────────────────────────────────── Opened: its ring's memory, or the refusal
//!
//! then, in each direction, on a socket of its own:
//! sender ─── Header, SlotChunk …, Header, Chunk …, End ───▶ receiver     bytes: sender ─▶ slot ─▶ receiver
//!        ◀── Released ─────────────────────────────────────
//! ```
//!
//! The node's side socket lies beside its data socket, since tonic owns all connections there. A caller goes through the
//! same registry as a call of gRPC, and is refused with the same sentences. Each direction has a socket of its own, so
//! that a port that takes nothing stops one direction alone.
//!
//! Nothing is read twice from shared memory: a receiver copies a slot's bytes first, and then checks, hashes and uses its
//! copy. So it makes no difference what the peer does to a slot meanwhile.

mod accept;
mod dial;
mod frame;
mod handshake;
mod mapping;
mod memory;
mod receiver;
mod ring;
mod sender;
mod socket;
#[cfg(test)]
mod tests;

pub use accept::take_links;
pub use dial::{collect, exchange, serve};

use crate::link::framing::CHUNK;

/// Slots of a ring. The receiver gives slots back by halves: while it copies one half, the sender fills the other.
const SLOTS: usize = 4;
/// The most slots of a peer's ring.
const MOST_SLOTS: usize = 64;
/// Bytes of a slot: a whole chunk.
const SLOT: usize = CHUNK;
/// The most bytes of a chunk that travel on the socket: a copy more costs less than a slot to give back.
const INLINE: usize = 16 << 10;
/// The most bytes of a message on a socket: room for a header's names and shapes, as on the data plane of gRPC.
const FRAME: usize = 256 << 10;
