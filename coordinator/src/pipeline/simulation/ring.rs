//! The scripts of a pipeline: the coordinator's tasks, the stages with their backward nodes, and the links between them.

use proto::lane::{Action, Lane};
use proto::microbatch::MicrobatchId;

use super::engine::{Engine, Kind, Message, Op, Pipe, Queue};
use super::halves::{Between, Halves, Replies};

/// The queues in which a stage keeps arrived messages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Inbox {
    /// A queue for activations and a queue for errors, each with the bound.
    PerDirection,
    /// One mailbox with one bound for both directions; the stage takes out whichever message its lane needs.
    Shared,
}

/// The order of the coordinator's three jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Coordinator {
    /// Three tasks: feeding, computing losses and draining `done` don't wait for each other.
    ThreeTasks,
    /// One task that sends a minibatch's inputs, then computes its losses, then drains its `done`.
    InputsFirst,
}

/// One simulated run.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    /// The bound of every queue, in microbatches.
    pub(super) bound: usize,
    pub(super) inbox: Inbox,
    /// The number of computed errors that can wait in the coordinator.
    pub(super) outbox: usize,
    pub(super) coordinator: Coordinator,
    /// The split layers of each stage; empty if no stage has any.
    pub(super) halves: Vec<Halves>,
    /// The number of minibatches that follow one another without a barrier.
    pub(super) steps: u64,
    pub(super) seed: u64,
}

/// `up[s]` and `down[s]` lie below stage s, those with s = n between the last stage and the coordinator.
struct Ring {
    up: Vec<Pipe>,
    down: Vec<Pipe>,
}

fn activation(microbatch: MicrobatchId) -> Message {
    Message { kind: Kind::Activation, microbatch }
}

fn error(microbatch: MicrobatchId) -> Message {
    Message { kind: Kind::Error, microbatch }
}

impl Trial {
    /// Runs `lanes`. Returns the actions of every stage in order, and then those of the backward nodes in the order of
    /// their stages, or an error that names the tasks which wait for ever.
    pub(super) fn run(&self, lanes: &[Lane]) -> Result<Vec<Vec<Action>>, String> {
        let mut engine = Engine::new(proto::seed::rng(self.seed, &["simulation"]));
        let ring = self.ring(&mut engine, lanes.len());
        let halves: Vec<Option<(&Halves, Between)>> =
            (0..lanes.len()).map(|s| self.between(&mut engine, &ring, s)).collect();
        // An asynchronous lane has all steps; every other lane is repeated.
        let own = lanes[0].microbatches();
        let rounds = if own.len() > 1 { 1 } else { self.steps };
        let plan: Vec<(u64, u32)> = (0..).zip(own.repeat(rounds as usize)).collect();
        let steps = |lane: &Lane, script: &dyn Fn(&Lane) -> Vec<Op>| -> Vec<Op> {
            (0..rounds).flat_map(|round| script(&lane.starting_at(round))).collect()
        };
        let mut links = Vec::new();
        for ((s, lane), halves) in lanes.iter().enumerate().zip(&halves) {
            let script = steps(lane, &|lane| stage(&ring, s, *halves, lane));
            links.extend(
                halves.map(|(_, between)| (format!("link {s} there"), carry(between.there, &script))),
            );
            engine.task(format!("stage {s}"), script);
        }
        let backward = lanes.iter().zip(&halves).enumerate();
        let backward = backward.filter_map(|(s, (lane, halves))| Some((s, lane, (*halves)?)));
        let mut nodes = lanes.len();
        for (s, lane, (halves, between)) in backward {
            let script = steps(lane, &|lane| halves.answering(lane, between));
            links.push((format!("link {s} back"), carry(between.back, &script)));
            engine.task(format!("stage {s}, backward"), script);
            nodes += 1;
        }
        for s in 0..=lanes.len() {
            engine.task(format!("link {s} up"), link(ring.up[s], &plan, activation));
            engine.task(format!("link {s} down"), link(ring.down[s], &plan, error));
        }
        links.into_iter().for_each(|(name, script)| engine.task(name, script));
        self.coordinator(&mut engine, &ring, &plan);
        engine.run().map(|mut logs| logs.drain(..nodes).collect())
    }

    /// The queues between the halves of stage `s`, if the stage has a backward node.
    fn between(&self, engine: &mut Engine, ring: &Ring, s: usize) -> Option<(&Halves, Between)> {
        let halves = self.halves.get(s).filter(|halves| !halves.layers.is_empty())?;
        let mut queue = || engine.queue(Queue::new(self.bound, false));
        let there = Pipe { from: queue(), to: queue() };
        let to = if halves.replies == Replies::Own { queue() } else { ring.up[s].to };
        Some((halves, Between { there, back: Pipe { from: queue(), to } }))
    }

