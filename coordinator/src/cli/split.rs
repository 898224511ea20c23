//! `coordinator split`: it cuts a file of weights into a part for each node.

use super::flags::ConfigFlags;
use super::load;
use crate::console::answer;
use crate::run_error::RunError;
use crate::weights::{self, Backward, SplitOptions};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct SplitFlags {
    #[command(flatten)]
    pub(super) config: ConfigFlags,
    /// The safetensors file to split, or all files of one network
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(super) init: Vec<PathBuf>,
    /// The first B: drawn from the seed, or a copy of W; without the flag it is the file's B, or drawn where the
    /// file has none
    #[arg(long, value_enum)]
    pub(super) backward: Option<Backward>,
    /// The folder for the parts: stage-0.safetensors and so on, and stage-0-backward.safetensors for the B of a split
    /// stage
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// List the tensors of the file that are not used
    #[arg(long)]
    pub(super) verbose: bool,
}

/// Writes the part of each node into a folder.
///
/// # Errors
/// Those of [`weights::split`], and a configuration that cannot be read.
pub(super) fn split(flags: &SplitFlags) -> Result<(), RunError> {
    let config = load(&flags.config)?;
    let SplitFlags { init, backward, out, verbose, .. } = flags;
    let options = SplitOptions { files: init, backward: *backward, out, verbose: *verbose };
    answer(format_args!("{}", weights::split(&config, &options)?))
}
