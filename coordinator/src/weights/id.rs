//! The id of parts: the name of the run whose state they are, as `coordinator split` prints it.

use super::Backward;
use proto::weights::Source;
use std::fmt;
use std::str::FromStr;
use twox_hash::XxHash3_128;

/// Hexadecimal digits of an id.
const DIGITS: usize = 32;

/// The id of parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartsId(String);

/// The id of the parts of `source` with the B of `backward` in place of the source's. Parts with another B have another
/// id, so that a run finds no node ready that has parts with another B than the run asks for.
pub(super) fn id_of(source: &Source, backward: Option<Backward>) -> String {
    let id = source.id();
    match backward {
        Some(backward) => format!("{:032x}", XxHash3_128::oneshot(format!("{id} {backward}").as_bytes())),
        None => id,
    }
}

impl FromStr for PartsId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match digits && text.len() == DIGITS {
            true => Ok(Self(text.to_owned())),
            false => Err(format!("'{text}' is no id: coordinator split prints the {DIGITS} digits of one")),
        }
    }
}

impl fmt::Display for PartsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
