//! Main memory: the bytes of the host, and those of this process.

/// The host's total and available bytes, as Linux reports them; zeros if Linux does not report them.
pub fn read() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    (bytes(&text, "MemTotal:"), bytes(&text, "MemAvailable:"))
}

/// The resident bytes of this process; zero if Linux does not report them.
pub fn resident() -> u64 {
    bytes(&std::fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmRSS:")
}

fn bytes(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or(0, |kib| kib * 1024)
}
