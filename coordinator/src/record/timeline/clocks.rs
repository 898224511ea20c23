//! The nodes' clocks, compared with the coordinator's: estimates from the exchanges of commands for reports, and their
//! correction by the messages of a step, none of which arrives before it departs.

use proto::link::Role;
use proto::timeline::Exchange;
use std::collections::{BTreeMap, VecDeque};

/// The most estimates that are kept for a node.
const KEPT: usize = 64;
/// What an estimate loses of its certainty in each second, in nanoseconds: the clocks of two hosts drift apart by less,
/// unless one of them is being set right.
const DRIFT_NS_PER_S: u64 = 50_000;
/// The uncertainty of a node whose clock was never compared, in nanoseconds.
const UNKNOWN_NS: u64 = 3_600_000_000_000;
/// The most rounds of the correction. Contradictions within the uncertainties are gone after a few.
const ROUNDS: usize = 200;

/// An estimate of a node's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Nanoseconds to add to the node's time for the coordinator's time.
    pub offset_ns: i64,
    /// The largest error of the offset, in nanoseconds.
    pub uncertainty_ns: u64,
}

/// An estimate with its moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at_ns: u64,
    estimate: Estimate,
}

impl Reading {
    /// The estimate at another moment, to which the clocks may have drifted.
    fn at(&self, now_ns: u64) -> Estimate {
        let Estimate { offset_ns, uncertainty_ns } = self.estimate;
        let drift = u128::from(now_ns.abs_diff(self.at_ns)) * u128::from(DRIFT_NS_PER_S) / 1_000_000_000;
        let drift = u64::try_from(drift).unwrap_or(u64::MAX);
        Estimate { offset_ns, uncertainty_ns: uncertainty_ns.saturating_add(drift) }
    }
}

/// The clocks of all nodes.
#[derive(Clone, Debug, Default)]
pub struct Clocks(BTreeMap<Role, VecDeque<Reading>>);

impl Clocks {
    /// Adds an exchange with a node. Readings that are less certain than the new one, by now, are dropped.
    pub fn add(&mut self, node: Role, exchange: &Exchange) {
        let (Some(offset_ns), Some(round_trip)) = (exchange.offset_ns(), exchange.round_trip_ns()) else {
            return;
        };
        let (at_ns, uncertainty_ns) = (exchange.heard_ns, round_trip.div_ceil(2));
        let readings = self.0.entry(node).or_default();
        readings.retain(|reading| reading.at(at_ns).uncertainty_ns < uncertainty_ns);
        if readings.len() == KEPT {
            readings.pop_front();
        }
        readings.push_back(Reading { at_ns, estimate: Estimate { offset_ns, uncertainty_ns } });
    }

    /// The most certain estimate of a node's clock at a moment of the coordinator's clock.
    pub fn at(&self, node: Role, now_ns: u64) -> Estimate {
        if node == Role::Coordinator {
            return Estimate { offset_ns: 0, uncertainty_ns: 0 };
        }
        let readings = self.0.get(&node).into_iter().flatten();
        let best = readings.map(|reading| reading.at(now_ns)).min_by_key(|estimate| estimate.uncertainty_ns);
        best.unwrap_or(Estimate { offset_ns: 0, uncertainty_ns: UNKNOWN_NS })
    }
}

/// A message between two processes, each time by the clock of its end.
#[derive(Clone, Copy, Debug)]
pub struct Crossing {
    /// The sender.
    pub from: Role,
    /// The receiver.
    pub to: Role,
    /// The departure, by the sender's clock.
    pub departed_ns: u64,
    /// The arrival, by the receiver's clock.
    pub arrived_ns: u64,
}

/// Corrects the offsets so that no message arrives before it departs. Of two clocks that contradict each other, the less
/// certain one moves more, and the coordinator's never does. A correction beyond the uncertainty widens it.
pub fn correct(estimates: &mut BTreeMap<Role, Estimate>, crossings: &[Crossing]) {
    let bounds = bounds(crossings);
    let before = estimates.clone();
    for _ in 0..ROUNDS {
        let mut agreed = true;
        for (&(from, to), &least) in &bounds {
            agreed &= separate(estimates, from, to, least);
        }
        if agreed {
            break;
        }
    }
    settle(estimates, &bounds);
    for (node, estimate) in estimates {
        let moved = before.get(node).map_or(0, |before| before.offset_ns.abs_diff(estimate.offset_ns));
        estimate.uncertainty_ns = estimate.uncertainty_ns.max(moved);
    }
}

