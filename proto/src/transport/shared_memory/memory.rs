//! The memory of a ring: a file without a name that the system keeps in memory, and that is sealed against every change
//! of its length.

use super::{MOST_SLOTS, SLOT};
use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate,
    memfd_create,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Seals of a ring: its length stays, and so do the seals.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// Memory of whole slots.
pub(super) struct Memory {
    file: OwnedFd,
    slots: usize,
}

impl Memory {
    /// New memory of this many slots. The system gives it bytes only as they are reserved or touched.
    pub fn create(slots: usize) -> io::Result<Self> {
        let file = memfd_create("neuropil-link", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, (slots * SLOT) as u64)?;
        fcntl_add_seals(&file, SEALS)?;
        Ok(Self { file, slots })
    }

    /// The memory that a peer has sent.
    ///
    /// # Errors
    /// The rest of a sentence about memory whose length is not whole slots, or that the peer could shrink.
    pub fn received(file: OwnedFd) -> Result<Self, String> {
        let length = fstat(&file).map_err(|error| format!("cannot be looked at ({error})"))?.st_size;
        let slots = usize::try_from(length).unwrap_or(0) / SLOT;
        if !(1..=MOST_SLOTS).contains(&slots) || slots * SLOT != length as usize {
            return Err(format!("has {length} bytes, and not 1 to {MOST_SLOTS} slots of {SLOT}"));
        }
        match fcntl_get_seals(&file) {
            Ok(seals) if seals.contains(SEALS) => Ok(Self { file, slots }),
            _ => Err("is not sealed, so that its sender could shrink it under a reader".into()),
        }
    }

    /// The number of slots.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The number of bytes.
    pub fn length(&self) -> usize {
        self.slots * SLOT
    }

    /// The file.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Has the system give bytes to the first `length` bytes of `slot`. Without this, a host without free memory would
    /// end a process that touches them.
    pub fn reserve(&self, slot: usize, length: usize) -> io::Result<()> {
        Ok(fallocate(&self.file, FallocateFlags::empty(), (slot * SLOT) as u64, length as u64)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::dup;

    fn refused(make: impl FnOnce() -> OwnedFd) -> String {
        Memory::received(make()).err().unwrap_or_default()
    }

    #[test]
    fn memory_that_its_sender_could_shrink_is_refused() {
        let memory = Memory::create(2).unwrap();
        assert!(ftruncate(memory.file(), 0).is_err() && ftruncate(memory.file(), 9 << 20).is_err());
        assert!(fcntl_add_seals(memory.file(), SealFlags::WRITE).is_err(), "no seal is added either");
        let received = Memory::received(dup(memory.file()).unwrap()).unwrap();
        assert_eq!((received.slots(), received.length()), (2, 2 * SLOT));

        let unsealed = |seals, length| {
            let file = memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
            ftruncate(&file, length).unwrap();
            fcntl_add_seals(&file, seals).unwrap();
            file
        };
        let slot = SLOT as u64;
        for seals in
            [SealFlags::empty(), SealFlags::GROW | SealFlags::SEAL, SealFlags::SHRINK | SealFlags::GROW]
        {
            assert!(refused(|| unsealed(seals, slot)).contains("could shrink it"), "{seals:?}");
        }
        for length in [0, 1, slot - 1, slot + 1, slot * (MOST_SLOTS as u64 + 1), slot << 30] {
            assert!(refused(|| unsealed(SEALS, length)).contains("slots of 1048576"), "{length}");
        }
        let file = tempfile::tempfile().unwrap();
        file.set_len(slot).unwrap();
        assert!(refused(|| file.into()).contains("is not sealed"), "a file on a disk");
        let (pipe, _writer) = std::io::pipe().unwrap();
        assert!(refused(|| pipe.into()).contains("has 0 bytes"), "no file at all");
    }
}
