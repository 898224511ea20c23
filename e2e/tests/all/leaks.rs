//! A proof must be able to fail: the middle node of three is of a test's build and leaks a weight, and the audit says on
//! which link, in which message, and by which tensor. `docs/locality.md` has the table of all leaks, with what a capture
//! and a firewall see of them.

use e2e::harm::Hosts;
use e2e::scrape::ask;
use e2e::{Ended, Node, binary, leaking_node};
use safetensors::SafeTensors;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::time::Duration;

/// The leaking node holds `branch1` and `branch2`, whose W is the weight that leaks; `pool` crosses the cut above it.
const KEYS: &str = r#"
[rule]
name = "kolen_pollack"
[train]
batch = 32
[pipeline]
microbatches = 2
stages = ["branch1", "down"]
[snapshot]
every_steps = 1
keep_last = 100
"#;

/// The weight that leaks.
const WEIGHT: &str = "branch1.weight";

/// Three hosts, of which the middle one leaks as `leak` says.
struct Leaking {
    hosts: Hosts,
}

impl Leaking {
    fn new(leak: &str, to: &str) -> Self {
        let mut hosts = Hosts::new(3);
        hosts.nodes[1] = Node::leaking(&hosts.bench.path("host-1-leaking"), leak, to);
        Self { hosts }
    }

    /// Runs the audit to its end.
    fn audited(&self) -> Ended {
        let config = self.hosts.bench.config(KEYS);
        self.hosts.ended(&["locality", "--config", config.to_str().unwrap(), "--steps", "6"])
    }

    /// The bytes of the weight in each snapshot of the leaking node.
    fn weights(&self) -> BTreeSet<Vec<u8>> {
        let state = self.hosts.bench.path("host-1-leaking");
        let snapshots = fs::read_dir(state).unwrap().flatten().map(|entry| entry.path());
        let snapshots = snapshots.filter(|path| path.join("stage.safetensors").is_file());
        snapshots.map(|snapshot| weight(&snapshot.join("stage.safetensors"))).collect()
    }
}

fn weight(file: &Path) -> Vec<u8> {
    let bytes = fs::read(file).unwrap();
    SafeTensors::deserialize(&bytes).unwrap().tensor(WEIGHT).unwrap().data().to_vec()
}

/// Each leak that the protocol's own ends see, and what the audit says of it: link, message, tensor, and what was found.
const SEEN: &[(&str, &[&str])] = &[
    (
        "message",
        &["stage 1 → stage 2, activation, branch1.weight", "as f32 [8, 6, 3, 3] where 'pool' as f32"],
    ),
    ("unknown_field", &["stage 1 → stage 2, activation, pool", "an activation has 1732 spare bytes"]),
    ("extra_tensor", &["stage 1 → stage 2, activation, branch1.weight", "a message of 2 tensors"]),
    ("format", &["stage 1 → stage 2, activation, pool", "'pool' as bf16", "where 'pool' as f32"]),
    (
        "control",
        &[
            "stage 1 → coordinator, control message",
            "it measures 1 layers where the 0 weight layers of the stage are due",
        ],
    ),
    ("snapshot", &["stage 1 → coordinator, control message", "a report has 1732 spare bytes"]),
];

#[test]
fn the_audit_names_link_message_and_tensor_of_a_leak() {
    for (leak, says) in SEEN {
        let ended = Leaking::new(leak, "").audited();
        let sentence = ended.last_line();
        println!("{leak}: {:?} {sentence}", ended.code);
        assert_eq!(ended.code, Some(5), "{leak}: {}{}", ended.stdout, ended.stderr);
        for part in *says {
            assert!(sentence.contains(part), "{leak}: '{part}' is not said in: {sentence}");
        }
    }
}

/// Neither neighbour nor coordinator is asked for these leaks: a firewall lets no stranger through, and a capture shows
/// every connection (`cargo xtask hosts leaks`).
#[test]
fn the_audit_alone_does_not_see_what_goes_to_strangers() {
    let metrics = Leaking::new("metrics", "");
    let ended = metrics.audited();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let answer =
        ask(metrics.hosts.nodes[1].address("metrics"), b"GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
    let numbers = answer.lines().filter_map(|line| line.strip_prefix("neuropil_leak{")?.split_once("} "));
    let shown: Vec<u8> =
        numbers.flat_map(|(_, number)| number.parse::<f32>().unwrap().to_le_bytes()).collect();
    assert!(metrics.weights().contains(&shown), "{} bytes of no weight: {answer}", shown.len());

    let (stream, packets) = stranger();
    let socket = Leaking::new("socket", &stream.local_addr().unwrap().to_string());
    let ended = socket.audited();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut sent = Vec::new();
    stream.accept().unwrap().0.read_to_end(&mut sent).unwrap();
    assert!(socket.weights().contains(&sent), "{} bytes of no weight", sent.len());
    let mut packet = [0; 2000];
    let length = packets.recv(&mut packet).unwrap();
    assert!(length >= 64 && socket.weights().iter().any(|weight| weight.starts_with(&packet[..length])));
}

/// A stranger that takes connections and packets at one address.
fn stranger() -> (TcpListener, UdpSocket) {
    let stream = TcpListener::bind("127.0.0.1:0").unwrap();
    let packets = UdpSocket::bind(stream.local_addr().unwrap()).unwrap();
    packets.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    (stream, packets)
}

/// The words of the variables that choose a leak are in the leaking program, and in no other.
#[test]
fn an_ordinary_program_has_no_leak() {
    let word = b"NEUROPIL_LEAK";
    let leaks = |program| fs::read(program).unwrap().windows(word.len()).any(|window| window == word);
    assert!(leaks(leaking_node()));
    assert!(!leaks(binary("layer-node")) && !leaks(binary("coordinator")));
}