/// For each pair of processes, the least difference between the offsets of receiver and sender.
fn bounds(crossings: &[Crossing]) -> BTreeMap<(Role, Role), i64> {
    let mut bounds: BTreeMap<(Role, Role), i64> = BTreeMap::new();
    for &Crossing { from, to, departed_ns, arrived_ns } in crossings {
        let least = i128::from(departed_ns) - i128::from(arrived_ns);
        let least = i64::try_from(least).unwrap_or(i64::MIN);
        bounds.entry((from, to)).and_modify(|known| *known = least.max(*known)).or_insert(least);
    }
    bounds
}

/// Removes the contradictions that the rounds have left, be they of a nanosecond. The bounds are a system of differences: once
/// no offset is above the largest that fits the coordinator's clock, raising every receiver's to its bounds keeps it so.
fn settle(estimates: &mut BTreeMap<Role, Estimate>, bounds: &BTreeMap<(Role, Role), i64>) {
    let largest = |&node: &Role| (node, if node == Role::Coordinator { 0 } else { i64::MAX });
    let mut largest: BTreeMap<Role, i64> = estimates.keys().map(largest).collect();
    for (&(from, to), &least) in std::iter::repeat_n(bounds, estimates.len()).flatten() {
        let limit =
            largest.get(&to).filter(|limit| **limit < i64::MAX).map(|limit| limit.saturating_sub(least));
        if let (Some(limit), Some(sender)) = (limit, largest.get_mut(&from)) {
            *sender = limit.min(*sender);
        }
    }
    for (node, estimate) in estimates.iter_mut().filter(|(node, _)| **node != Role::Coordinator) {
        estimate.offset_ns = estimate.offset_ns.min(largest[node]);
    }
    for (&(from, to), &least) in std::iter::repeat_n(bounds, estimates.len()).flatten() {
        let least = estimates.get(&from).map(|sender| sender.offset_ns.saturating_add(least));
        if let (Some(least), Some(receiver)) =
            (least, estimates.get_mut(&to).filter(|_| to != Role::Coordinator))
        {
            receiver.offset_ns = least.max(receiver.offset_ns);
        }
    }
}

/// Moves two offsets until the difference of the receiver's and the sender's is at least `least`; whether it already was.
fn separate(estimates: &mut BTreeMap<Role, Estimate>, from: Role, to: Role, least: i64) -> bool {
    let (Some(sender), Some(receiver)) = (estimates.get(&from), estimates.get(&to)) else { return true };
    let missing = i128::from(least) - (i128::from(receiver.offset_ns) - i128::from(sender.offset_ns));
    if missing <= 0 {
        return true;
    }
    // The step is longer than needed: steps of the exact length would come ever closer to an agreement, and never reach it.
    let missing = missing + missing / 4 + 1;
    let doubts = [sender, receiver].map(|estimate| i128::from(estimate.uncertainty_ns));
    let sum = doubts[0] + doubts[1];
    let part = match (from, to) {
        (Role::Coordinator, _) => 0,
        (_, Role::Coordinator) => missing,
        _ if sum == 0 => missing / 2,
        _ => missing * doubts[0] / sum,
    };
    shift(estimates, from, -part);
    shift(estimates, to, missing - part);
    false
}

