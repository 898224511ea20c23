//! The simulation behind a prediction: events in the order of their times.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use proto::lane::{Action, Lane};

use super::network::{Call, Network};
use super::worker::{Part, Worker};
use super::{Costs, Run};

/// The minibatches that the coordinator keeps in the pipeline, beside those that an asynchronous stage begins before it
/// closes a step: it sends the inputs of so many.
const IN_FLIGHT: u64 = 3;

/// What happens at a moment.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A worker has computed a part of its action.
    Computed(usize),
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

/// The state of the simulation.
struct Clock<'a> {
    costs: &'a Costs,
    /// How often the lanes are run.
    rounds: u64,
    /// The stages, and then the backward nodes.
    workers: Vec<Worker<'a>>,
    /// The number of stages.
    stages: usize,
    /// The worker that takes the messages of each flow; `None` for the coordinator.
    takers: Vec<Option<usize>>,
    /// The messages of each flow that have arrived and were not taken yet.
    arrived: Vec<u64>,
    network: Network,
    agenda: Agenda,
    /// The microbatches of each step of one run of the lanes.
    inputs: &'a [u32],
    /// The steps whose inputs are under way at most.
    in_flight: u64,
    /// The steps whose inputs were sent.
    fed: u64,
    losing: bool,
    /// The workers that compute now, and those that wait for a core, each with its seconds.
    computing: usize,
    waiting: VecDeque<(usize, f64)>,
}

/// Every action of every worker with its times, where the lanes are run `rounds` times; for lanes that deadlock, the
/// stages that wait and their actions.
pub(super) fn run(lanes: &[Lane], costs: &Costs, rounds: u64) -> Result<Run, Vec<(usize, Action)>> {
    let mut clock = Clock::new(lanes, costs, rounds);
    clock.feed(0.0);
    // A lane may begin with an action that waits for nothing.
    (0..clock.workers.len()).for_each(|worker| clock.proceed(0.0, worker));
    while let Some(Planned { time, event, .. }) = clock.agenda.events.pop() {
        clock.on(time, event);
    }
    let waits = |worker: &Worker<'_>| Some((worker.stage, worker.next(rounds)?));
    let stuck: Vec<_> = clock.workers[..clock.stages].iter().filter_map(waits).collect();
    if !stuck.is_empty() {
        return Err(stuck);
    }
    let backward = clock.workers.split_off(clock.stages);
    let (stages, followed) = clock.workers.into_iter().map(|worker| (worker.done, worker.followed)).unzip();
    Ok(Run {
        stages,
        followed,
        backward: backward.into_iter().map(|worker| (worker.stage, worker.done)).collect(),
    })
}

impl<'a> Clock<'a> {
    fn new(lanes: &'a [Lane], costs: &'a Costs, rounds: u64) -> Self {
        let n = lanes.len();
        let stages = lanes.iter().enumerate().map(|(s, lane)| Worker::stage(s, lane, costs));
        let backward = costs.halves().map(|(s, half)| Worker::backward(s, n, &lanes[s], half));
        let network = Network::new(&costs.links, costs.halves());
        let mut takers = vec![None; network.flows()];
        for s in 0..n {
            takers[Network::up(s)] = Some(s);
            takers[Network::down(s + 1)] = Some(s);
        }
        for (worker, (s, _)) in (n..).zip(costs.halves()) {
            takers[Network::there(n, s)] = Some(worker);
            takers[Network::back(n, s)] = Some(s);
        }
        let inputs = lanes.first().map_or(&[][..], Lane::microbatches);
        let in_flight = IN_FLIGHT + lanes.first().map_or(0, super::lookahead);
        Self {
            costs,
            rounds,
            workers: stages.chain(backward).collect(),
            stages: n,
            arrived: vec![0; takers.len()],
            takers,
            network,
            agenda: Agenda::default(),
            inputs,
            in_flight,
            fed: 0,
            losing: false,
            computing: 0,
            waiting: VecDeque::new(),
        }
    }

