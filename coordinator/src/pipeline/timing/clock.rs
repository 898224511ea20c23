//! The simulation behind a prediction: events in the order of their times.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use proto::lane::{Action, Lane};

use super::network::{Call, Network};
use super::{Costs, StageCost, Timed};

/// The minibatches that the coordinator keeps in the pipeline: it sends the inputs of so many.
const IN_FLIGHT: u64 = 3;

/// What happens at a moment.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The running action of a stage ends.
    Ended(usize),
    /// A flow asked to be called.
    Flow(Call),
    /// A message of a flow arrives.
    Arrived(usize),
    /// The coordinator has computed the error of a microbatch.
    Lost,
}

/// An event with its time. Events of one time are in the order in which they were planned.
struct Planned {
    time: f64,
    number: u64,
    event: Event,
}

impl Ord for Planned {
    /// The earliest event is the greatest, which a heap yields first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.time.total_cmp(&self.time).then(other.number.cmp(&self.number))
    }
}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Planned {}

/// The events to come.
#[derive(Default)]
struct Agenda {
    events: BinaryHeap<Planned>,
    planned: u64,
}

impl Agenda {
    fn plan(&mut self, time: f64, event: Event) {
        self.events.push(Planned { time, number: self.planned, event });
        self.planned += 1;
    }
}

/// A stage with the messages that have arrived and were not taken yet.
struct Stage<'a> {
    actions: &'a [Action],
    /// The steps of the lane.
    steps: u64,
    activations: u64,
    errors: u64,
    running: bool,
    done: Vec<Timed>,
}

impl Stage<'_> {
    /// How often the whole lane was run.
    fn rounds(&self) -> u64 {
        (self.done.len() / self.actions.len().max(1)) as u64
    }

    /// The next action of the lane, which is run `rounds` times.
    fn next(&self, rounds: u64) -> Option<Action> {
        let action = self.actions.get(self.done.len() % self.actions.len().max(1))?;
        let round = self.rounds();
        (round < rounds).then(|| action.in_step(action.step() + round * self.steps))
    }

    /// Takes the message that `action` needs; `false` if it has not arrived.
    fn take(&mut self, action: Action) -> bool {
        let arrived = match action {
            Action::Forward(_) => &mut self.activations,
            Action::Error(_) => &mut self.errors,
            Action::Gradient(_) | Action::Update(_) => return true,
        };
        let some = *arrived > 0;
        *arrived -= u64::from(some);
        some
    }
}

/// The state of the simulation.
struct Clock<'a> {
    costs: &'a Costs,
    /// How often the lanes are run.
    rounds: u64,
    stages: Vec<Stage<'a>>,
    network: Network,
    agenda: Agenda,
    /// Microbatches whose inputs the coordinator sends for one run of the lanes.
    inputs: u64,
    /// The runs of the lanes whose inputs were sent.
    fed: u64,
    /// Logits that wait for their loss.
    logits: u64,
    losing: bool,
}

/// Every action of every stage with its times, where the lanes are run `rounds` times; for lanes that deadlock, the
/// stages that wait and their actions.
pub(super) fn run(
    lanes: &[Lane],
    costs: &Costs,
    rounds: u64,
) -> Result<Vec<Vec<Timed>>, Vec<(usize, Action)>> {
    let mut clock = Clock::new(lanes, costs, rounds);
    clock.feed(0.0);
    while let Some(Planned { time, event, .. }) = clock.agenda.events.pop() {
        clock.on(time, event);
    }
    let stuck: Vec<_> =
        clock.stages.iter().enumerate().filter_map(|(s, stage)| Some((s, stage.next(rounds)?))).collect();
    if stuck.is_empty() { Ok(clock.stages.into_iter().map(|stage| stage.done).collect()) } else { Err(stuck) }
}

impl<'a> Clock<'a> {
    fn new(lanes: &'a [Lane], costs: &'a Costs, rounds: u64) -> Self {
        let stage = |lane: &'a Lane| Stage {
            actions: lane.actions(),
            steps: lane.microbatches().len() as u64,
            activations: 0,
            errors: 0,
            running: false,
            done: Vec::new(),
        };
        let inputs = lanes.first().map_or(0, |lane| lane.microbatches().iter().map(|&m| u64::from(m)).sum());
        Self {
            costs,
            rounds,
            stages: lanes.iter().map(stage).collect(),
            network: Network::new(&costs.links),
            agenda: Agenda::default(),
            inputs,
            fed: 0,
            logits: 0,
            losing: false,
        }
    }

    fn on(&mut self, now: f64, event: Event) {
        match event {
            Event::Ended(stage) => self.ended(now, stage),
            Event::Flow(call) => {
                if self.network.on(now, call) {
                    self.agenda.plan(now + self.network.latency(call.flow), Event::Arrived(call.flow));
                }
                self.listen();
            }
            Event::Arrived(flow) => self.arrived(now, flow),
            Event::Lost => {
                self.losing = false;
                self.send(now, Network::down(self.stages.len()));
                self.lose(now);
            }
        }
    }

    /// Sends the inputs of as many runs of the lanes as the coordinator keeps under way.
    fn feed(&mut self, now: f64) {
        let closed = self.stages.iter().map(Stage::rounds).min().unwrap_or(0);
        let most = self.rounds.min(closed + IN_FLIGHT);
        while self.fed < most {
            self.fed += 1;
            for _ in 0..self.inputs {
                self.send(now, Network::up(0));
            }
        }
    }

    fn send(&mut self, now: f64, flow: usize) {
        self.network.send(now, flow);
        self.listen();
    }

    /// Plans the calls that flows have asked for.
    fn listen(&mut self) {
        for (time, call) in self.network.calls.drain(..) {
            self.agenda.plan(time, Event::Flow(call));
        }
    }

    fn arrived(&mut self, now: f64, flow: usize) {
        let n = self.stages.len();
        match Network::end(flow) {
            (link, true) if link == n => {
                self.logits += 1;
                self.lose(now);
            }
            (link, true) => {
                self.stages[link].activations += 1;
                self.start(now, link);
            }
            // Nothing waits for the answers of the first stage.
            (0, false) => {}
            (link, false) => {
                self.stages[link - 1].errors += 1;
                self.start(now, link - 1);
            }
        }
    }

    /// Starts the next action of stage `s`, if the stage is idle and its message is there.
    fn start(&mut self, now: f64, s: usize) {
        let stage = &mut self.stages[s];
        let Some(action) = stage.next(self.rounds).filter(|_| !stage.running) else { return };
        if stage.take(action) {
            let end = now + seconds(&self.costs.stages[s], action);
            stage.running = true;
            stage.done.push(Timed { action, start: now, end });
            self.agenda.plan(end, Event::Ended(s));
        }
    }

    fn ended(&mut self, now: f64, s: usize) {
        let stage = &mut self.stages[s];
        stage.running = false;
        match stage.done.last().map(|timed| timed.action) {
            Some(Action::Forward(_)) => self.send(now, Network::up(s + 1)),
            Some(Action::Error(_)) => self.send(now, Network::down(s)),
            Some(Action::Update(_)) => self.feed(now),
            Some(Action::Gradient(_)) | None => {}
        }
        self.start(now, s);
    }

    /// The coordinator's part: logits become errors, one after another.
    fn lose(&mut self, now: f64) {
        if self.logits > 0 && !self.losing {
            self.logits -= 1;
            self.losing = true;
            self.agenda.plan(now + self.costs.loss, Event::Lost);
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