fn shift(estimates: &mut BTreeMap<Role, Estimate>, node: Role, by: i128) {
    if let Some(estimate) = estimates.get_mut(&node) {
        let by = i64::try_from(by).unwrap_or(0);
        estimate.offset_ns = estimate.offset_ns.saturating_add(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    /// A millisecond in nanoseconds.
    const MS: i64 = 1_000_000;
    /// The coordinator's time at which the tests begin.
    const NOW: i64 = 1_700_000_000_000_000_000;

    /// An exchange at `at` with a node whose clock is `ahead`, where the ways there and back take so long.
    fn exchange(at: i64, ahead: i64, there: i64, back: i64) -> Exchange {
        let (received, answered) = (at + there, at + there + 50 * MS);
        let time = |ns: i64| u64::try_from(ns).unwrap();
        Exchange {
            asked_ns: time(at),
            received_ns: time(received + ahead),
            answered_ns: time(answered + ahead),
            heard_ns: time(answered + back),
        }
    }

    #[test]
    fn the_smallest_round_trip_decides_and_a_drift_is_followed() {
        let (node, mut clocks) = (Role::Stage(0), Clocks::default());
        let at = |clocks: &Clocks, ns: i64| clocks.at(node, u64::try_from(ns).unwrap());
        assert_eq!(at(&clocks, NOW).uncertainty_ns, UNKNOWN_NS);
        // The clock is five hours ahead. One of the exchanges is quick.
        let ahead = 18_000_000 * MS;
        for (second, there, back) in [(0, 9 * MS, MS), (1, MS / 10, MS / 10), (2, 2 * MS, 7 * MS)] {
            clocks.add(node, &exchange(NOW + second * 1000 * MS, ahead, there, back));
        }
        let found = at(&clocks, NOW + 3000 * MS);
        assert_eq!(found.offset_ns, -ahead);
        assert!(found.uncertainty_ns < 250_000, "{found:?}");
        // An hour later it has drifted by 40 ms, and the quick exchange is worth less than a slow one of today.
        let later = NOW + 3_600_000 * MS;
        clocks.add(node, &exchange(later, ahead + 40 * MS, 2 * MS, MS));
        let found = at(&clocks, later);
        let error = (found.offset_ns + ahead + 40 * MS).unsigned_abs();
        assert!(error <= found.uncertainty_ns && found.uncertainty_ns < 2_000_000, "{found:?} {error}");
    }

    #[test]
    fn an_exchange_with_impossible_times_is_ignored() {
        let (node, mut clocks) = (Role::Stage(0), Clocks::default());
        let good = exchange(NOW, 0, MS, MS);
        let worse: [fn(&mut Exchange); 4] =
            [|e| e.asked_ns = 0, |e| e.heard_ns = 1, |e| e.answered_ns = 1, |e| e.answered_ns = u64::MAX];
        for harm in worse {
            let mut harmed = good;
            harm(&mut harmed);
            clocks.add(node, &harmed);
        }
        assert_eq!(clocks.at(node, 1).uncertainty_ns, UNKNOWN_NS);
    }

    /// Nodes whose clocks are hours apart, exchanges whose two ways are unequal, and messages that take less than the
    /// error of the estimates: each message of the corrected clocks departs before it arrives.
    #[test]
    fn no_message_arrives_before_it_departs_whatever_the_clocks_show() {
        for trial in 0..50 {
            let mut rng = proto::seed::rng(trial, &["clocks"]);
            let stages = 1 + (trial % 8) as u32;
            let mut ring = vec![Role::Coordinator];
            ring.extend((0..stages).map(Role::Stage));
            ring.push(Role::Coordinator);
            let mut ahead: BTreeMap<Role, i64> = BTreeMap::from([(Role::Coordinator, 0)]);
            let mut clocks = Clocks::default();
            for stage in (0..stages).map(Role::Stage) {
                let by = rng.random_range(-10_000_000..10_000_000) * MS;
                ahead.insert(stage, by);
                for at in 0..5 {
                    let [there, back] = [0; 2].map(|_| rng.random_range(MS / 20..5 * MS));
                    clocks.add(stage, &exchange(NOW + at * 100 * MS, by, there, back));
                }
            }
            let by = |node: Role, ns: i64| u64::try_from(ns + ahead[&node]).unwrap();
            let mut crossings = Vec::new();
            for (pair, microbatch) in
                ring.windows(2).flat_map(|pair| [[pair[0], pair[1]], [pair[1], pair[0]]]).zip(0..)
            {
                let [from, to] = pair;
                for _ in 0..4 {
                    let sent = NOW + 700 * MS + microbatch * MS;
                    let arrived = sent + rng.random_range(20_000..200_000);
                    crossings.push(Crossing {
                        from,
                        to,
                        departed_ns: by(from, sent),
                        arrived_ns: by(to, arrived),
                    });
                }
            }
            let now = u64::try_from(NOW + 800 * MS).unwrap();
            let mut estimates: BTreeMap<_, _> =
                ahead.keys().map(|&node| (node, clocks.at(node, now))).collect();
            correct(&mut estimates, &crossings);
            for &Crossing { from, to, departed_ns, arrived_ns } in &crossings {
                let [departed, arrived] = [(from, departed_ns), (to, arrived_ns)]
                    .map(|(node, ns)| i128::from(ns) + i128::from(estimates[&node].offset_ns));
                assert!(departed <= arrived, "trial {trial}: {from} to {to}, {} ns", departed - arrived);
            }
            for (node, estimate) in &estimates {
                let error = (estimate.offset_ns + ahead[node]).unsigned_abs();
                assert!(error <= 2 * estimate.uncertainty_ns, "trial {trial}: {node} is wrong by {error} ns");
            }
            assert_eq!(estimates[&Role::Coordinator], Estimate { offset_ns: 0, uncertainty_ns: 0 });
        }
    }
}
