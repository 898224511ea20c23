//! The resident memory of a run's nodes, as Linux reports it in `/proc`.

use std::collections::BTreeMap;
use std::fs;

/// The resident memory of a node's process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resident {
    /// The current resident memory.
    pub now: u64,
    /// The largest resident memory so far.
    pub peak: u64,
}

/// The layer nodes that the process `parent` started, by stage.
pub fn nodes(parent: u32) -> BTreeMap<usize, Resident> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = processes.filter_map(|entry| entry.file_name().into_string().ok());
    let numbers = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    numbers.filter_map(|process| node(&process, parent)).collect()
}

fn node(process: &str, parent: u32) -> Option<(usize, Resident)> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    if field(&status, "PPid")? != u64::from(parent) {
        return None;
    }
    let words = fs::read_to_string(format!("/proc/{process}/cmdline")).ok()?;
    let stage = words.split('\0').find_map(|word| word.rsplit_once("/stage-")?.1.parse().ok())?;
    let bytes = |name| field(&status, name).map(|kib| kib * 1024);
    Some((stage, Resident { now: bytes("VmRSS")?, peak: bytes("VmHWM")? }))
}

/// The first number of a line `NAME:  NUMBER …`.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_name() {
        let status = "Name:\tlayer-node\nPPid:\t42\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!(["PPid", "VmRSS", "VmHWM"].map(|name| field(status, name)), [42, 1024, 2048].map(Some));
        assert_eq!(field(status, "Vm"), None);
    }
}
