//! The host's main memory.

/// Bytes in all and bytes available, as Linux reports them; zeros where it does not.
pub fn read() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let bytes = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    (bytes("MemTotal:").unwrap_or(0), bytes("MemAvailable:").unwrap_or(0))
}