    fn on(&mut self, now: f64, event: Event) {
        match event {
            Event::Computed(worker) => {
                let reported = self.workers[worker].computed();
                self.computing -= 1;
                self.occupy(now);
                if reported {
                    self.feed(now);
                }
                self.proceed(now, worker);
            }
            Event::Flow(call) => {
                if self.network.on(now, call) {
                    self.agenda.plan(now + self.network.latency(call.flow), Event::Arrived(call.flow));
                }
                self.listen();
            }
            Event::Arrived(flow) => self.arrived(now, flow),
            Event::Lost => {
                self.losing = false;
                let top = self.stages;
                self.send(now, Network::down(top), self.costs.links[top].error);
                self.lose(now);
            }
        }
    }

    /// Sends the inputs of as many steps as the coordinator keeps under way.
    fn feed(&mut self, now: f64) {
        let closed = self.workers.iter().map(Worker::reported).min().unwrap_or(0);
        let steps = self.inputs.len() as u64;
        let most = (self.rounds * steps).min(closed + self.in_flight);
        while self.fed < most {
            let microbatches = self.inputs[(self.fed % steps) as usize];
            self.fed += 1;
            for _ in 0..microbatches {
                self.send(now, Network::up(0), self.costs.links[0].forward);
            }
        }
    }

    fn send(&mut self, now: f64, flow: usize, seconds: f64) {
        self.network.send(now, flow, seconds);
        self.listen();
    }

    /// Plans the calls that flows have asked for.
    fn listen(&mut self) {
        for (time, call) in self.network.calls.drain(..) {
            self.agenda.plan(time, Event::Flow(call));
        }
    }

    /// A message of a flow arrives. Nothing waits for the answers of the first stage.
    fn arrived(&mut self, now: f64, flow: usize) {
        self.arrived[flow] += 1;
        match self.takers[flow] {
            Some(worker) => self.proceed(now, worker),
            None if flow == Network::up(self.stages) => self.lose(now),
            None => {}
        }
    }

    /// Goes on with the lane of a worker until it computes or waits for a message.
    fn proceed(&mut self, now: f64, at: usize) {
        while let Some((action, part)) = self.workers[at].part(self.rounds) {
            match part {
                Some(Part::Take(flow)) if self.arrived[flow] == 0 => return self.follow(now, at, false),
                Some(Part::Take(flow)) => {
                    self.arrived[flow] -= 1;
                    self.workers[at].passed();
                }
                // E reads B.
                Some(Part::Compute(_)) if matches!(action, Action::Error(_)) && self.workers[at].owes() => {
                    return self.follow(now, at, true);
                }
                Some(Part::Compute(seconds)) => {
                    self.workers[at].wait();
                    self.waiting.push_back((at, seconds));
                    return self.occupy(now);
                }
                Some(Part::Send(flow, seconds)) => {
                    self.workers[at].passed();
                    self.send(now, flow, seconds);
                }
                None => {
                    self.workers[at].close(now, action);
                    if matches!(action, Action::Update(_)) {
                        self.feed(now);
                    }
                }
            }
        }
        // Nothing is left of the lane.
        self.follow(now, at, true);
    }

    /// Lets a worker do B's part of its last U, if it owes any and does not compute.
    fn follow(&mut self, now: f64, at: usize, all: bool) {
        if let Some(seconds) = self.workers[at].follow(all) {
            self.workers[at].wait();
            self.waiting.push_back((at, seconds));
            self.occupy(now);
        }
    }

    /// Lets workers compute in the order in which they came, as long as a core is free.
    fn occupy(&mut self, now: f64) {
        while self.costs.at_once.is_none_or(|most| self.computing < most) {
            let Some((worker, seconds)) = self.waiting.pop_front() else { return };
            self.computing += 1;
            self.workers[worker].compute(now, seconds);
            self.agenda.plan(now + seconds, Event::Computed(worker));
        }
    }

    /// The coordinator's part: logits become errors, one after another.
    fn lose(&mut self, now: f64) {
        let logits = &mut self.arrived[Network::up(self.stages)];
        if *logits > 0 && !self.losing {
            *logits -= 1;
            self.losing = true;
            self.agenda.plan(now + self.costs.loss, Event::Lost);
        }
    }
}
