//! The flags by which a run begins from weights, or from another run's state.

use crate::run::{Origin, Resume, Which};
use crate::run_error::RunError;
use crate::weights::Backward;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct OriginFlags {
    /// Begin from weights in a safetensors file, or in several of one network: an export, or a state dict of
    /// torchvision's. With --nodes, each node needs its part first (coordinator split, layer-node import); the id that
    /// split printed can then take the place of the file
    #[arg(long, value_name = "FILE|ID", num_args = 1.., conflicts_with = "from")]
    pub(super) init: Vec<PathBuf>,
    /// The first B, with --init: drawn from the seed, or a copy of W; without the flag it is the file's B, or drawn
    /// where the file has none
    #[arg(long, value_enum, requires = "init")]
    pub(super) backward: Option<Backward>,
    /// Begin from the state of another run, in its folder: W, B and running statistics
    #[arg(long, value_name = "RUN")]
    pub(super) from: Option<PathBuf>,
    /// The state for --from: after N updates, the one with the best test accuracy, or the final one; without the flag,
    /// the newest that all nodes have
    #[arg(long, value_name = "N|best|last", requires = "from")]
    pub(super) step: Option<Which>,
    /// Take the optimizers' state as well, with --from
    #[arg(long, requires = "from")]
    pub(super) with_optimizer: bool,
}

impl OriginFlags {
    /// The origin that the flags give, beside `--resume`.
    ///
    /// # Errors
    /// Two flags of which one begins a run, and the other goes on with one.
    pub(super) fn origin(self, resume: Option<Resume>) -> Result<Option<Origin>, RunError> {
        match (self.given(), resume) {
            (Some(origin), Some(Resume::Step(step))) => Err(RunError::configuration(format!(
                "{} begins a run, and --resume {step} goes on with one: leave one of them out",
                origin.flag()
            ))),
            (origin, _) => Ok(origin),
        }
    }

    fn given(self) -> Option<Origin> {
        let Self { init, backward, from, step: which, with_optimizer: optimizer } = self;
        match (&init[..], from) {
            (_, Some(folder)) => Some(Origin::Run { folder, which, optimizer }),
            ([], None) => None,
            ([only], None) if !only.exists() => Some(match only.to_string_lossy().parse() {
                Ok(id) => Origin::Parts { id, backward },
                Err(_) => Origin::Files { files: init, backward },
            }),
            (_, None) => Some(Origin::Files { files: init, backward }),
        }
    }
}
