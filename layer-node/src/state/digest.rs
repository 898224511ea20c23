//! The command `layer-node digest`: the SHA-256 of every tensor of a snapshot, so that runs can be compared.

use crate::state::checkpoint::{self, Snapshot};
use clap::Args;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::PathBuf;

/// Flags of `layer-node digest`.
#[derive(Args, Debug)]
pub struct DigestFlags {
    /// Where a node keeps its weights
    #[arg(long, value_name = "DIR")]
    pub state_dir: PathBuf,
    /// The snapshot after this many updates; the newest whole one by default
    #[arg(long)]
    pub step: Option<u64>,
}

/// One line per tensor, sorted by name: the tensor's SHA-256 in hexadecimal, two spaces, and its name.
///
/// # Errors
/// When there is no snapshot, or it is torn; the error is one sentence.
pub fn digest(flags: &DigestFlags) -> Result<String, String> {
    let step = match flags.step {
        Some(step) => step,
        None => {
            let all = checkpoint::whole(&flags.state_dir).map_err(|error| error.to_string())?;
            let none = || {
                format!(
                    "there is no whole snapshot in {}: --state-dir names a node's state, as in runs/NAME/state/stage-0",
                    flags.state_dir.display()
                )
            };
            *all.last().ok_or_else(none)?
        }
    };
    let snapshot = Snapshot::open(&flags.state_dir, step).map_err(|error| error.to_string())?;
    let mut lines = String::new();
    for (name, tensor) in snapshot.tensors().map_err(|error| error.to_string())? {
        for byte in Sha256::digest(tensor.data()) {
            let _ = write!(lines, "{byte:02x}");
        }
        let _ = writeln!(lines, "  {name}");
    }
    Ok(lines)
}
