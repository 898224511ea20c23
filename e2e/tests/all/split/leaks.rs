//! The proof must be able to fail between the hosts of W and B as well: the host of W is of a test's build and sends W to
//! the host of B. What has no place in the protocol is refused, and named by the audit. W in place of a y has the right
//! shape, so that no ledger tells: the bytes on the wire do.

use super::{snapshots, tensors};
use e2e::harm::Hosts;
use e2e::relay::Relay;
use e2e::{Ended, Node, digest};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// One stage, whose node leaks the W of `hidden` from its fourth update on; every update is saved.
const KEYS: &str = r#"
[rule]
name = "weight_mirror"
[train]
batch = 32
[pipeline]
microbatches = 2
stages = 1
placement = "split"
[snapshot]
every_steps = 1
keep_last = 100
"#;
/// The bytes of a window that is sought, and its distinct numbers: fewer occur by chance, as zeros do.
const WINDOW: usize = 64;
const DISTINCT: usize = 12;

/// A stage and its backward node, with a relay before the ports of the backward node that records what passes.
struct Halves {
    hosts: Hosts,
    data: Relay,
    control: Relay,
    /// The state folder of the stage's node.
    state: PathBuf,
}

impl Halves {
    /// `leak` is what the stage's node leaks to its backward node; `None` for an ordinary node.
    fn new(leak: Option<&str>) -> Self {
        let mut hosts = Hosts::split(1);
        let mut state = hosts.bench.path("host-0");
        if let Some(leak) = leak {
            state = hosts.bench.path("host-0-leaking");
            hosts.nodes[0] = Node::leaking_to_backward(&state, leak);
        }
        let [data, control] = ["data", "control"].map(|plane| Relay::recording(&hosts.backward[0], plane));
        Self { hosts, data, control, state }
    }

    fn audited(&self) -> Ended {
        let config = self.hosts.bench.tiny(KEYS);
        let (config, nodes) = (config.to_str().unwrap(), self.hosts.addresses());
        let to = ["--nodes", &nodes, "--backward-nodes", &self.control.address];
        let arguments = [&["locality", "--config", config, "--steps", "6", "--rules", "local"], &to[..]];
        self.hosts.bench.ended(&arguments.concat())
    }

    /// Whether a window of any tensor whose name ends so, in any snapshot of a node, came to or from the backward node.
    fn crossed(&self, state: &Path, ending: &str) -> bool {
        let all = snapshots(state).into_iter().flat_map(|snapshot| tensors(&snapshot));
        let named: Vec<Vec<u8>> =
            all.filter(|(name, _)| name.ends_with(ending)).map(|(_, bytes)| bytes).collect();
        let windows = named.iter().flat_map(|bytes| bytes.chunks_exact(WINDOW));
        let windows: HashSet<&[u8]> = windows
            .filter(|window| window.chunks_exact(4).collect::<HashSet<_>>().len() >= DISTINCT)
            .collect();
        assert!(!windows.is_empty(), "{} has no '{ending}'", state.display());
        let recorded = [&self.data, &self.control].map(Relay::recorded);
        assert!(recorded[0][0].len() > 10_000, "the link goes through the relay");
        let mut streams = recorded.iter().flatten();
        streams.any(|bytes| bytes.windows(WINDOW).any(|window| windows.contains(window)))
    }
}

#[test]
fn what_has_no_place_in_a_message_to_the_host_of_b_is_refused_and_named() {
    for (leak, said) in [
        ("message", "classes.weight"),
        ("unknown_field", "spare bytes"),
        ("extra_tensor", "classes.weight"),
        ("format", "as bf16"),
    ] {
        let ended = Halves::new(Some(leak)).audited();
        let sentence = ended.last_line();
        println!("{leak}: {:?} {sentence}", ended.code);
        assert_eq!(ended.code, Some(5), "{leak}: {}{}", ended.stdout, ended.stderr);
        for part in ["stage 0 → stage 0, backward", said] {
            assert!(sentence.contains(part), "{leak}: '{part}' is not said in: {sentence}");
        }
    }
}

/// `cargo xtask hosts` and `hosts leaks` seek weights in the same way, in captures of every cable.
#[test]
fn w_in_place_of_y_keeps_every_count_and_hash_and_is_seen_on_the_wire_alone() {
    let (honest, leaking) = (Halves::new(None), Halves::new(Some("weight_as_y")));
    for halves in [&honest, &leaking] {
        let ended = halves.audited();
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        let b = halves.hosts.bench.path("host-0-backward");
        assert!(!halves.crossed(&b, ".weight_backward"), "B stays on its host");
    }
    assert!(!honest.crossed(&honest.state, ".weight"), "W stays on its host");
    assert!(leaking.crossed(&leaking.state, ".weight"), "W crosses the wire");
    // B has learned from what it was shown, so a repetition on nodes that are trusted ends in other bits.
    let learned = |halves: &Halves| digest(&halves.hosts.bench.path("host-0-backward"));
    assert_ne!(learned(&leaking), learned(&honest));
}
