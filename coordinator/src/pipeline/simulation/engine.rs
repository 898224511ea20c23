//! The engine of the simulation: tasks with scripts, bounded queues, and a clock that jumps to the next event.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use proto::lane::Action;
use proto::microbatch::MicrobatchId;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// A queue's index among all queues.
pub(super) type QueueId = usize;

/// One edge in one direction: the sender's queue and the receiver's queue.
#[derive(Clone, Copy)]
pub(super) struct Pipe {
    pub(super) from: QueueId,
    pub(super) to: QueueId,
}

/// The content of a message; between the halves of a stage, with the number of the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Activation,
    Error,
    /// x or y, to the backward node.
    Sample(usize),
    /// The error at y, to the backward node.
    Request(usize),
    /// The error at x, from the backward node.
    Reply(usize),
    /// Noise, to the backward node.
    Noise(usize),
}

/// A message about one microbatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) microbatch: MicrobatchId,
}

/// One line of a task's script.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    /// Let a random time pass.
    Work,
    /// Wait until this message can be taken, and take it.
    Take(QueueId, Message),
    /// Wait for a free place, and put this message into it.
    Put(QueueId, Message),
    /// Wait until this message can be taken, and leave it in the queue.
    Await(QueueId, Message),
    /// Wait for a free place in the second queue, and move this message there from the first.
    Move(QueueId, QueueId, Message),
    /// Write an action into the task's log.
    Done(Action),
}

/// A queue of up to `capacity` messages, taken in the order of their arrival or, if `unordered`, in any order.
pub(super) struct Queue {
    capacity: usize,
    unordered: bool,
    messages: VecDeque<Message>,
    waiting: Vec<usize>,
}

impl Queue {
    pub(super) fn new(capacity: usize, unordered: bool) -> Self {
        Self { capacity, unordered, messages: VecDeque::new(), waiting: Vec::new() }
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= self.capacity
    }

    fn find(&self, wanted: Message) -> Option<usize> {
        let reach = if self.unordered { self.messages.len() } else { self.messages.len().min(1) };
        self.messages.iter().take(reach).position(|&message| message == wanted)
    }
}

struct Task {
    name: String,
    script: Vec<Op>,
    at: usize,
    slowness: u64,
    log: Vec<Action>,
}

/// The outcome of one attempt at a line of a script.
enum Outcome {
    Went,
    Waits(QueueId),
    Sleeps(u64),
}

/// All tasks and queues, and the times at which each task is due.
pub(super) struct Engine {
    rng: ChaCha8Rng,
    queues: Vec<Queue>,
    tasks: Vec<Task>,
    agenda: BinaryHeap<Reverse<(u64, u32, usize)>>,
}

impl Engine {
    pub(super) fn new(rng: ChaCha8Rng) -> Self {
        Self { rng, queues: Vec::new(), tasks: Vec::new(), agenda: BinaryHeap::new() }
    }

    pub(super) fn queue(&mut self, queue: Queue) -> QueueId {
        self.queues.push(queue);
        self.queues.len() - 1
    }

    /// Adds a task of random slowness: its work takes less than 10, 100 or 1000.
    pub(super) fn task(&mut self, name: String, script: Vec<Op>) {
        let slowness = 10 * [1, 10, 100][self.rng.next_u32() as usize % 3];
        self.schedule(0, self.tasks.len());
        self.tasks.push(Task { name, script, at: 0, slowness, log: Vec::new() });
    }

    /// Runs until nothing moves. Returns the log of every task, or an error that names the waiting tasks and their
    /// queues.
    pub(super) fn run(mut self) -> Result<Vec<Vec<Action>>, String> {
        while let Some(Reverse((now, _, task))) = self.agenda.pop() {
            self.proceed(now, task);
        }
        let waits = |task: &Task| Some(format!("{} waits at {:?}", task.name, task.script.get(task.at)?));
        let stuck: Vec<_> = self.tasks.iter().filter_map(waits).collect();
        if stuck.is_empty() {
            Ok(self.tasks.into_iter().map(|task| task.log).collect())
        } else {
            Err(stuck.join("; "))
        }
    }

    /// Schedules a task. Among tasks that are due at the same time, chance decides the order.
    fn schedule(&mut self, at: u64, task: usize) {
        let tie = self.rng.next_u32();
        self.agenda.push(Reverse((at, tie, task)));
    }

    fn proceed(&mut self, now: u64, task: usize) {
        while let Some(&op) = self.tasks[task].script.get(self.tasks[task].at) {
            match self.attempt(now, task, op) {
                Outcome::Went => self.tasks[task].at += 1,
                Outcome::Waits(queue) => return self.queues[queue].waiting.push(task),
                Outcome::Sleeps(delay) => {
                    self.tasks[task].at += 1;
                    return self.schedule(now + delay, task);
                }
            }
        }
    }

    fn attempt(&mut self, now: u64, task: usize, op: Op) -> Outcome {
        match op {
            Op::Work => return Outcome::Sleeps(self.rng.next_u64() % self.tasks[task].slowness),
            Op::Done(action) => self.tasks[task].log.push(action),
            Op::Take(queue, wanted) | Op::Await(queue, wanted) => {
                let Some(at) = self.queues[queue].find(wanted) else { return Outcome::Waits(queue) };
                if matches!(op, Op::Take(..)) {
                    self.change(now, queue, |messages| messages.remove(at));
                }
            }
            Op::Put(queue, _) | Op::Move(_, queue, _) if self.queues[queue].is_full() => {
                return Outcome::Waits(queue);
            }
            Op::Put(queue, message) => self.change(now, queue, |messages| messages.push_back(message)),
            Op::Move(from, to, message) => {
                self.change(now, from, |messages| messages.pop_front());
                self.change(now, to, |messages| messages.push_back(message));
            }
        }
        Outcome::Went
    }

    /// Changes a queue and wakes every task that waits for it.
    fn change<R>(&mut self, now: u64, queue: QueueId, change: impl FnOnce(&mut VecDeque<Message>) -> R) {
        change(&mut self.queues[queue].messages);
        for task in std::mem::take(&mut self.queues[queue].waiting) {
            self.schedule(now, task);
        }
    }
}
