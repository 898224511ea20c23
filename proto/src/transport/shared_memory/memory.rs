//! The memory of a ring: a file without a name that the system keeps in memory, and that is sealed against every change
//! of its length.

use super::{MOST_SLOTS, SLOT};
use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals, fstat, fstatfs,
    ftruncate, memfd_create,
};
use rustix::io::{Errno, retry_on_intr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Seals of a ring: its length stays, and so do the seals.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// The name of a ring's memory in lists of a process's files.
const NAME: &str = "neuropil-link";
/// The file system of memory in ordinary pages. A hole in memory of huge pages can end its reader.
const ORDINARY: u64 = 0x0102_1994;

/// Memory of whole slots.
pub(super) struct Memory {
    file: OwnedFd,
    slots: usize,
}

impl Memory {
    /// New memory of this many slots. The system gives it bytes only as they are reserved or touched.
    pub fn create(slots: usize) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Hardened kernels refuse memory that could become executable; kernels before 6.3 do not know the flag.
        let file = match memfd_create(NAME, flags | MemfdFlags::NOEXEC_SEAL) {
            Err(Errno::INVAL) => memfd_create(NAME, flags)?,
            made => made?,
        };
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
            Ok(seals) if seals.contains(SEALS) => match fstatfs(&file) {
                Ok(system) if system.f_type as u64 == ORDINARY => Ok(Self { file, slots }),
                _ => Err("is not in ordinary pages".into()),
            },
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
        let (at, length) = ((slot * SLOT) as u64, length as u64);
        Ok(retry_on_intr(|| fallocate(&self.file, FallocateFlags::empty(), at, length))?)
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
