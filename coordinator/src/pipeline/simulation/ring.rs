//! The scripts of a pipeline: the coordinator's tasks, the stages, and the links between them.

use proto::lane::{Action, Lane};

use super::engine::{Engine, Message, Op, Queue, QueueId};

/// How a stage keeps what has arrived.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Inbox {
    /// A queue for activations and a queue for errors, each with the bound.
    PerDirection,
    /// One mailbox for both with one bound; the stage takes out whichever message its lane needs.
    Shared,
}

/// How the coordinator goes about its three jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Coordinator {
    /// Feeding, making losses and draining `done` don't wait for each other.
    ThreeTasks,
    /// One task that sends a minibatch's inputs, then makes its losses, then drains its `done`.
    InputsFirst,
}

/// One simulated run.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    /// The bound of every queue, in microbatches.
    pub(super) bound: usize,
    pub(super) inbox: Inbox,
    /// How many computed errors wait in the coordinator.
    pub(super) outbox: usize,
    pub(super) coordinator: Coordinator,
    /// How many minibatches follow one another without a barrier.
    pub(super) steps: u32,
    pub(super) seed: u64,
}

/// One edge in one direction: the queue that its sender fills and the one that its receiver empties.
#[derive(Clone, Copy)]
struct Pipe {
    from: QueueId,
    to: QueueId,
}

/// `up[s]` and `down[s]` lie below stage s, those with s = n between the last stage and the coordinator.
struct Ring {
    up: Vec<Pipe>,
    down: Vec<Pipe>,
}

fn activation(step: u32, microbatch: u32) -> Message {
    Message { error: false, step, microbatch }
}

fn error(step: u32, microbatch: u32) -> Message {
    Message { error: true, step, microbatch }
}

impl Trial {
    /// Runs `lanes`: what every stage did, in order, or who waits for what for ever.
    pub(super) fn run(&self, lanes: &[Lane]) -> Result<Vec<Vec<Action>>, String> {
        let mut engine = Engine::new(proto::seed::rng(self.seed, &["simulation"]));
        let ring = self.ring(&mut engine, lanes.len());
        for (s, lane) in lanes.iter().enumerate() {
            let script = (0..self.steps).flat_map(|step| stage(&ring, s, lane, step)).collect();
            engine.task(format!("stage {s}"), script);
        }
        let microbatches = lanes[0].microbatches();
        for s in 0..=lanes.len() {
            engine.task(format!("link {s} up"), self.link(ring.up[s], microbatches, activation));
            engine.task(format!("link {s} down"), self.link(ring.down[s], microbatches, error));
        }
        self.coordinator(&mut engine, &ring, microbatches);
        engine.run().map(|mut logs| logs.drain(..lanes.len()).collect())
    }

    fn ring(&self, engine: &mut Engine, n: usize) -> Ring {
        let shared = self.inbox != Inbox::PerDirection;
        let mut queue = |capacity| engine.queue(Queue::new(capacity, self.inbox == Inbox::Shared));
        let up: Vec<_> = (0..=n).map(|_| Pipe { from: queue(self.bound), to: queue(self.bound) }).collect();
        let mut down = |s: usize| Pipe {
            from: queue(if s == n { self.outbox } else { self.bound }),
            to: if shared && s > 0 { up[s - 1].to } else { queue(self.bound) },
        };
        Ring { down: (0..=n).map(&mut down).collect(), up }
    }

    fn microbatches(&self, of_a_step: u32) -> impl Iterator<Item = (u32, u32)> {
        (0..self.steps).flat_map(move |step| (0..of_a_step).map(move |m| (step, m)))
    }

    fn link(&self, pipe: Pipe, microbatches: u32, message: fn(u32, u32) -> Message) -> Vec<Op> {
        let carry =
            |message| [Op::Await(pipe.from, message), Op::Work, Op::Move(pipe.from, pipe.to, message)];
        self.microbatches(microbatches).flat_map(|(step, m)| carry(message(step, m))).collect()
    }

    fn coordinator(&self, engine: &mut Engine, ring: &Ring, microbatches: u32) {
        let steps = || (0..self.steps).map(|step| jobs(ring, step, microbatches));
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

/// The coordinator's three jobs in one step: feed, loss, drain.
fn jobs(ring: &Ring, step: u32, microbatches: u32) -> [Vec<Op>; 3] {
    let (bottom, top) = (0, ring.up.len() - 1);
    let (logits, outbox) = (ring.up[top].to, ring.down[top].from);
    let feed = |m| [Op::Work, Op::Put(ring.up[bottom].from, activation(step, m))];
    let loss = |m| [Op::Take(logits, activation(step, m)), Op::Work, Op::Put(outbox, error(step, m))];
    let drain = |m| Op::Take(ring.down[bottom].to, error(step, m));
    let all = 0..microbatches;
    [all.clone().flat_map(feed).collect(), all.clone().flat_map(loss).collect(), all.map(drain).collect()]
}

/// Stage `s` in one step: what each action of its lane takes, does and sends.
fn stage<'a>(ring: &'a Ring, s: usize, lane: &'a Lane, step: u32) -> impl Iterator<Item = Op> + 'a {
    lane.actions().iter().flat_map(move |&action| {
        let (take, put) = match action {
            Action::Forward(m) => (Some((ring.up[s].to, m)), Some((ring.up[s + 1].from, m))),
            Action::Error(m) => (Some((ring.down[s + 1].to, m)), Some((ring.down[s].from, m))),
            Action::Gradient(_) | Action::Update => (None, None),
        };
        let message = if matches!(action, Action::Error(_)) { error } else { activation };
        let take = take.map(|(queue, m)| Op::Take(queue, message(step, m)));
        let put = put.map(|(queue, m)| Op::Put(queue, message(step, m)));
        [take, Some(Op::Work), Some(Op::Done(action)), put].into_iter().flatten()
    })
}
