//! The memory that a data set needs, against the memory that there is. The check comes before the samples are read,
//! since a process that takes more memory than there is may be killed without a word.

use super::{Choice, DataError, Split};
use proto::host::{Bytes, Memory};
use std::path::Path;

/// Bytes of a sample beyond its pixels: its label as it is read and as it is kept, and its place in an epoch's order.
const BESIDE_PIXELS: u64 = 1 + 4 + 8;

/// Refuses samples that do not fit into memory: `samples` are read, each of `size` pixels; `path` is the file that
/// holds them.
pub(super) fn check(path: &Path, choice: &Choice<'_>, sizes: [u64; 2]) -> Result<(), DataError> {
    match Memory::now().and_then(|memory| refusal(choice.split, sizes, &memory)) {
        Some((wrong, remedy)) => Err(DataError::malformed(path, wrong, remedy)),
        None => Ok(()),
    }
}

/// What is wrong, and the remedy, where `memory` does not hold the samples. A sixteenth is left to the program itself.
fn refusal(split: Split, [samples, size]: [u64; 2], memory: &Memory) -> Option<(String, String)> {
    let each = size.saturating_add(BESIDE_PIXELS);
    let (needed, free) = (samples.saturating_mul(each), memory.available / 16 * 15);
    if needed <= free {
        return None;
    }
    let (key, use_of) = match split {
        Split::Train => ("data.limit", "train"),
        Split::Test => ("data.test_limit", "test"),
    };
    let wrong = format!(
        "needs {needed} bytes ({}) of memory for its {samples} samples, but only {} are free in {}",
        Bytes(needed),
        Bytes(memory.available),
        memory.bound
    );
    let remedy = match free / each {
        0 => "give the program more memory".to_owned(),
        most => {
            format!("give the program more memory, or {use_of} on at most {most} samples ({key} = {most})")
        }
    };
    Some((wrong, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_do_not_fit_are_refused_with_the_number_that_does() {
        let memory = Memory { total: 320_000, available: 160_000, bound: "the limit of X".into() };
        assert_eq!(refusal(Split::Train, [150, 987], &memory), None);
        let (wrong, remedy) = refusal(Split::Train, [151, 987], &memory).unwrap();
        let said = "needs 151000 bytes (147.5 KiB) of memory for its 151 samples, but only 156.2 KiB are free in the limit of X";
        assert_eq!(wrong, said);
        assert_eq!(
            remedy,
            "give the program more memory, or train on at most 150 samples (data.limit = 150)"
        );
        let (_, remedy) = refusal(Split::Test, [151, 987], &memory).unwrap();
        assert!(remedy.ends_with("or test on at most 150 samples (data.test_limit = 150)"), "{remedy}");
        let (_, remedy) = refusal(Split::Test, [1, u64::MAX], &memory).unwrap();
        assert_eq!(remedy, "give the program more memory");
    }
}
