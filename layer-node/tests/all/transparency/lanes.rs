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

pub const ORDERS: [(&str, Order); 3] = [("gpipe", gpipe), ("1F1B", one_f_one_b), ("late G", late)];
