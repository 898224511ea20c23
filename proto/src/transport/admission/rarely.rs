//! A log that a flood does not fill: a few lines of each kind in a period, and the number of lines left out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The period to which the bounds apply.
const WHILE: Duration = Duration::from_secs(10);
/// The lines of one kind in one period.
const LINES: u64 = 3;
/// The kinds in one period. Some kinds quote what a stranger has sent, so their number must be bounded.
const KINDS: usize = 16;

/// The lines of the present period, by their kind.
#[derive(Debug, Default)]
pub(super) struct Rarely {
    begun: Option<Instant>,
    lines: BTreeMap<String, u64>,
    /// The lines left out in earlier periods.
    left_out: BTreeMap<String, u64>,
}

impl Rarely {
    /// The number of lines of `kind` that were left out before, if a line of this kind is written at `now`.
    pub fn line(&mut self, kind: &str, now: Instant) -> Option<u64> {
        if self.begun.is_none_or(|begun| now.duration_since(begun) >= WHILE) {
            self.begun = Some(now);
            let over = |(kind, count): (String, u64)| (count > LINES).then(|| (kind, count - LINES));
            self.left_out = std::mem::take(&mut self.lines).into_iter().filter_map(over).collect();
        }
        if self.lines.len() >= KINDS && !self.lines.contains_key(kind) {
            return None;
        }
        let count = self.lines.entry(kind.to_owned()).or_default();
        *count += 1;
        (*count <= LINES).then(|| self.left_out.remove(kind).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_kind_hides_no_other_kind_and_is_counted() {
        let (mut log, begun) = (Rarely::default(), Instant::now());
        let flood: Vec<_> = (0..1000).filter_map(|_| log.line("garbage", begun)).collect();
        assert_eq!(flood, [0; LINES as usize]);
        assert_eq!(log.line("expired", begun), Some(0));
        assert_eq!(log.line("garbage", begun + WHILE), Some(1000 - LINES));
        assert_eq!(log.line("garbage", begun + WHILE), Some(0));
        assert_eq!(log.line("expired", begun + WHILE), Some(0));
        let kinds = (0..1000).filter_map(|kind| log.line(&kind.to_string(), begun + 2 * WHILE)).count();
        assert_eq!(kinds, KINDS);
    }
}
