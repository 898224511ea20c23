//! The network of a prediction: hosts in a ring, and a flow of messages for each direction of each link.
//!
//! ```text
//! coordinator ⇄ stage 0 ⇄ … ⇄ stage n−1 ⇄ coordinator      link l joins the hosts l and l + 1; host 0 is the coordinator
//! ```
//!
//! Messages of one flow follow one another. A host sends at its whole rate, evenly shared by the flows that send at once;
//! the same holds for what it receives. A flow on a connection with a window stops when the window is used up, until the
//! first byte is acknowledged; then the window doubles. It shrinks while the flow is silent, as Linux has it.

use super::LinkCost;

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
    /// Seconds for which a message occupies the whole rate.
    message: f64,
    latency: f64,
    /// The messages that wait or are being sent.
    messages: u64,
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
    fn new([from, to]: [usize; 2], message: f64, link: &LinkCost) -> Self {
        // A window that never runs out within a round trip is none.
        let window = link.window.filter(|least| *least < 2.0 * link.latency && message > *least);
        let window = window.map(|least| Window { least, size: least, left: 0.0, opened: f64::NEG_INFINITY });
        let latency = link.latency;
        let silent = f64::NEG_INFINITY;
        Self {
            from,
            to,
            message,
            latency,
            messages: 0,
            left: 0.0,
            rate: 0.0,
            since: 0.0,
            version: 0,
            silent,
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
    /// The flows out of each host, and into it, that send now.
    sending: Vec<u32>,
    receiving: Vec<u32>,
    /// The calls that flows have asked for.
    pub(super) calls: Vec<(f64, Call)>,
}

impl Network {
    pub(super) fn new(links: &[LinkCost]) -> Self {
        let hosts = links.len();
        let flow = |(link, cost): (usize, &LinkCost)| {
            let (below, above) = (link, (link + 1) % hosts);
            [Flow::new([below, above], cost.forward, cost), Flow::new([above, below], cost.error, cost)]
        };
        let flows = links.iter().enumerate().flat_map(flow).collect();
        Self { flows, sending: vec![0; hosts], receiving: vec![0; hosts], calls: Vec::new() }
    }

    /// The flow of activations on the link below stage `link`.
    pub(super) fn up(link: usize) -> usize {
        2 * link
    }

    /// The flow of errors on the link below stage `link`.
    pub(super) fn down(link: usize) -> usize {
        2 * link + 1
    }

    /// The link of a flow, and whether it carries activations.
    pub(super) fn end(flow: usize) -> (usize, bool) {
        (flow / 2, flow.is_multiple_of(2))
    }

    pub(super) fn latency(&self, flow: usize) -> f64 {
        self.flows[flow].latency
    }

    /// Puts a message into a flow.
    pub(super) fn send(&mut self, now: f64, flow: usize) {
        let sender = &mut self.flows[flow];
        sender.messages += 1;
        if sender.messages == 1 {
            sender.left = sender.message;
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
        sender.messages -= 1;
        sender.left = sender.message;
        match sender.messages {
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

    /// Sets the rates of all flows that share a host with a flow from `from` to `to`. Those are flows of the host's own
    /// links and of its neighbours'.
    fn share(&mut self, now: f64, from: usize, to: usize) {
        let hosts = self.sending.len();
        for link in [from, (from + hosts - 1) % hosts, to, (to + hosts - 1) % hosts] {
            for flow in [Self::up(link), Self::down(link)] {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// When the last byte of each message leaves, by flow; `messages` are sent at their times.
    fn sent(links: &[LinkCost], messages: &[(f64, usize)]) -> Vec<(usize, f64)> {
        let (mut network, mut sent) = (Network::new(links), Vec::new());
        let mut calls: Vec<(f64, Option<Call>, usize)> =
            messages.iter().map(|&(time, flow)| (time, None, flow)).collect();
        while let Some(first) = (0..calls.len()).min_by(|&a, &b| calls[a].0.total_cmp(&calls[b].0)) {
            match calls.remove(first) {
                (now, None, flow) => network.send(now, flow),
                (now, Some(call), flow) if network.on(now, call) => sent.push((flow, now)),
                (_, Some(_), _) => {}
            }
            calls.extend(network.calls.drain(..).map(|(time, call)| (time, Some(call), call.flow)));
        }
        sent
    }

    fn plain(forward: f64, error: f64) -> LinkCost {
        LinkCost { forward, error, ..LinkCost::default() }
    }

    #[test]
    fn messages_share_the_rate_of_the_host_that_sends_and_of_the_host_that_receives() {
        let (up, down) = (Network::up, Network::down);
        let links = [plain(1.0, 1.0), plain(3.0, 3.0), plain(1.0, 1.0), plain(1.0, 1.0)];
        // Host 1 sends both; then the longer one has the whole rate.
        assert_eq!(sent(&links, &[(0.0, up(1)), (0.0, down(0))]), [(down(0), 2.0), (up(1), 4.0)]);
        // Host 1 receives both.
        assert_eq!(sent(&links, &[(0.0, up(0)), (0.0, down(1))]), [(up(0), 2.0), (down(1), 4.0)]);
        // Both ways of one link, and links of different hosts.
        assert_eq!(sent(&links, &[(0.0, up(1)), (0.0, down(1))]), [(up(1), 3.0), (down(1), 3.0)]);
        assert_eq!(sent(&links, &[(0.0, up(1)), (0.0, up(3))]), [(up(3), 1.0), (up(1), 3.0)]);
        // One direction: one message after another.
        assert_eq!(sent(&links, &[(0.0, up(1)), (0.0, up(1))]), [(up(1), 3.0), (up(1), 6.0)]);
    }

    #[test]
    fn a_window_grows_while_it_is_used_and_shrinks_in_silence() {
        let link = LinkCost { forward: 7.0, error: 1.0, latency: 5.0, window: Some(1.0) };
        let times = |messages: &[f64]| {
            let messages: Vec<_> = messages.iter().map(|&time| (time, Network::up(0))).collect();
            sent(&[link, plain(1.0, 1.0)], &messages).into_iter().map(|(_, time)| time).collect::<Vec<_>>()
        };
        // 1 at once, 2 after a round trip, 4 after another; then all 7 at once.
        assert_eq!(times(&[0.0, 30.0]), [24.0, 37.0]);
        // Seven silences of a round trip and 0.2 s halve the window seven times, down to the first one.
        assert_eq!(times(&[0.0, 100.0]), [24.0, 124.0]);
        let short = sent(&[link, plain(1.0, 1.0)], &[(0.0, Network::down(0))]);
        assert_eq!(short, [(Network::down(0), 1.0)], "a message within the first window waits for nothing");
    }
}
