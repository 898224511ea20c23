//! A worker of a prediction: a stage or a backward node, which follows a lane.

use proto::lane::{Action, Lane};

use super::network::Network;
use super::{BackwardCost, Costs, SplitCost, StageCost, Timed};

/// A part of an action.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// Wait for a message of this flow.
    Take(usize),
    /// Compute for so many seconds.
    Compute(f64),
    /// Put a message into this flow that occupies its link for so many seconds.
    Send(usize, f64),
}

/// The parts of F, E, G and U.
type Parts = [Vec<Part>; 4];

/// A stage or a backward node.
pub(super) struct Worker<'a> {
    /// The stage's index.
    pub(super) stage: usize,
    pub(super) done: Vec<Timed>,
    actions: &'a [Action],
    /// The steps of the lane.
    steps: u64,
    /// The updates so far.
    updates: u64,
    parts: Parts,
    /// The parts of the action under way that are done.
    passed: usize,
    /// Whether the worker computes, or waits for a core to compute on.
    computing: bool,
    /// The layers whose B owes its part of the last U, and the seconds of each part.
    owed: u32,
    part_of_b: f64,
    followers: u32,
    /// The parts of B that are computed now.
    following: u32,
    /// B's part of each U, layer by layer.
    pub(super) followed: Vec<Timed>,
    /// When the action under way began to compute, and the seconds for which it has computed.
    begun: Option<f64>,
    seconds: f64,
}

impl<'a> Worker<'a> {
    /// Stage `s`, which takes from its neighbours and sends to them, and in between asks its backward node.
    pub(super) fn stage(s: usize, lane: &'a Lane, costs: &Costs) -> Self {
        let StageCost { forward, error, gradient, update, follow, followers } = costs.stages[s];
        let half = costs.half(s);
        let there = Network::there(costs.stages.len(), s);
        let sent = |of: fn(&SplitCost) -> Option<f64>| {
            let layers = half.map_or(&[][..], |half| &half.layers);
            layers.iter().filter_map(of).map(|seconds| Part::Send(there, seconds)).collect::<Vec<_>>()
        };
        let (samples, noise) = (sent(|layer| layer.sample), sent(|layer| layer.noise));
        let again = half.is_some_and(|half| half.recompute);
        let (early, late) = if again { (Vec::new(), samples) } else { (samples, Vec::new()) };
        let asked = half.map_or_else(Vec::new, |half| asked(half, s, costs.stages.len()));
        let first = |flow, seconds| [Part::Take(flow), Part::Compute(seconds)].into_iter();
        let up = Part::Send(Network::up(s + 1), costs.links[s + 1].forward);
        let down = Part::Send(Network::down(s), costs.links[s].error);
        let parts = [
            first(Network::up(s), forward).chain(early).chain([up]).collect(),
            first(Network::down(s + 1), error).chain(late).chain(asked).chain([down]).collect(),
            vec![Part::Compute(gradient)],
            [Part::Compute(update)].into_iter().chain(noise).collect(),
        ];
        let part_of_b = if followers > 0 { follow / f64::from(followers) } else { 0.0 };
        Self { followers, part_of_b, ..Self::new(s, lane, parts) }
    }

    /// The backward node of stage `s` of `stages`.
    pub(super) fn backward(s: usize, stages: usize, lane: &'a Lane, half: &BackwardCost) -> Self {
        let [there, back] = [Network::there(stages, s), Network::back(stages, s)];
        let taken = |of: fn(&SplitCost) -> Option<f64>| {
            half.layers.iter().filter_map(of).map(|_| Part::Take(there)).collect::<Vec<_>>()
        };
        let (samples, noise) = (taken(|layer| layer.sample), taken(|layer| layer.noise));
        let (early, late) = if half.recompute { (Vec::new(), samples) } else { (samples, Vec::new()) };
        let answer = |layer: &SplitCost| {
            let reply = layer.reply.map(|seconds| Part::Send(back, seconds));
            let answered = layer.request.map(|_| [Part::Take(there), Part::Compute(layer.error)]);
            answered.into_iter().flatten().chain(reply).collect::<Vec<_>>()
        };
        let answers = half.layers.iter().rev().flat_map(answer);
        let parts = [
            early,
            late.into_iter().chain(answers).collect(),
            vec![Part::Compute(half.gradient)],
            noise.into_iter().chain([Part::Compute(half.update)]).collect(),
        ];
        Self::new(s, lane, parts)
    }

