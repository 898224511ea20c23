//! Processes that the kernel kills for want of memory.

use proto::host::{self, Memory};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// SIGKILL, which the kernel sends where memory runs out.
const KILL: i32 = 9;

/// How often the kernel had killed a process for want of memory when a node was started.
#[derive(Clone, Copy)]
pub struct Kills(u64);

impl Kills {
    /// The count at this moment.
    pub fn so_far() -> Self {
        Self(host::kills())
    }

    /// The sentence about the node, which ended with `status`; `None` unless the kernel has killed a process since.
    pub fn sentence(self, status: &io::Result<ExitStatus>) -> Option<String> {
        let killed = matches!(status, Ok(status) if status.signal() == Some(KILL));
        let memory = Memory::now().filter(|_| killed && host::kills() > self.0)?;
        Some(format!(
            "the kernel killed its process for want of memory ({}): give the run more memory, fewer stages or smaller microbatches",
            memory.bound
        ))
    }
}
