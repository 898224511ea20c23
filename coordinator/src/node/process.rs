//! Linux's information about a process.

use proto::host::bytes_of;
use std::fs;

/// The state of a process, and the work that it has done so far.
pub struct Effort {
    /// The state letter of `/proc/PID/stat`: `D` waits for the disk, `R` computes or waits for a core, `T` and `t` are stopped.
    pub state: String,
    /// Page faults that read the disk, and ticks of processor time: the user's and the system's.
    pub spent: [u64; 3],
}

impl Effort {
    /// The effort of a process; `None` if there is no such process.
    pub fn of(process: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The process name before the state may contain any character, also `)`.
        let mut fields = stat.rsplit(") ").next()?.split(' ');
        let state = fields.next()?.to_owned();
        let numbers: Vec<u64> = fields.map(|field| field.parse().unwrap_or(0)).collect();
        Some(Self { state, spent: [*numbers.get(8)?, *numbers.get(10)?, *numbers.get(11)?] })
    }
}

/// The high-water mark of a process's resident memory (VmHWM), in bytes.
pub fn peak(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    bytes_of(&text, "VmHWM:")
}
