//! Predicted times: when every action starts and ends, given the costs, by an exact simulation with unbounded
//! queues.
//!
//! A stage follows its lane in order. F(m) waits for the activation from below, E(m) for the error from above. At
//! the top the coordinator computes the loss, one microbatch at a time:
//!
//! ```text
//! F(m)@n-1 ──link──▶ loss(m) ──link──▶ E(m)@n-1
//! ```
//!
//! A stage whose W and B are on two hosts sends samples in F, asks its backward node once for each split layer in E, and
//! waits for the answer; the backward node follows the same lane, so that both compute their G at once:
//!
//! ```text
//! E(m)@s ──error──▶ E(m)@backward ──error──▶ E(m)@s ──error──▶ …
//! ```
//!
//! U ends once everything that a forward pass reads has stepped. B follows, layer by layer, while the stage waits, and at the
//! latest before its next E:
//!
//! ```text
//! … G5 U B F0 B F1 F2 E0 …
//! ```
//!
//! Stages, backward nodes and the coordinator are hosts with one link each, which their messages share. All times are in
//! seconds from the moment at which the coordinator begins to send the inputs.

mod clock;
mod network;
mod worker;

use proto::lane::{Action, Lane};

/// The costs of one stage, in seconds: per microbatch, and `update` per step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageCost {
    /// F of one microbatch.
    pub forward: f64,
    /// E of one microbatch; in a stage with split layers, the part before the first of them.
    pub error: f64,
    /// G of one microbatch.
    pub gradient: f64,
    /// U, once per step, without the part of B that follows.
    pub update: f64,
    /// B's part of U, once per step; 0 for a stage with a backward node.
    pub follow: f64,
    /// The layers that share B's part evenly. The stage looks for messages between two of them.
    pub followers: u32,
}

/// The costs of one split layer, in seconds per microbatch. A message costs the seconds for which it occupies its link,
/// and is `None` where the layer has none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SplitCost {
    /// The samples, to the backward node in F, or in E where they are computed again.
    pub sample: Option<f64>,
    /// The error at y, to the backward node in E.
    pub request: Option<f64>,
    /// The computing of the error at x by the backward node.
    pub error: f64,
    /// The error at x, back in E.
    pub reply: Option<f64>,
    /// The rest of the stage's E down to the next split layer.
    pub after: f64,
    /// The noise, to the backward node in U.
    pub noise: Option<f64>,
}

/// The costs of a stage's backward node, in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BackwardCost {
    /// The split layers, in the order of the network.
    pub layers: Vec<SplitCost>,
    /// G of one microbatch.
    pub gradient: f64,
    /// U, once per step.
    pub update: f64,
    /// Whether the samples go out in E, computed again.
    pub recompute: bool,
    /// The latency of the link between the halves, as [`LinkCost::latency`].
    pub latency: f64,
    /// The first window of either direction, as [`LinkCost::window`].
    pub window: Option<f64>,
}

/// The costs of one link, in seconds. Messages of one direction follow one another. Messages that a host sends at once
/// share its rate, and so do those that it receives.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkCost {
    /// Seconds for which one microbatch's activations occupy the way up: bytes over bandwidth.
    pub forward: f64,
    /// Seconds for which one microbatch's error signal occupies the way down.
    pub error: f64,
    /// Seconds between the sending of a message's last byte and its arrival; the latency does not occupy the link.
    pub latency: f64,
    /// Seconds for which the first window of a connection occupies the link: what a sender may send before anything is
    /// acknowledged. `None` where nothing is acknowledged.
    pub window: Option<f64>,
}

/// The costs of a pipeline of n stages.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// The costs of each stage, stage 0 first.
    pub stages: Vec<StageCost>,
    /// The costs of n + 1 links: the link below each stage, stage 0 first, then the link from the last stage to the
    /// coordinator.
    pub links: Vec<LinkCost>,
    /// Seconds in which the coordinator turns one microbatch's logits into its error.
    pub loss: f64,
    /// The costs of each stage's backward node, `None` for a stage that is not split; empty if none is.
    pub backward: Vec<Option<BackwardCost>>,
    /// The most nodes that compute at the same moment, where all share the cores of one host; `None` where each has its own.
    pub at_once: Option<usize>,
}

impl Costs {
    /// The same costs at each of `stages` stages and at all of their links.
    pub fn uniform(stages: usize, stage: StageCost, link: LinkCost, loss: f64) -> Self {
        let (stages, links) = (vec![stage; stages], vec![link; stages + 1]);
        Self { stages, links, loss, backward: Vec::new(), at_once: None }
    }

    /// The backward node of stage `s`, if there is one.
    fn half(&self, s: usize) -> Option<&BackwardCost> {
        self.backward.get(s)?.as_ref()
    }

    /// The stages with a backward node, and its costs.
    fn halves(&self) -> impl Iterator<Item = (usize, &BackwardCost)> {
        self.backward.iter().enumerate().filter_map(|(s, half)| Some((s, half.as_ref()?)))
    }

