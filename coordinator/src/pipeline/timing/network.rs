//! The network of a prediction: hosts in a ring, each stage's backward node beside it, and a flow of messages for each
//! direction of each link.
//!
//! ```text
//! coordinator ⇄ stage 0 ⇄ … ⇄ stage n−1 ⇄ coordinator      link l joins the hosts l and l + 1; host 0 is the coordinator
//!                 ⇅               ⇅
//!               backward        backward                   host n + 1 + s is the backward node of stage s
//! ```
//!
//! Messages of one flow follow one another. A host sends at its whole rate, evenly shared by the flows that send at once;
//! the same holds for what it receives. A flow on a connection with a window stops when the window is used up, until the
//! first byte is acknowledged; then the window doubles. It shrinks while the flow is silent, as Linux has it.

#[cfg(test)]
mod tests;

use super::{BackwardCost, LinkCost, SplitCost};
use std::collections::VecDeque;

/// The silence after which Linux halves a connection's window, beyond the round trip, in seconds: its shortest timeout
/// before it sends again (`tcp_cwnd_restart`).
const SILENCE: f64 = 0.2;

/// The request of a flow to be called at a time. A request is void once the flow's version is another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// The flow.
    pub(super) flow: usize,
    version: u64,
    reason: Reason,
}

#[derive(Clone, Copy, Debug)]
enum Reason {
    /// The last byte of the message leaves.
    Sent,
    /// The window is used up.
    Full,
    /// The first byte of the window is acknowledged.
    Acknowledged,
}

/// One direction of a link.
struct Flow {
    from: usize,
    to: usize,
    latency: f64,
    /// The messages that wait or are being sent, each with the seconds for which it occupies the whole rate.
    messages: VecDeque<f64>,
    /// What is left of the first message.
    left: f64,
    /// The share of the whole rate; 0 while the flow is silent.
    rate: f64,
    since: f64,
    version: u64,
    /// When the flow last fell silent.
    silent: f64,
    window: Option<Window>,
}

/// The window of a connection, in seconds of the whole rate.
struct Window {
    least: f64,
    size: f64,
    /// What is left of it.
    left: f64,
    /// When its first byte left.
    opened: f64,
}

impl Flow {
    /// A flow whose largest message occupies the whole rate for `largest` seconds.
    fn new([from, to]: [usize; 2], largest: f64, latency: f64, window: Option<f64>) -> Self {
        // A window that never runs out within a round trip is none.
        let window = window.filter(|least| *least < 2.0 * latency && largest > *least);
        let window = window.map(|least| Window { least, size: least, left: 0.0, opened: f64::NEG_INFINITY });
        Self {
            from,
            to,
            latency,
            messages: VecDeque::new(),
            left: 0.0,
            rate: 0.0,
            since: 0.0,
            version: 0,
            silent: f64::NEG_INFINITY,
            window,
        }
    }

    fn round_trip(&self) -> f64 {
        2.0 * self.latency
    }

    /// Counts what was sent since the rate was set.
    fn settle(&mut self, now: f64) {
        let sent = self.rate * (now - self.since);
        self.left -= sent;
        if let Some(window) = &mut self.window {
            window.left -= sent;
        }
        self.since = now;
    }

    /// Opens a new window where the first byte of the last one is acknowledged.
    fn open(&mut self, now: f64) {
        let round_trip = self.round_trip();
        let Some(window) = &mut self.window else { return };
        let acknowledged = window.opened + round_trip;
        if now < acknowledged {
            return;
        }
        if window.left <= window.size / 2.0 {
            window.size = (window.size * 2.0).min(round_trip);
        }
        let silences = ((now - self.silent) / (round_trip + SILENCE)).floor().min(64.0);
        window.size = (window.size / silences.exp2()).max(window.least);
        (window.left, window.opened) = (window.size, now);
    }

    /// Whether the window is used up. A window of a whole round trip never is.
    fn is_full(&self) -> bool {
        self.window.as_ref().is_some_and(|window| window.size < self.round_trip() && window.left <= 0.0)
    }

    /// When the flow has to be called, and why.
    fn next(&self, now: f64) -> (f64, Reason) {
        let sent = now + self.left / self.rate;
        match &self.window {
            Some(window) if window.size < self.round_trip() && window.left < self.left => {
                (now + window.left / self.rate, Reason::Full)
            }
            _ => (sent, Reason::Sent),
        }
    }
}

/// All flows, and what their hosts share.
pub(super) struct Network {
    flows: Vec<Flow>,
    /// The flows of each host, out of it or into it.
    of_host: Vec<Vec<usize>>,
    /// The flows out of each host, and into it, that send now.
    sending: Vec<u32>,
    receiving: Vec<u32>,
    /// The calls that flows have asked for.
    pub(super) calls: Vec<(f64, Call)>,
}

impl Network {
    /// The ring of `links`, and the links between the halves of stages: each stage that is split, with its costs.
    pub(super) fn new<'c>(
        links: &[LinkCost],
        halves: impl Iterator<Item = (usize, &'c BackwardCost)>,
    ) -> Self {
        let ring = links.len();
        let flow = |(link, cost): (usize, &LinkCost)| {
            let (below, above) = (link, (link + 1) % ring);
            let flow = |ends, message| Flow::new(ends, message, cost.latency, cost.window);
            [flow([below, above], cost.forward), flow([above, below], cost.error)]
        };
        let mut flows: Vec<Flow> = links.iter().enumerate().flat_map(flow).collect();
        // A stage that is not split has no messages for its backward node.
        let beside = |s: usize| [[s + 1, ring + s], [ring + s, s + 1]];
        let silent = (0..ring.saturating_sub(1)).flat_map(beside);
        flows.extend(silent.map(|ends| Flow::new(ends, 0.0, 0.0, None)));
        for (s, half) in halves {
            let directions = beside(s).into_iter().zip(largest(half));
            for (at, (ends, message)) in (Self::there(ring - 1, s)..).zip(directions) {
                flows[at] = Flow::new(ends, message, half.latency, half.window);
            }
        }
        let hosts = 2 * ring;
        let mut of_host = vec![Vec::new(); hosts];
        for (at, flow) in flows.iter().enumerate() {
            of_host[flow.from].push(at);
            of_host[flow.to].push(at);
        }
        Self { flows, of_host, sending: vec![0; hosts], receiving: vec![0; hosts], calls: Vec::new() }
    }

