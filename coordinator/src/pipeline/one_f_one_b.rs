//! The one_f_one_b schedule: after a warm-up of w forwards, each backward makes room for one forward.
//!
//! ```text
//!                  w            steady            cooldown
//! w = 2, M = 4   F0 F1  E0 G0 F2  E1 G1 F3  E2 G2 E3 G3 U
//! ```

use super::{STEP, microbatch};
use proto::lane::Action::{self, Error, Forward, Gradient, Update};

/// The actions: `warm_up` forwards; E(m), G(m) and, while any are left, F(m + w); U.
pub(super) fn actions(warm_up: u32, microbatches: u32) -> Vec<Action> {
    let forward = |index| (index < microbatches).then(|| Forward(microbatch(index)));
    let steady = (0..microbatches).flat_map(|index| {
        let m = microbatch(index);
        [Some(Error(m)), Some(Gradient(m)), forward(index + warm_up)]
    });
    (0..warm_up).filter_map(forward).chain(steady.flatten()).chain([Update(STEP)]).collect()
}