    /// Whether every cost is a time.
    fn are_times(&self) -> bool {
        let of_stages = self.stages.iter().flat_map(|c| [c.forward, c.error, c.gradient, c.update, c.follow]);
        let of_link = |c: &LinkCost| [c.forward, c.error, c.latency, c.window.unwrap_or(0.0)];
        let of_layer = |c: &SplitCost| {
            let messages = [c.sample, c.request, c.reply, c.noise].map(|seconds| seconds.unwrap_or(0.0));
            messages.into_iter().chain([c.error, c.after])
        };
        let of_half = |c: &BackwardCost| [c.gradient, c.update, c.latency, c.window.unwrap_or(0.0)];
        let of_halves = self
            .halves()
            .flat_map(|(_, half)| of_half(half).into_iter().chain(half.layers.iter().flat_map(of_layer)));
        let of_links = self.links.iter().flat_map(of_link);
        let mut all = of_stages.chain(of_links).chain(of_halves).chain([self.loss]);
        all.all(|cost| cost.is_finite() && cost >= 0.0)
    }
}

/// One action with its place in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// The action.
    pub action: Action,
    /// The start, in seconds.
    pub start: f64,
    /// The end, in seconds.
    pub end: f64,
    /// The seconds of it in which the node computes; in the rest it waits for the other half of its stage.
    pub computing: f64,
}

/// The actions of all nodes.
struct Run {
    stages: Vec<Vec<Timed>>,
    /// B's part of each U of each stage, layer by layer.
    followed: Vec<Vec<Timed>>,
    /// Those of the backward nodes, each with its stage.
    backward: Vec<(usize, Vec<Timed>)>,
}

/// One run of a whole pipeline's lanes, from a standing start.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    stages: Vec<Vec<Timed>>,
    followed: Vec<Vec<Timed>>,
    backward: Vec<(usize, Vec<Timed>)>,
}

impl Timeline {
    /// Every action of every stage, in the order of its lane; stage 0 first.
    pub fn stages(&self) -> &[Vec<Timed>] {
        &self.stages
    }

    /// B's part of U in every stage, a span of U for each layer with a part; stage 0 first.
    pub fn followed(&self) -> &[Vec<Timed>] {
        &self.followed
    }

    /// Every action of each backward node, with the index of its stage.
    pub fn backward(&self) -> &[(usize, Vec<Timed>)] {
        &self.backward
    }

    /// The end of the last action of all nodes, in seconds: the predicted time of one step.
    pub fn makespan(&self) -> f64 {
        let backward = self.backward.iter().map(|(_, actions)| actions);
        self.stages
            .iter()
            .chain(&self.followed)
            .chain(backward)
            .flatten()
            .map(|timed| timed.end)
            .fold(0.0, f64::max)
    }

    /// The seconds in which each stage computes.
    pub fn busy(&self) -> Vec<f64> {
        self.stages.iter().zip(&self.followed).map(|(stage, followed)| busy(stage) + busy(followed)).collect()
    }

    /// The seconds in which each stage waits: the makespan less the busy time.
    pub fn idle(&self) -> Vec<f64> {
        let makespan = self.makespan();
        self.busy().into_iter().map(|busy| (makespan - busy).max(0.0)).collect()
    }

    /// The share of all stages' time that is idle, 1 − busy / (n · makespan); 0 where nothing takes time.
    pub fn bubble(&self) -> f64 {
        idle_share(&self.busy(), self.makespan())
    }
}

/// The reason why no prediction is possible, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// The numbers of lanes and costs don't fit each other.
    #[error("{lanes} lanes need costs of as many stages and of one link more, not of {stages} and {links}")]
    Sizes {
        /// The number of lanes.
        lanes: usize,
        /// The number of stages' costs.
        stages: usize,
        /// The number of links' costs.
        links: usize,
    },
    /// A cost is negative, infinite or not a number.
    #[error("every cost is a finite number of seconds, at least 0")]
    Cost,
    /// The stages that never end their lanes, each with the action at which it waits for ever.
    #[error("these lanes deadlock: {}", stuck(.0))]
    Deadlock(Vec<(usize, Action)>),
}

/// A pipeline in its stride: steps follow one another, and the inputs of the next steps are on their way.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// Seconds from the end of one step to the end of the next one.
    pub step: f64,
    /// The seconds of one step in which each stage computes.
    pub busy: Vec<f64>,
    /// The seconds of one step in which each stage waits for the answers of its backward node.
    pub asking: Vec<f64>,
    /// The seconds of one step in which each backward node computes, with the index of its stage.
    pub backward: Vec<(usize, f64)>,
    /// The steps from an empty pipeline to an empty one, and their seconds.
    whole: (u64, f64),
}

impl Pace {
    /// The pace of a pipeline that drains after every `between` steps, where what follows a drain does not count.
    pub fn draining(mut self, between: u32) -> Self {
        let ((steps, seconds), between) = (self.whole, f64::from(between));
        self.step = (seconds + (between - steps as f64) * self.step) / between;
        self
    }

    /// The share of all stages' time that is idle, as of a [`Timeline`].
    pub fn bubble(&self) -> f64 {
        idle_share(&self.busy, self.step)
    }
}

