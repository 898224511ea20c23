//! The asynchronous schedule: no step is flushed, and the order of all actions is fixed by counting alone.
//!
//! After a warm-up of w forwards, each backward makes room for one forward, again and again across steps. A step is one
//! update of its microbatches. A drain, for an evaluation or a snapshot, ends the lane; the next lane fills anew. Here
//! with w = 3, two microbatches in a step, and a drain after three steps:
//!
//! ```text
//! F0.0 F0.1 F1.0 E0.0 G0.0 F1.1 E0.1 G0.1 U0   F2.0 E1.0 G1.0 F2.1 E1.1 G1.1 U1   E2.0 G2.0 E2.1 G2.1 U2
//! ```
//!
//! With k microbatches in every step, and microbatches and versions of the weights counted from the last drain, F(m) sees
//! version ⌊max(0, m − w + 1) / k⌋, and E(m) and G(m) see version ⌊m / k⌋, at every stage alike. Nothing is decided by
//! arrival, so the same configuration ends in the same bits however fast each node is.
//!
//! On the microbatches of one step, a stage runs the same actions in the same order as under one_f_one_b.

use proto::lane::Action::{self, Error, Forward, Gradient, Update};
use proto::lane::Lane;
use proto::microbatch::MicrobatchId;

/// The lane of a stage up to the update of step 0, of a stage that runs `lead` forwards ahead. `steps` has the number of
/// microbatches of step 0 and of the steps that follow it before the next drain, as far as the stage runs their forwards.
/// `begins` says whether step 0 follows a drain.
///
/// # Panics
/// If `steps` is empty, or a step has no microbatch: bugs of the caller.
pub fn part(lead: u32, steps: &[u32], begins: bool) -> Lane {
    let microbatch = |step: u64, index: u32| MicrobatchId { step, index };
    let of_step = |(step, count): (u64, &u32)| (0..*count).map(move |index| microbatch(step, index));
    let all: Vec<MicrobatchId> = (0..).zip(steps).flat_map(of_step).collect();
    let (own, lead) = (steps[0] as usize, lead as usize);
    let before = if begins { 0 } else { all.len().min(lead - 1) };
    let warm_up = all.len().min(lead);
    let forward = |at: usize| all.get(at).copied().map(Forward);
    let backward = (0..own).flat_map(|at| {
        // The forward after the last gradient comes after the update.
        let next = if at + 1 < own { forward(at + lead) } else { None };
        [Some(Error(all[at])), Some(Gradient(all[at])), next]
    });
    let actions = (before..warm_up).map(forward).chain(backward).flatten();
    let actions: Vec<Action> = actions.chain([Update(0)]).collect();
    let forwards = all.len().min(lead + own - 1);
    let known = known(steps, forwards);
    let lane = Lane::part(0, steps[..known].to_vec(), before as u32, actions);
    lane.expect("the schedule writes parts of lanes, as the tests show for every shape")
}

/// The number of steps to which the first `forwards` microbatches belong.
fn known(steps: &[u32], forwards: usize) -> usize {
    let begun = steps.iter().scan(0, |sum, count| {
        let before = *sum;
        *sum += *count as usize;
        Some(before < forwards)
    });
    begun.filter(|begun| *begun).count()
}

