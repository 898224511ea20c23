//! Both ends of a ring of slots. The sender fills the slots in turn, and the receiver gives them back in turn.

use super::mapping::Mapping;
use super::memory::Memory;
use super::{SLOT, SLOTS};
use crate::error::ProtocolError;
use crate::wire;
use std::io;

/// The most bytes that a receiver copies at a time: they are hashed while the processor's cache has them.
const PIECE: usize = 128 << 10;

/// The sender's end.
pub(super) struct Slots {
    memory: Memory,
    mapping: Mapping,
    next: usize,
    free: usize,
    /// The bytes of each slot that the system has given.
    reserved: [usize; SLOTS],
}

impl Slots {
    /// A new ring, all of whose slots are free.
    pub fn new() -> io::Result<Self> {
        let memory = Memory::create(SLOTS)?;
        let mapping = Mapping::of(&memory, true)?;
        Ok(Self { memory, mapping, next: 0, free: SLOTS, reserved: [0; SLOTS] })
    }

    /// The memory, for the receiver.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Puts `bytes`, at most [`SLOT`], into the next slot, and returns its number; `None` while no slot is free.
    ///
    /// # Errors
    /// The system has no memory for the slot.
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<Option<u32>> {
        if bytes.len() > SLOT {
            return Err(io::Error::other("a chunk is larger than a slot"));
        }
        if self.free == 0 {
            return Ok(None);
        }
        let slot = self.next;
        if self.reserved[slot] < bytes.len() {
            self.memory.reserve(slot, bytes.len())?;
            self.reserved[slot] = bytes.len();
        }
        if !self.mapping.write(slot * SLOT, bytes) {
            return Err(io::Error::other("a slot beyond its memory"));
        }
        (self.next, self.free) = ((slot + 1) % SLOTS, self.free - 1);
        Ok(Some(slot as u32))
    }

    /// Takes slots that the receiver gives back.
    ///
    /// # Errors
    /// More slots than the receiver has.
    pub fn released(&mut self, released: &wire::Released) -> Result<(), ProtocolError> {
        let taken = SLOTS - self.free;
        match usize::try_from(released.slots) {
            Ok(slots @ 1..) if slots <= taken => {
                self.free += slots;
                Ok(())
            }
            _ => Err(ProtocolError::invalid(format!(
                "{} slots are given back, of {taken} that are in use",
                released.slots
            ))),
        }
    }
}

/// The receiver's end.
pub(super) struct Received {
    mapping: Mapping,
    slots: usize,
    next: usize,
    /// Slots that were copied and are not given back.
    owed: usize,
}

impl Received {
    /// The ring in the memory of a peer.
    pub fn new(memory: &Memory) -> io::Result<Self> {
        Ok(Self { mapping: Mapping::of(memory, false)?, slots: memory.slots(), next: 0, owed: 0 })
    }

    /// Copies the bytes of `slot`, which must be the next one, piece by piece to `take`; then the slot counts as copied.
    ///
    /// # Errors
    /// Another slot, more bytes than a slot has, or an error of `take`.
    pub fn copy<T>(
        &mut self,
        slot: u32,
        length: usize,
        mut take: impl FnMut(usize, &mut dyn FnMut(&mut Vec<u8>)) -> Result<Option<T>, ProtocolError>,
    ) -> Result<Option<T>, ProtocolError> {
        if slot as usize != self.next || length > SLOT {
            return Err(ProtocolError::invalid(format!(
                "{length} bytes in slot {slot}, where slot {} of {} is due, with at most {SLOT} bytes",
                self.next, self.slots
            )));
        }
        let mut last = None;
        for start in (0..length).step_by(PIECE) {
            let (at, piece) = (self.next * SLOT + start, PIECE.min(length - start));
            let mut copied = false;
            last = take(piece, &mut |into| copied = self.mapping.append_to(at, piece, into))?;
            if !copied {
                return Err(ProtocolError::invalid("a slot beyond its memory"));
            }
        }
        (self.next, self.owed) = ((self.next + 1) % self.slots, self.owed + 1);
        Ok(last)
    }

    /// The slots to give back now: half of the ring. A sender that waits for a slot has sent all of them, so it gets
    /// them once they are copied.
    pub fn give_back(&mut self) -> Option<wire::Released> {
        (self.owed * 2 >= self.slots).then(|| wire::Released { slots: std::mem::take(&mut self.owed) as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::dup;

    fn ring() -> (Slots, Received) {
        let slots = Slots::new().unwrap();
        let memory = Memory::received(dup(slots.memory().file()).unwrap()).unwrap();
        (slots, Received::new(&memory).unwrap())
    }

    fn copied(ring: &mut Received, slot: u32, length: usize) -> Result<Vec<u8>, ProtocolError> {
        let mut bytes = Vec::new();
        ring.copy(slot, length, |_, copy| {
            copy(&mut bytes);
            Ok(None::<()>)
        })?;
        Ok(bytes)
    }

    #[test]
    fn bytes_cross_in_turn_and_slots_come_back_by_halves() {
        let (mut sender, mut receiver) = ring();
        let bytes =
            |round: usize| -> Vec<u8> { (0..SLOT - round).map(|at| (at * 7 + round) as u8).collect() };
        let (mut sent, mut came) = (0, 0);
        for _ in 0..5 {
            while let Some(slot) = sender.put(&bytes(sent)).unwrap() {
                assert_eq!(slot as usize, sent % SLOTS);
                sent += 1;
            }
            assert_eq!(sent - came, SLOTS, "the ring is full");
            let released = loop {
                assert_eq!(copied(&mut receiver, (came % SLOTS) as u32, SLOT - came).unwrap(), bytes(came));
                came += 1;
                if let Some(released) = receiver.give_back() {
                    break released;
                }
            };
            assert_eq!(released.slots as usize, SLOTS / 2);
            sender.released(&released).unwrap();
        }
    }

    #[test]
    fn slots_that_do_not_exist_or_are_not_due_are_refused() {
        let (mut sender, mut receiver) = ring();
        for slot in [1, SLOTS as u32, u32::MAX] {
            let refused = copied(&mut receiver, slot, 1).unwrap_err().to_string();
            assert!(refused.contains(&format!("slot {slot}, where slot 0 of 4 is due")), "{refused}");
        }
        assert!(copied(&mut receiver, 0, SLOT + 1).is_err() && copied(&mut receiver, 0, usize::MAX).is_err());
        for slots in [0, 1, u32::MAX] {
            assert!(sender.released(&wire::Released { slots }).is_err(), "{slots} of none");
        }
        sender.put(&[1]).unwrap();
        assert!(sender.released(&wire::Released { slots: 2 }).is_err());
        assert!(sender.put(&vec![0; SLOT + 1]).is_err());
    }
}