/// Steps before the pipeline is in its stride, and steps that are timed then. The windows of connections take some
/// steps to grow.
const STRIDE: [u64; 2] = [4, 4];
/// Actions from which on only one step is timed, after one other: the simulation of more would take long.
const MANY: usize = 50_000;

/// Predicts the pace of the pipeline whose stages follow `lanes`: those of one step again and again, or asynchronous lanes
/// of several steps once, of which the first ones fill the pipeline and the last ones drain it.
///
/// # Errors
/// As [`predict`].
pub fn pace(lanes: &[Lane], costs: &Costs) -> Result<Pace, TimingError> {
    let Window { rounds, before, timed } = window(lanes);
    let Run { stages, followed, backward } = simulate(lanes, costs, rounds)?;
    let nodes = || stages.iter().chain(backward.iter().map(|(_, actions)| actions));
    let end = |steps: u64| {
        let update = |actions: &Vec<Timed>| {
            let mut updates = actions.iter().filter(|timed| matches!(timed.action, Action::Update(_)));
            Some(updates.nth(steps as usize - 1)?.end)
        };
        nodes().filter_map(update).fold(0.0, f64::max)
    };
    let step = (end(before + timed) - end(before)) / timed as f64;
    let all = rounds * steps(lanes);
    let whole = (all, end(all));
    let rounds = all as f64;
    let asking = |actions: &Vec<Timed>| -> f64 { actions.iter().map(Timed::waiting).sum() };
    Ok(Pace {
        step,
        busy: stages
            .iter()
            .zip(&followed)
            .map(|(actions, followed)| (busy(actions) + busy(followed)) / rounds)
            .collect(),
        asking: stages.iter().map(|actions| asking(actions) / rounds).collect(),
        backward: backward.iter().map(|(s, actions)| (*s, busy(actions) / rounds)).collect(),
        whole,
    })
}

/// The steps of a simulation that are timed.
struct Window {
    /// How often the lanes are run.
    rounds: u64,
    /// The steps before the timed ones.
    before: u64,
    timed: u64,
}

fn window(lanes: &[Lane]) -> Window {
    let (steps, lookahead) = (steps(lanes), lanes.first().map_or(0, lookahead));
    if steps > 1 {
        let timed = (steps.saturating_sub(2 * lookahead) / 2).max(1);
        return Window { rounds: 1, before: (steps.saturating_sub(lookahead + timed)).max(1), timed };
    }
    let actions: usize = lanes.iter().map(|lane| lane.actions().len()).sum();
    let [before, timed] = if actions < MANY { STRIDE } else { [1, 1] };
    Window { rounds: before + timed, before, timed }
}

/// The steps of the lanes.
fn steps(lanes: &[Lane]) -> u64 {
    lanes.first().map_or(0, |lane| lane.microbatches().len() as u64)
}

/// The steps after the first of which a stage runs forwards before its first update: none unless the lane is
/// asynchronous.
fn lookahead(lane: &Lane) -> u64 {
    let ahead = lane.actions().iter().take_while(|action| !matches!(action, Action::Update(_)));
    ahead.map(|action| action.step() - lane.first()).max().unwrap_or(0)
}

/// Predicts one run of the pipeline whose stages follow `lanes`.
///
/// # Errors
/// Sizes that don't fit, a cost that is no time, or lanes that wait for each other for ever.
pub fn predict(lanes: &[Lane], costs: &Costs) -> Result<Timeline, TimingError> {
    let Run { stages, followed, backward } = simulate(lanes, costs, 1)?;
    Ok(Timeline { stages, followed, backward })
}

/// Every action of every node, where the lanes are run `rounds` times.
fn simulate(lanes: &[Lane], costs: &Costs, rounds: u64) -> Result<Run, TimingError> {
    let (stages, links, halves) = (costs.stages.len(), costs.links.len(), costs.backward.len());
    if stages != lanes.len() || links != lanes.len() + 1 || halves > 0 && halves != lanes.len() {
        return Err(TimingError::Sizes { lanes: lanes.len(), stages, links });
    }
    if !costs.are_times() {
        return Err(TimingError::Cost);
    }
    clock::run(lanes, costs, rounds).map_err(TimingError::Deadlock)
}

impl Timed {
    /// The seconds in which the node waits for the other half of its stage, within the action.
    fn waiting(&self) -> f64 {
        (self.end - self.start - self.computing).max(0.0)
    }
}

/// The seconds in which a node computes.
fn busy(actions: &[Timed]) -> f64 {
    actions.iter().map(|timed| timed.computing).sum()
}

/// The share of all stages' time that is idle, 1 − busy / (n · seconds); 0 where nothing takes time.
fn idle_share(busy: &[f64], seconds: f64) -> f64 {
    let available = busy.len() as f64 * seconds;
    if available > 0.0 { (1.0 - busy.iter().sum::<f64>() / available).max(0.0) } else { 0.0 }
}

fn stuck(stages: &[(usize, Action)]) -> String {
    let waits: Vec<_> = stages.iter().map(|(s, action)| format!("stage {s} waits at {action}")).collect();
    waits.join(", ")
}

#[cfg(test)]
mod tests;
