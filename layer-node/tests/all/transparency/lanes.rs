//! The orders in which the tested stages may execute the actions of a step.

use super::training::SIZES;
use crate::common::id;
use proto::lane::Action;
use proto::microbatch::MicrobatchId;

/// A function that orders the actions of stage `s` of `n`.
pub type Order = fn(s: u32, n: u32) -> Vec<Action>;

/// F0 F1 F2 E0 G0 E1 G1 E2 G2 U
pub fn gpipe(_: u32, _: u32) -> Vec<Action> {
    let m = SIZES.len() as u32;
    let back = (0..m).map(id).flat_map(|m| [Action::Error(m), Action::Gradient(m)]);
    (0..m).map(id).map(Action::Forward).chain(back).chain([Action::Update(0)]).collect()
}

/// GPipe's order, with all errors sent before the first gradient: F0 F1 F2 E0 E1 E2 G0 G1 G2 U
pub fn late(_: u32, _: u32) -> Vec<Action> {
    let m = SIZES.len() as u32;
    let all = |action: fn(MicrobatchId) -> Action| (0..m).map(id).map(action);
    all(Action::Forward)
        .chain(all(Action::Error))
        .chain(all(Action::Gradient))
        .chain([Action::Update(0)])
        .collect()
}

/// The 1F1B order: the last stage runs F0 F1 E0 G0 F2 E1 G1 E2 G2 U, and the stages below run further ahead.
pub fn one_f_one_b(s: u32, n: u32) -> Vec<Action> {
    let m = SIZES.len() as u32;
    let warm = (n - s + 1).min(m);
    let steady = |i: u32| {
        let next = (warm + i < m).then_some(Action::Forward(id(warm + i)));
        [Action::Error(id(i)), Action::Gradient(id(i))].into_iter().chain(next)
    };
    (0..warm).map(id).map(Action::Forward).chain((0..m).flat_map(steady)).chain([Action::Update(0)]).collect()
}

/// The order of 1F1B with G put off while n + 1 are held: the last of two stages runs F0 F1 E0 F2 E1 G0 E2 G1 G2 U.
pub fn zero_bubble(s: u32, n: u32) -> Vec<Action> {
    let (mut lane, mut held, mut gradients) = (Vec::new(), 0, (0..SIZES.len() as u32).map(id));
    let order = one_f_one_b(s, n);
    let nexts = order.iter().skip(1).map(Some).chain([None]);
    for (&action, next) in order.iter().zip(nexts) {
        match action {
            Action::Forward(_) if held > n => lane.extend(gradients.next().map(Action::Gradient)),
            Action::Forward(_) => held += 1,
            // The G of the warm-up and of the steady state is put off; that of the cooldown is one for each E.
            Action::Gradient(_) if matches!(next, Some(Action::Forward(_))) => continue,
            Action::Gradient(_) => {
                lane.extend(gradients.next().map(Action::Gradient));
                continue;
            }
            Action::Update(_) => lane.extend(gradients.by_ref().map(Action::Gradient)),
            Action::Error(_) => {}
        }
        lane.push(action);
    }
    lane
}

pub const ORDERS: [(&str, Order); 4] =
    [("gpipe", gpipe), ("1F1B", one_f_one_b), ("late G", late), ("zero bubble", zero_bubble)];
