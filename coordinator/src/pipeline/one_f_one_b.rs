//! One forward, one error: after a warm-up of w forwards each backward makes room for one forward.
//!
//! ```text
//!                  w            steady            cooldown
//! w = 2, M = 4   F0 F1  E0 G0 F2  E1 G1 F3  E2 G2 E3 G3 U
//! ```

use proto::lane::Action::{self, Error, Forward, Gradient, Update};

/// `warm_up` forwards; E(m), G(m) and, while any are left, F(m + w); U.
pub(super) fn actions(warm_up: u32, microbatches: u32) -> Vec<Action> {
    let forward = |m| (m < microbatches).then_some(Forward(m));
    let steady = (0..microbatches).flat_map(|m| [Some(Error(m)), Some(Gradient(m)), forward(m + warm_up)]);
    (0..warm_up).map(Forward).chain(steady.flatten()).chain([Update]).collect()
}