    /// The number of flows.
    pub(super) fn flows(&self) -> usize {
        self.flows.len()
    }

    /// The flow of activations on the link below stage `link`.
    pub(super) fn up(link: usize) -> usize {
        2 * link
    }

    /// The flow of errors on the link below stage `link`.
    pub(super) fn down(link: usize) -> usize {
        2 * link + 1
    }

    /// The flow from stage `s` of `stages` to its backward node.
    pub(super) fn there(stages: usize, s: usize) -> usize {
        2 * (stages + 1) + 2 * s
    }

    /// The flow from the backward node of stage `s` of `stages` to the stage.
    pub(super) fn back(stages: usize, s: usize) -> usize {
        Self::there(stages, s) + 1
    }

    pub(super) fn latency(&self, flow: usize) -> f64 {
        self.flows[flow].latency
    }

    /// Puts a message into a flow that occupies its link for `seconds`.
    pub(super) fn send(&mut self, now: f64, flow: usize, seconds: f64) {
        let sender = &mut self.flows[flow];
        sender.messages.push_back(seconds);
        if sender.messages.len() == 1 {
            sender.left = seconds;
            self.begin(now, flow);
        }
    }

    /// Carries out a call; `true` if the last byte of a message leaves.
    pub(super) fn on(&mut self, now: f64, Call { flow, version, reason }: Call) -> bool {
        if self.flows[flow].version != version {
            return false;
        }
        self.flows[flow].settle(now);
        match reason {
            Reason::Acknowledged => self.begin(now, flow),
            Reason::Full => {
                self.flows[flow].window.iter_mut().for_each(|window| window.left = 0.0);
                self.end_of_window(now, flow);
            }
            Reason::Sent => self.next_message(now, flow),
        }
        matches!(reason, Reason::Sent)
    }

    fn next_message(&mut self, now: f64, flow: usize) {
        let sender = &mut self.flows[flow];
        sender.messages.pop_front();
        sender.left = sender.messages.front().copied().unwrap_or(0.0);
        match sender.messages.len() {
            0 => self.fall_silent(now, flow),
            _ if sender.is_full() => self.end_of_window(now, flow),
            _ => self.ask(now, flow),
        }
    }

    fn end_of_window(&mut self, now: f64, flow: usize) {
        self.fall_silent(now, flow);
        let sender = &self.flows[flow];
        let acknowledged = sender.window.as_ref().map_or(now, |window| window.opened + sender.round_trip());
        self.call(acknowledged.max(now), flow, Reason::Acknowledged);
    }

    /// The flow begins to send, or waits for its window.
    fn begin(&mut self, now: f64, flow: usize) {
        let sender = &mut self.flows[flow];
        sender.since = now;
        sender.open(now);
        if sender.is_full() {
            return self.end_of_window(now, flow);
        }
        if sender.rate == 0.0 {
            sender.rate = 1.0;
            let (from, to) = (sender.from, sender.to);
            self.sending[from] += 1;
            self.receiving[to] += 1;
            self.share(now, from, to);
        }
    }

    fn fall_silent(&mut self, now: f64, flow: usize) {
        let sender = &mut self.flows[flow];
        sender.version += 1;
        if sender.rate > 0.0 {
            sender.rate = 0.0;
            sender.silent = now;
            let (from, to) = (sender.from, sender.to);
            self.sending[from] -= 1;
            self.receiving[to] -= 1;
            self.share(now, from, to);
        }
    }

    /// Sets the rates of all flows that share a host with a flow from `from` to `to`.
    fn share(&mut self, now: f64, from: usize, to: usize) {
        for of in [from, to] {
            for at in 0..self.of_host[of].len() {
                let flow = self.of_host[of][at];
                let sender = &mut self.flows[flow];
                let concerned = sender.from == from || sender.to == to;
                if sender.rate > 0.0 && concerned {
                    sender.settle(now);
                    sender.rate = 1.0 / f64::from(self.sending[sender.from].max(self.receiving[sender.to]));
                    self.ask(now, flow);
                }
            }
        }
    }

    fn ask(&mut self, now: f64, flow: usize) {
        let (time, reason) = self.flows[flow].next(now);
        self.call(time.max(now), flow, reason);
    }

    fn call(&mut self, time: f64, flow: usize, reason: Reason) {
        let sender = &mut self.flows[flow];
        sender.version += 1;
        self.calls.push((time, Call { flow, version: sender.version, reason }));
    }
}

/// The largest messages from a stage to its backward node, and back, in seconds.
fn largest(half: &BackwardCost) -> [f64; 2] {
    let there = |layer: &SplitCost| [layer.sample, layer.request, layer.noise].into_iter().flatten();
    let back = half.layers.iter().filter_map(|layer| layer.reply);
    [half.layers.iter().flat_map(there).fold(0.0, f64::max), back.fold(0.0, f64::max)]
}