/// The actions of a stage from one drain to the next, over steps of so many microbatches each.
pub(super) fn actions(lead: u32, steps: &[u32]) -> Vec<Action> {
    let part = |at: usize| part(lead, &steps[at..], at == 0).starting_at(at as u64).actions().to_vec();
    (0..steps.len()).flat_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Schedule, Shape, lane};

    fn drawn(lead: u32, steps: &[u32]) -> Vec<String> {
        let part = |at: usize| part(lead, &steps[at..], at == 0).starting_at(at as u64);
        let word = |action: &Action| format!("{action:#}");
        let text = |lane: Lane| lane.actions().iter().map(word).collect::<Vec<_>>().join(" ");
        (0..steps.len()).map(|at| text(part(at))).collect()
    }

    #[test]
    fn its_parts_are_the_drawing() {
        let parts = [
            "F0.0 F0.1 F1.0 E0.0 G0.0 F1.1 E0.1 G0.1 U0",
            "F2.0 E1.0 G1.0 F2.1 E1.1 G1.1 U1",
            "E2.0 G2.0 E2.1 G2.1 U2",
        ];
        assert_eq!(drawn(3, &[2, 2, 2]), parts);
        let one_each = ["F0.0 F1.0 F2.0 E0.0 G0.0 U0", "F3.0 E1.0 G1.0 U1", "E2.0 G2.0 U2", "E3.0 G3.0 U3"];
        assert_eq!(drawn(3, &[1; 4]), one_each);
        assert_eq!(drawn(1, &[1, 2]), ["F0.0 E0.0 G0.0 U0", "F1.0 E1.0 G1.0 F1.1 E1.1 G1.1 U1"]);
        assert_eq!(drawn(9, &[1]), ["F0.0 E0.0 G0.0 U0"]);
    }

    /// The logical clock: versions by counting microbatches from the last drain.
    #[test]
    fn every_action_sees_the_version_of_the_formulas() {
        for n in 1..=8_u32 {
            for (ahead, k) in (0..=2).flat_map(|ahead| (1..=8).map(move |k| (ahead, k))) {
                let (shape, steps) = (Shape::new(n, k, ahead).unwrap(), vec![k; 12]);
                for stage in 0..n {
                    let w = shape.lead(stage);
                    let (mut versions, mut most, mut held) = (0, 0, 0);
                    let mut seen = [0_u64; 3];
                    for action in actions(w, &steps) {
                        let count = |m: MicrobatchId| m.step * u64::from(k) + u64::from(m.index);
                        let (at, m, due) = match action {
                            Forward(m) => {
                                held += 1;
                                (0, m, (count(m) + 1).saturating_sub(w.into()) / u64::from(k))
                            }
                            Error(m) => (1, m, count(m) / u64::from(k)),
                            Gradient(m) => {
                                held -= 1;
                                (2, m, count(m) / u64::from(k))
                            }
                            Update(step) => {
                                assert_eq!(step, versions);
                                versions += 1;
                                continue;
                            }
                        };
                        assert_eq!(versions, due, "{action:#} of stage {stage} of {n}, w {w}, k {k}");
                        assert_eq!(count(m), seen[at], "F, E and G take every microbatch in order");
                        seen[at] += 1;
                        most = most.max(held);
                    }
                    assert_eq!((versions, seen), (12, [12 * u64::from(k); 3]));
                    assert!(most <= w, "memory held is at most w activations");
                }
            }
        }
    }

    #[test]
    fn the_parts_follow_one_another_and_make_the_whole_lane() {
        for (lead, steps) in [(3, vec![2; 5]), (6, vec![1; 4]), (9, vec![4, 4, 3]), (2, vec![3])] {
            let mut under_way = 0;
            for at in 0..steps.len() {
                let part = part(lead, &steps[at..], at == 0);
                assert_eq!(part.before(), under_way, "{lead} {steps:?} {at}");
                under_way = part.after();
            }
            assert_eq!(under_way, 0, "a drain leaves nothing under way");
        }
    }

    #[test]
    fn on_one_step_it_is_one_f_one_b() {
        for (stages, microbatches, ahead) in [(3, 4, 1), (2, 1, 2), (5, 3, 0), (2, 8, 1)] {
            let shape = Shape::new(stages, microbatches, ahead).unwrap();
            for stage in 0..stages {
                let all = actions(shape.lead(stage), &[microbatches; 9]);
                let of_step: Vec<_> = all.into_iter().filter(|action| action.step() == 4).collect();
                let plain = lane(Schedule::OneFOneB, stage, shape).starting_at(4);
                assert_eq!(of_step, plain.actions());
                assert_eq!(
                    part(shape.lead(stage), &[microbatches], true).actions(),
                    plain.starting_at(0).actions()
                );
            }
        }
    }
}
