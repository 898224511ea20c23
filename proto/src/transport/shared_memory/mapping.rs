//! A mapping of shared memory into this process. Bytes are copied in or out by their place; no reference into the memory
//! is ever made, because another process may change it at any moment.
//!
//! All `unsafe` of shared memory is here. It rests on three facts: the memory is sealed, so it never becomes smaller than
//! the mapping, and no access can end in SIGBUS for that reason; every place is checked against the mapping's length; and
//! only whole-byte copies by raw pointers touch the memory, whose result may be any bytes.
#![allow(unsafe_code)]

use super::memory::Memory;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::io;
use std::ptr::{self, NonNull};

/// The mapped bytes of a [`Memory`].
pub(super) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the process and not to a thread, and the pointer is used by this type alone.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `memory` for copies in; without `writable`, for copies out alone.
    pub fn of(memory: &Memory, writable: bool) -> io::Result<Self> {
        let access = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        let length = memory.length();
        // SAFETY: the system chooses a place where nothing is mapped. The memory is sealed at this length.
        let start = unsafe { mmap(ptr::null_mut(), length, access, MapFlags::SHARED, memory.file(), 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// Copies `bytes` to byte `at`; `false` where they do not fit there. The mapping must be writable.
    #[must_use]
    pub fn write(&self, at: usize, bytes: &[u8]) -> bool {
        let Some(to) = self.place(at, bytes.len()) else { return false };
        // SAFETY: `to` is followed by as many bytes of the mapping, and `bytes` is memory of this process alone.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        true
    }

    /// Appends the `length` bytes at byte `at` to `into`; `false` where there are not as many.
    #[must_use]
    pub fn append_to(&self, at: usize, length: usize, into: &mut Vec<u8>) -> bool {
        let Some(from) = self.place(at, length) else { return false };
        into.reserve(length);
        let (before, room) = (into.len(), into.spare_capacity_mut());
        // SAFETY: `from` is followed by `length` bytes of the mapping, `room` has as many, and the copy makes them
        // initialised bytes.
        unsafe {
            ptr::copy_nonoverlapping(from, room.as_mut_ptr().cast(), length);
            into.set_len(before + length);
        }
        true
    }

    /// The place of byte `at`, if `length` bytes of the mapping follow.
    fn place(&self, at: usize, length: usize) -> Option<*mut u8> {
        let end = at.checked_add(length)?;
        // SAFETY: `at` is at most the mapping's length.
        (end <= self.length).then(|| unsafe { self.start.as_ptr().add(at) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `of` made, and no pointer into it is left.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}
