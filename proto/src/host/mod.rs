//! The main memory that this process may use: the host's memory, or less under a limit.
//!
//! ```text
//! /proc/meminfo                       the host: MemTotal, MemAvailable
//! /proc/self/cgroup, …/mountinfo      the control groups of this process: its own group and all groups above it
//! /proc/self/limits, …/status         the limits of this process (ulimit -v, ulimit -d)
//! ```
//!
//! The lowest of these bounds counts. All functions except those that read the files are pure: they take the texts of
//! the files. The number of cores needs no code here: [`std::thread::available_parallelism`] knows the quotas of
//! control groups and the processor affinity.

pub(crate) mod cgroup;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::path::Path;

/// The texts of files by their paths; `None` for a file that cannot be read.
pub(crate) type Texts<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// The main memory that this process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in all: the host's memory, or the lowest limit.
    pub total: u64,
    /// Bytes that can still be taken. Cached files count as available, since the system drops them when memory is
    /// needed.
    pub available: u64,
    /// The source of the available bytes: "the memory of this host", or a limit with its size and its place.
    pub bound: String,
}

/// One bound on the memory of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    limit: u64,
    available: u64,
    name: String,
}

impl Bound {
    /// A limit, of which `taken` bytes are in use.
    fn limit(limit: u64, taken: u64, place: impl fmt::Display) -> Self {
        let name = format!("the limit of {} {place}", Bytes(limit));
        Self { limit, available: limit.saturating_sub(taken), name }
    }
}

impl Memory {
    /// The memory that this process may use at this moment; `None` if the system does not tell.
    pub fn now() -> Option<Self> {
        Self::of(&|path| fs::read_to_string(path).ok())
    }

    fn of(texts: Texts<'_>) -> Option<Self> {
        let bounds: Vec<Bound> =
            host(texts).into_iter().chain(cgroup::bounds(texts)).chain(process(texts)).collect();
        let total = bounds.iter().map(|bound| bound.limit).min()?;
        let tightest = bounds.into_iter().min_by_key(|bound| bound.available)?;
        Some(Self { total, available: tightest.available, bound: tightest.name })
    }
}

/// The resident bytes of this process; zero if the system does not tell.
pub fn resident() -> u64 {
    fs::read_to_string("/proc/self/status").ok().and_then(|text| bytes_of(&text, "VmRSS:")).unwrap_or(0)
}

/// The bytes of a line `KEY N kB`, as the files of `/proc` have them.
pub fn bytes_of(text: &str, key: &str) -> Option<u64> {
    number(text, key)?.checked_mul(1024)
}

/// The number after `key` in a file of `/proc`; `None` also if the value is no number, as in `unlimited`.
pub(crate) fn number(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How often the kernel of this host has killed a process for want of memory, under a limit or without one.
pub fn kills() -> u64 {
    let text = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
    count.unwrap_or(0)
}

fn host(texts: Texts<'_>) -> Option<Bound> {
    let text = texts(Path::new("/proc/meminfo"))?;
    let limit = bytes_of(&text, "MemTotal:")?;
    let available = bytes_of(&text, "MemAvailable:")?;
    Some(Bound { limit, available, name: "the memory of this host".into() })
}

/// The limits that a shell's `ulimit` sets, each with the number in `/proc/self/status` that it bounds.
fn process(texts: Texts<'_>) -> Vec<Bound> {
    let text = |path: &str| texts(Path::new(path)).unwrap_or_default();
    let (limits, status) = (text("/proc/self/limits"), text("/proc/self/status"));
    let of = |row: &str, taken: &str, place: &str| {
        Some(Bound::limit(number(&limits, row)?, bytes_of(&status, taken)?, place))
    };
    let address = of("Max address space", "VmSize:", "on the address space of this process (ulimit -v)");
    let data = of("Max data size", "VmData:", "on the data of this process (ulimit -d)");
    address.into_iter().chain(data).collect()
}

/// A number of bytes, shown in the unit that suits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(shift, _)| self.0 >> shift > 0) {
            Some((shift, unit)) => write!(f, "{:.1} {unit}", self.0 as f64 / (1u64 << shift) as f64),
            None => write!(f, "{} bytes", self.0),
        }
    }
}
