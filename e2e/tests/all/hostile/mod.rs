//! Attacks on every port of two nodes that train: the run ends in the same state as without the attacks, in plaintext
//! and over TLS.

mod calls;
mod handshakes;
mod raw;

use calls::{flood, long_names, questions, second_coordinator, strangers, tiny_layers};
use e2e::harm::Hosts;
use e2e::{Node, machine};
use raw::{hold, speak_slowly, throw_garbage};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The longest attack; a shorter run has a shorter attack.
const ATTACK: Duration = Duration::from_secs(8);
/// The memory that a node may take in addition under attack: the bytes that admission lets unknown connections of two
/// ports send, once in the transport's buffers and once in the decoder's, and the allocator's share.
const EXTRA: u64 = 96 << 20;

const KEYS: &str = r#"
[train]
epochs = 400
batch = 32
[pipeline]
microbatches = 2
stages = ["down"]
"#;

#[test]
fn a_run_under_attack_ends_as_if_it_had_not_been() {
    let _machine = machine::alone();
    let begun = Instant::now();
    let (quiet, memory_quiet, ()) = run("quiet", Hosts::new(2), |_| ());
    let lasts = begun.elapsed().div_f64(2.0).min(ATTACK);
    let until = || Instant::now() + lasts;
    let plaintext = run("plaintext", Hosts::new(2), |nodes| attack(nodes, until()));
    let tls = run("tls", Hosts::secured(2), |nodes| attack_handshakes(nodes, until()));
    for (attacked, memory_attacked, seen) in [plaintext, tls] {
        assert_eq!(quiet, attacked);
        println!("{seen:#?}, peak memory {memory_quiet:?} undisturbed, {memory_attacked:?} attacked");
        assert!(seen.values().all(|count| *count > 0), "{seen:?}");
        for (quiet, attacked) in memory_quiet.iter().zip(memory_attacked) {
            assert!(attacked < quiet + EXTRA, "{attacked} bytes under attack, {quiet} without");
        }
    }
}

/// Trains over two nodes and runs `meanwhile`; returns the digests, the nodes' peak memory, and the result of
/// `meanwhile`.
fn run<T>(
    name: &str,
    hosts: Hosts,
    meanwhile: impl FnOnce(&[Node]) -> T,
) -> (BTreeMap<String, String>, Vec<u64>, T) {
    let mut coordinator = hosts.training(KEYS, name);
    let seen = meanwhile(&hosts.nodes);
    assert!(name == "quiet" || !coordinator.is_over(), "the run was over before the attack");
    let ended = coordinator.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    (hosts.digests(), hosts.nodes.iter().map(peak).collect(), seen)
}

/// The node's peak memory in bytes.
fn peak(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// The number of attacks of each kind.
type Seen = BTreeMap<&'static str, usize>;

/// The data and the control port of each node.
fn ports(nodes: &[Node]) -> Vec<String> {
    let of_node = |node: &Node| ["data", "control"].map(|plane| node.address(plane).to_owned());
    nodes.iter().flat_map(of_node).collect()
}

/// Runs an attacker for each of `names`, on a thread of its own, and counts what each does.
fn attackers<const N: usize>(
    names: [&'static str; N],
    attackers: [&(dyn Fn(&AtomicUsize) + Sync); N],
) -> Seen {
    let counts = names.map(|_| AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for (attacker, count) in attackers.into_iter().zip(&counts) {
            scope.spawn(move || attacker(count));
        }
    });
    names.into_iter().zip(counts.map(AtomicUsize::into_inner)).collect()
}

/// Attacks of all kinds on ports that speak plaintext.
fn attack(nodes: &[Node], until: Instant) -> Seen {
    let ports = &ports(nodes);
    let of_calls = ["strangers", "floods", "second coordinators", "long names", "questions", "tiny layers"];
    let counts = of_calls.map(|_| AtomicUsize::new(0));
    let mut seen = attackers(
        ["garbage", "slow", "held", "rounds"],
        [
            &|count| throw_garbage(ports, until, count),
            &|count| speak_slowly(ports, until, count),
            &|count| hold(ports, until, count),
            &|count| call(ports, until, &counts, count),
        ],
    );
    seen.extend(of_calls.into_iter().zip(counts.map(AtomicUsize::into_inner)));
    seen
}

/// Calls both nodes in every way, round after round.
fn call(ports: &[String], until: Instant, counts: &[AtomicUsize; 6], rounds: &AtomicUsize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let [data, control] = [0, 1].map(|plane| [&ports[plane], &ports[plane + 2]]);
        while Instant::now() < until {
            let round = async {
                for at in 0..2 {
                    strangers(data[at], &counts[0]).await;
                    flood(data[at], &counts[1]).await;
                    second_coordinator(control[at], &counts[2]).await;
                    long_names(control[at], &counts[3]).await;
                    tiny_layers(control[at], &counts[5]).await;
                    questions(data[at], &counts[4]).await;
                    questions(control[at], &counts[4]).await;
                }
            };
            let _ = tokio::time::timeout(Duration::from_secs(20), round).await;
            rounds.fetch_add(1, Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

/// Attacks on ports that speak TLS.
fn attack_handshakes(nodes: &[Node], until: Instant) -> Seen {
    let ports = &ports(nodes);
    attackers(
        ["garbage", "slow", "held", "half handshakes", "foreign certificates"],
        [
            &|count| throw_garbage(ports, until, count),
            &|count| speak_slowly(ports, until, count),
            &|count| hold(ports, until, count),
            &|count| handshakes::halve(ports, until, count),
            &|count| handshakes::show_foreign(ports, until, count),
        ],
    )
}