    fn ring(&self, engine: &mut Engine, n: usize) -> Ring {
        let shared = self.inbox != Inbox::PerDirection;
        let mixed = |halves: &Halves| halves.replies == Replies::WithActivations;
        let unordered = shared || self.halves.iter().any(mixed);
        let mut queue = |capacity| engine.queue(Queue::new(capacity, unordered));
        let up: Vec<_> = (0..=n).map(|_| Pipe { from: queue(self.bound), to: queue(self.bound) }).collect();
        let mut down = |s: usize| Pipe {
            from: queue(if s == n { self.outbox } else { self.bound }),
            to: if shared && s > 0 { up[s - 1].to } else { queue(self.bound) },
        };
        Ring { down: (0..=n).map(&mut down).collect(), up }
    }

    fn coordinator(&self, engine: &mut Engine, ring: &Ring, plan: &[(u64, u32)]) {
        let steps = || plan.iter().map(|(step, microbatches)| jobs(ring, *step, *microbatches));
        match self.coordinator {
            Coordinator::ThreeTasks => {
                for (job, name) in ["feed", "loss", "drain"].into_iter().enumerate() {
                    engine.task(name.to_string(), steps().flat_map(|jobs| jobs[job].clone()).collect());
                }
            }
            Coordinator::InputsFirst => {
                engine.task("coordinator".to_string(), steps().flatten().flatten().collect());
            }
        }
    }
}

/// The script of a link that carries the messages of all steps, each with its number of microbatches.
fn link(pipe: Pipe, plan: &[(u64, u32)], message: fn(MicrobatchId) -> Message) -> Vec<Op> {
    let messages = plan.iter().flat_map(|(step, microbatches)| all(*step, *microbatches)).map(message);
    messages.flat_map(|message| moved(pipe, message)).collect()
}

/// A link moves a message from the sender's queue to the receiver's.
fn moved(pipe: Pipe, message: Message) -> [Op; 3] {
    [Op::Await(pipe.from, message), Op::Work, Op::Move(pipe.from, pipe.to, message)]
}

/// The script of a link that carries whatever `sender` puts into the pipe.
fn carry(pipe: Pipe, sender: &[Op]) -> Vec<Op> {
    let put = |op: &Op| match op {
        Op::Put(queue, message) if *queue == pipe.from => Some(*message),
        _ => None,
    };
    sender.iter().filter_map(put).flat_map(|message| moved(pipe, message)).collect()
}

/// The microbatches of a step.
fn all(step: u64, microbatches: u32) -> impl Iterator<Item = MicrobatchId> + Clone {
    (0..microbatches).map(move |index| MicrobatchId { step, index })
}

/// The coordinator's three jobs in one step: feed, loss, drain.
fn jobs(ring: &Ring, step: u64, microbatches: u32) -> [Vec<Op>; 3] {
    let (bottom, top) = (0, ring.up.len() - 1);
    let (logits, outbox) = (ring.up[top].to, ring.down[top].from);
    let feed = |m| [Op::Work, Op::Put(ring.up[bottom].from, activation(m))];
    let loss = |m| [Op::Take(logits, activation(m)), Op::Work, Op::Put(outbox, error(m))];
    let drain = |m| Op::Take(ring.down[bottom].to, error(m));
    let all = all(step, microbatches);
    [all.clone().flat_map(feed).collect(), all.clone().flat_map(loss).collect(), all.map(drain).collect()]
}

/// The script of stage `s`: the messages that each action of its lane takes and sends.
fn stage(ring: &Ring, s: usize, halves: Option<(&Halves, Between)>, lane: &Lane) -> Vec<Op> {
    let ops = lane.actions().iter().flat_map(|&action| {
        let (take, put) = match action {
            Action::Forward(m) => (Some((ring.up[s].to, m)), Some((ring.up[s + 1].from, m))),
            Action::Error(m) => (Some((ring.down[s + 1].to, m)), Some((ring.down[s].from, m))),
            Action::Gradient(_) | Action::Update(_) => (None, None),
        };
        let message = if matches!(action, Action::Error(_)) { error } else { activation };
        let take = take.map(|(queue, m)| Op::Take(queue, message(m)));
        let put = put.map(|(queue, m)| Op::Put(queue, message(m)));
        let asked = halves.map_or_else(Vec::new, |(halves, between)| halves.asked(action, between));
        take.into_iter().chain([Op::Work]).chain(asked).chain([Op::Done(action)]).chain(put)
    });
    ops.collect()
}
