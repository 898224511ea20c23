//! The gpipe schedule: every forward of the minibatch, then every backward, the same at all stages.
//!
//! ```text
//! M = 3   F0 F1 F2 E0 G0 E1 G1 E2 G2 U
//! ```

use super::{STEP, microbatch};
use proto::lane::Action::{self, Error, Forward, Gradient, Update};

/// The actions: F of all microbatches; E and G of each in turn; U.
pub(super) fn actions(microbatches: u32) -> Vec<Action> {
    let all = || (0..microbatches).map(microbatch);
    let backward = all().flat_map(|m| [Error(m), Gradient(m)]);
    all().map(Forward).chain(backward).chain([Update(STEP)]).collect()
}
