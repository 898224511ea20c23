//! The simulation behind a prediction: stages and wires that move as soon as they can.

use std::collections::VecDeque;

use proto::lane::{Action, Lane};

use super::{Costs, StageCost, Timed};

/// One direction of a link: messages leave one after another and arrive in order.
struct Wire {
    transfer: f64,
    latency: f64,
    free: f64,
    arrived: VecDeque<f64>,
}

impl Wire {
    fn new(transfer: f64, latency: f64) -> Self {
        Self { transfer, latency, free: 0.0, arrived: VecDeque::new() }
    }

    fn send(&mut self, ready: f64) {
        self.free = self.free.max(ready) + self.transfer;
        self.arrived.push_back(self.free + self.latency);
    }
}

/// The state of the simulation. `up[s]` and `down[s]` are the two directions of the link below stage s; s = n is
/// the link to the coordinator at the top.
struct Clock<'a> {
    lanes: &'a [Lane],
    costs: &'a Costs,
    up: Vec<Wire>,
    down: Vec<Wire>,
    loss_free: f64,
    done: Vec<Vec<Timed>>,
}

/// Every action of every stage with its times; for lanes that deadlock, the stages that wait and their actions.
pub(super) fn run(lanes: &[Lane], costs: &Costs) -> Result<Vec<Vec<Timed>>, Vec<(usize, Action)>> {
    let mut clock = Clock::new(lanes, costs);
    while (0..lanes.len()).filter(|&s| clock.advance(s)).count() > 0 {}
    let waiting = |s: usize| Some((s, *lanes[s].actions().get(clock.done[s].len())?));
    let stuck: Vec<_> = (0..lanes.len()).filter_map(waiting).collect();
    if stuck.is_empty() { Ok(clock.done) } else { Err(stuck) }
}

impl<'a> Clock<'a> {
    fn new(lanes: &'a [Lane], costs: &'a Costs) -> Self {
        let mut up: Vec<_> = costs.links.iter().map(|link| Wire::new(link.forward, link.latency)).collect();
        let down = costs.links.iter().map(|link| Wire::new(link.error, link.latency)).collect();
        for _ in 0..lanes.first().map_or(0, |lane| lane.microbatches().iter().sum()) {
            up[0].send(0.0);
        }
        Self { lanes, costs, up, down, loss_free: 0.0, done: vec![Vec::new(); lanes.len()] }
    }

    /// Runs stage `s` until it has to wait; returns whether it did anything.
    fn advance(&mut self, s: usize) -> bool {
        let before = self.done[s].len();
        while let Some(&action) = self.lanes[s].actions().get(self.done[s].len()) {
            let Some(ready) = self.ready(s, action) else { break };
            let start = self.done[s].last().map_or(ready, |last| last.end.max(ready));
            let end = start + seconds(&self.costs.stages[s], action);
            self.done[s].push(Timed { action, start, end });
            self.send(s, action, end);
        }
        self.done[s].len() > before
    }

    /// The time at which the message that `action` needs from a neighbour arrives; `None` if it is not sent yet.
    fn ready(&mut self, s: usize, action: Action) -> Option<f64> {
        match action {
            Action::Forward(_) => self.up[s].arrived.pop_front(),
            Action::Error(_) => self.down[s + 1].arrived.pop_front(),
            Action::Gradient(_) | Action::Update(_) => Some(0.0),
        }
    }

    fn send(&mut self, s: usize, action: Action, end: f64) {
        match action {
            Action::Forward(_) => self.up[s + 1].send(end),
            Action::Error(_) => self.down[s].send(end),
            Action::Gradient(_) | Action::Update(_) => {}
        }
        self.lose();
    }

    /// The coordinator's part: arrived logits become errors, one after another.
    fn lose(&mut self) {
        let n = self.lanes.len();
        while let Some(arrived) = self.up[n].arrived.pop_front() {
            self.loss_free = self.loss_free.max(arrived) + self.costs.loss;
            self.down[n].send(self.loss_free);
        }
    }
}

fn seconds(cost: &StageCost, action: Action) -> f64 {
    match action {
        Action::Forward(_) => cost.forward,
        Action::Error(_) => cost.error,
        Action::Gradient(_) => cost.gradient,
        Action::Update(_) => cost.update,
    }
}
