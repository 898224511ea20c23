//! The zero_bubble schedule, ZB-H1 of Qi, Wan, Huang and Lin 2023 ("Zero Bubble Pipeline Parallelism"): the order of F
//! and E is that of one_f_one_b, and G fills the waits.
//!
//! An error goes below as soon as E is done, and nobody waits for a G. G is put off as far as memory allows: a stage
//! holds as many microbatches as stage 0 holds under one_f_one_b.
//!
//! ```text
//!                       w   until n + ahead are held   G before each F           G after each E   the rest
//! n = 3, ahead 0   s2   F0  E0 F1 E1 F2 E2             G0 F3 E3 G1 F4 E4 G2 F5   E5 G3            G4 G5 U
//!
//! s0  F0 F1 F2 .  .  E0 G0 F3 E1 G1 F4 E2 G2 F5 E3 G3 E4 G4 E5 G5
//! s1  .  F0 F1 .  E0 F2 E1 G0 F3 E2 G1 F4 E3 G2 F5 E4 G3 E5 G4 G5
//! s2  .  .  F0 E0 F1 E1 F2 E2 G0 F3 E3 G1 F4 E4 G2 F5 E5 G3 G4 G5
//! ```
//!
//! With F = E = G = 1, U and the loss of no time, and at least n + ahead microbatches, one_f_one_b waits 2 (n − 1) in a
//! step, and zero_bubble n − 1.

use super::{STEP, Shape, microbatch};
use proto::lane::Action::{self, Error, Forward, Gradient, Update};

/// The actions of a stage that runs `warm_up` forwards before its first error.
pub(super) fn actions(warm_up: u32, shape: Shape) -> Vec<Action> {
    let microbatches = shape.microbatches();
    let most = shape.stages().saturating_add(shape.ahead());
    let mut actions: Vec<_> = (0..warm_up).map(|index| Forward(microbatch(index))).collect();
    // The forwards and the gradients so far.
    let (mut forwards, mut gradients) = (warm_up, 0);
    for index in 0..microbatches {
        actions.push(Error(microbatch(index)));
        if forwards < microbatches {
            while forwards - gradients >= most {
                actions.push(Gradient(microbatch(gradients)));
                gradients += 1;
            }
            actions.push(Forward(microbatch(forwards)));
            forwards += 1;
        } else {
            actions.push(Gradient(microbatch(gradients)));
            gradients += 1;
        }
    }
    actions.extend((gradients..microbatches).map(|index| Gradient(microbatch(index))));
    actions.push(Update(STEP));
    actions
}
