//! Tests of flows against times that were worked out by hand.

use super::*;

/// When the last byte of each message leaves, by flow; `messages` are sent at their times.
fn sent(links: &[LinkCost], messages: &[(f64, usize)]) -> Vec<(usize, f64)> {
    let (mut network, mut sent) = (Network::new(links, std::iter::empty()), Vec::new());
    let seconds = |flow: usize| match flow.is_multiple_of(2) {
        true => links[flow / 2].forward,
        false => links[flow / 2].error,
    };
    let mut calls: Vec<(f64, Option<Call>, usize)> =
        messages.iter().map(|&(time, flow)| (time, None, flow)).collect();
    while let Some(first) = (0..calls.len()).min_by(|&a, &b| calls[a].0.total_cmp(&calls[b].0)) {
        match calls.remove(first) {
            (now, None, flow) => network.send(now, flow, seconds(flow)),
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

#[test]
fn messages_to_a_backward_node_share_the_rate_of_the_stage_with_those_of_the_ring() {
    let layer = SplitCost { request: Some(4.0), reply: Some(2.0), ..SplitCost::default() };
    let half = BackwardCost { layers: vec![layer], ..BackwardCost::default() };
    let links = [plain(1.0, 1.0), plain(4.0, 1.0)];
    let mut network = Network::new(&links, [(0, &half)].into_iter());
    let (there, back) = (Network::there(1, 0), Network::back(1, 0));
    network.send(0.0, Network::up(1), 4.0);
    network.send(0.0, there, 4.0);
    network.send(0.0, back, 2.0);
    let (mut sent, mut calls) = (Vec::new(), Vec::new());
    loop {
        calls.append(&mut network.calls);
        let Some(first) = (0..calls.len()).min_by(|&a: &usize, &b| calls[a].0.total_cmp(&calls[b].0)) else {
            break;
        };
        let (now, call): (f64, Call) = calls.remove(first);
        if network.on(now, call) {
            sent.push((call.flow, now));
        }
    }
    // Stage 0 sends two at once, and receives one.
    assert_eq!(sent, [(back, 2.0), (Network::up(1), 8.0), (there, 8.0)]);
}