    fn new(stage: usize, lane: &'a Lane, parts: Parts) -> Self {
        Self {
            stage,
            done: Vec::new(),
            actions: lane.actions(),
            steps: lane.microbatches().len() as u64,
            updates: 0,
            parts,
            passed: 0,
            computing: false,
            owed: 0,
            part_of_b: 0.0,
            followers: 0,
            following: 0,
            followed: Vec::new(),
            begun: None,
            seconds: 0.0,
        }
    }

    /// How often the whole lane was run.
    fn rounds(&self) -> u64 {
        (self.done.len() / self.actions.len().max(1)) as u64
    }

    /// The steps that are reported: those whose B has followed.
    pub(super) fn reported(&self) -> u64 {
        self.updates - u64::from(self.owed > 0)
    }

    /// Whether B owes a part of the last U.
    pub(super) fn owes(&self) -> bool {
        self.owed > 0
    }

    /// Begins with B's parts of the last U: with one while the worker waits, and with `all` before it reads B. The answer
    /// is the seconds that they take; `None` if none is owed, or the worker computes.
    pub(super) fn follow(&mut self, all: bool) -> Option<f64> {
        if self.owed == 0 || self.computing {
            return None;
        }
        self.following = if all { self.owed } else { 1 };
        Some(f64::from(self.following) * self.part_of_b)
    }

    /// The next action of the lane, or the one under way; the lane is run `rounds` times.
    pub(super) fn next(&self, rounds: u64) -> Option<Action> {
        let action = self.actions.get(self.done.len() % self.actions.len().max(1))?;
        let round = self.rounds();
        (round < rounds).then(|| action.in_step(action.step() + round * self.steps))
    }

    /// The next part of the action under way, which is `None` once all are done; nothing while the worker computes, or
    /// waits for a core, or once its lane has ended.
    pub(super) fn part(&self, rounds: u64) -> Option<(Action, Option<Part>)> {
        let action = self.next(rounds).filter(|_| !self.computing)?;
        let parts = match action {
            Action::Forward(_) => &self.parts[0],
            Action::Error(_) => &self.parts[1],
            Action::Gradient(_) => &self.parts[2],
            Action::Update(_) => &self.parts[3],
        };
        Some((action, parts.get(self.passed).copied()))
    }

    /// The next part is done.
    pub(super) fn passed(&mut self) {
        self.passed += 1;
    }

    /// The worker computes as soon as a core is free.
    pub(super) fn wait(&mut self) {
        self.computing = true;
    }

    /// The worker begins to compute.
    pub(super) fn compute(&mut self, now: f64, seconds: f64) {
        self.computing = true;
        if self.following > 0 {
            let action = Action::Update(self.updates.saturating_sub(1));
            self.followed.push(Timed { action, start: now, end: now + seconds, computing: seconds });
            return;
        }
        self.begun.get_or_insert(now);
        self.seconds += seconds;
    }

    /// The worker has computed the next part, or parts of B; whether these were the last ones of their step.
    pub(super) fn computed(&mut self) -> bool {
        self.computing = false;
        match std::mem::take(&mut self.following) {
            0 => self.passed(),
            followed => {
                self.owed -= followed;
                return self.owed == 0;
            }
        }
        false
    }

    /// All parts of `action` are done.
    pub(super) fn close(&mut self, now: f64, action: Action) {
        let start = self.begun.take().unwrap_or(now);
        let computing = std::mem::take(&mut self.seconds);
        self.done.push(Timed { action, start, end: now, computing });
        self.passed = 0;
        if matches!(action, Action::Update(_)) {
            self.owed = self.followers;
            self.updates += 1;
        }
    }
}

/// The round trips of a stage's E: the error of each split layer goes out, the highest first, and the stage computes on
/// once the reply is there.
fn asked(half: &BackwardCost, s: usize, stages: usize) -> Vec<Part> {
    let [there, back] = [Network::there(stages, s), Network::back(stages, s)];
    let ask = |layer: &SplitCost| {
        let out = layer.request.map(|seconds| Part::Send(there, seconds));
        let reply = layer.reply.map(|_| Part::Take(back));
        out.into_iter().chain(reply).chain([Part::Compute(layer.after)]).collect::<Vec<_>>()
    };
    half.layers.iter().rev().flat_map(ask).collect()
}
