//! Attacks on every port of two nodes that train: the run ends in the same state as without the attacks.

use e2e::harm::Hosts;
use e2e::{Node, machine};
use proto::client;
use proto::link::{Contract, Link, Peer};
use proto::spec::graph::Value;
use proto::spec::graph::{LayerSpec, Op};
use proto::spec::stage::StageSpec;
use proto::tensor::Kind;
use proto::transport::{CONTROL_MESSAGE_LIMIT, grpc};
use proto::wire;
use proto::wire::layer_client::LayerClient;
use proto::wire::node_client::NodeClient;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

/// The longest attack; a shorter run has a shorter attack.
const ATTACK: Duration = Duration::from_secs(8);
/// The memory that a node may take in addition under attack: the bytes that admission lets unknown connections of two
/// ports send, once in the transport's buffers and once in the decoder's, and the allocator's share.
const EXTRA: u64 = 96 << 20;
/// Connections that one attacker opens and holds, at each port.
const HELD: usize = 1250;

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
    let (quiet, memory_quiet, ()) = run("quiet", |_| ());
    let lasts = begun.elapsed().div_f64(2.0).min(ATTACK);
    let (attacked, memory_attacked, seen) = run("attacked", |nodes| attack(nodes, Instant::now() + lasts));
    assert_eq!(quiet, attacked);
    println!("{seen:#?}, peak memory {memory_quiet:?} undisturbed, {memory_attacked:?} attacked");
    for (quiet, attacked) in memory_quiet.into_iter().zip(memory_attacked) {
        assert!(attacked < quiet + EXTRA, "{attacked} bytes under attack, {quiet} without");
    }
}

/// Trains over two nodes and runs `meanwhile`; returns the digests, the nodes' peak memory, and the result of
/// `meanwhile`.
fn run<T>(name: &str, meanwhile: impl FnOnce(&[Node]) -> T) -> (BTreeMap<String, String>, Vec<u64>, T) {
    let hosts = Hosts::new(2);
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

fn attack(nodes: &[Node], until: Instant) -> Seen {
    let counts: [(&'static str, Arc<AtomicUsize>); 9] = [
        "garbage",
        "slow",
        "held",
        "strangers",
        "floods",
        "second coordinators",
        "long names",
        "questions",
        "tiny layers",
    ]
    .map(|name| (name, Arc::default()));
    let address = |node: usize, plane: &str| nodes[node].address(plane).to_owned();
    let ports: Vec<String> =
        [0, 1].into_iter().flat_map(|node| ["data", "control"].map(|plane| address(node, plane))).collect();
    std::thread::scope(|scope| {
        let count = |at: usize| counts[at].1.clone();
        let (ports, [garbage, slow, held]) = (&ports, [0, 1, 2].map(count));
        scope.spawn(move || throw_garbage(ports, until, &garbage));
        scope.spawn(move || speak_slowly(ports, until, &slow));
        scope.spawn(move || hold(ports, until, &held));
        let counts = [3, 4, 5, 6, 7, 8].map(count);
        scope.spawn(move || {
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
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
        });
    });
    let seen: Seen = counts.iter().map(|(name, count)| (*name, count.load(Relaxed))).collect();
    assert!(seen.values().all(|count| *count > 0), "{seen:?}");
    seen
}

fn throw_garbage(ports: &[String], until: Instant, count: &AtomicUsize) {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let junk: [Vec<u8>; 7] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        // The start of TLS's hello.
        [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 500]].concat(),
        vec![0xff; 100_000],
        [&preface[..], &[0xff; 64]].concat(),
        // The header of a frame of 16 MiB.
        [&preface[..], &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1], &[0; 5000]].concat(),
        // Headers that never end: HEADERS without END_HEADERS, then CONTINUATION after CONTINUATION.
        [&preface[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82][..]]
            .into_iter()
            .chain(std::iter::repeat_n(&[0, 0, 3, 9, 0, 0, 0, 0, 1, 0x40, 1, b'a'][..], 20_000))
            .collect::<Vec<_>>()
            .concat(),
        // Repeated settings.
        [&preface[..]]
            .into_iter()
            .chain(std::iter::repeat_n(&[0, 0, 0, 4, 0, 0, 0, 0, 0][..], 20_000))
            .collect::<Vec<_>>()
            .concat(),
    ];
    for (round, port) in ports.iter().cycle().enumerate() {
        if Instant::now() >= until {
            return;
        }
        let Ok(mut socket) = TcpStream::connect(port) else { continue };
        let _ = socket.set_write_timeout(Some(Duration::from_millis(200)));
        let _ = socket.set_read_timeout(Some(Duration::from_millis(20)));
        let _ = socket.write_all(&junk[round / ports.len() % junk.len()]);
        if round % 3 == 0 {
            // Half closed: the attacker sends no more and waits for everything.
            let _ = socket.shutdown(Shutdown::Write);
        }
        let _ = socket.read(&mut [0; 64]);
        count.fetch_add(1, Relaxed);
    }
}

/// Sends a byte of a valid start every tenth of a second, on many connections.
fn speak_slowly(ports: &[String], until: Instant, count: &AtomicUsize) {
    let words = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let connected = ports.iter().cycle().take(40).filter_map(|port| TcpStream::connect(port).ok());
    let mut sockets: Vec<TcpStream> = connected.collect();
    for word in words.iter().cycle() {
        if Instant::now() >= until {
            return;
        }
        for socket in &mut sockets {
            count.fetch_add(usize::from(socket.write_all(&[*word]).is_ok()), Relaxed);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Holds silent connections to the end.
fn hold(ports: &[String], until: Instant, count: &AtomicUsize) {
    let mut held = Vec::new();
    for port in ports.iter().cycle().take(HELD * ports.len()) {
        held.extend(TcpStream::connect(port).ok());
        count.fetch_add(1, Relaxed);
        if Instant::now() >= until {
            return;
        }
    }
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
}

async fn channel(address: &str) -> Option<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
    endpoint.connect_timeout(Duration::from_secs(5)).connect().await.ok()
}

/// Opens links that name no run, or another run.
async fn strangers(data: &str, count: &AtomicUsize) {
    let Some(channel) = channel(data).await else { return };
    let mut client = LayerClient::new(channel);
    let nameless = client.exchange(tokio_stream::pending::<wire::Activation>()).await.unwrap_err();
    refused(nameless.code(), Code::Unauthenticated);
    let mut wrong = Request::new(tokio_stream::pending::<wire::ErrorSignal>());
    wrong.metadata_mut().insert("neuropil-run", "guessed".parse().unwrap());
    wrong.metadata_mut().insert("neuropil-incarnation", 1.into());
    refused(client.collect(wrong).await.unwrap_err().code(), Code::PermissionDenied);
    count.fetch_add(2, Relaxed);
    let values = Vec::new();
    let contract = Contract {
        run: "guessed".into(),
        incarnation: 1,
        values,
        kind: Kind::F32,
        max_microbatch: 1,
        max_microbatches: 1,
    };
    let link = Link::new(Peer::node(data), contract);
    assert!(grpc::exchange(&link, Duration::from_millis(300)).await.is_err());
}

/// Checks a refusal. A connection that was closed to make room is a refusal, too.
fn refused(code: Code, expected: Code) {
    assert!(
        code == expected || matches!(code, Code::Unknown | Code::Unavailable | Code::Cancelled),
        "{code}"
    );
}

/// Sends chunks without end, for a run that does not exist.
async fn flood(data: &str, count: &AtomicUsize) {
    let Some(channel) = channel(data).await else { return };
    let chunk = wire::Chunk { tensor: 0, offset: 0, data: vec![7; 1 << 20].into() };
    let part = wire::Activation { part: Some(wire::activation::Part::Chunk(chunk)) };
    let mut endless = Request::new(tokio_stream::iter(std::iter::repeat_n(part, 64)));
    endless.metadata_mut().insert("neuropil-run", "guessed".parse().unwrap());
    endless.metadata_mut().insert("neuropil-incarnation", 1.into());
    assert!(LayerClient::new(channel).exchange(endless).await.is_err());
    count.fetch_add(1, Relaxed);
}

/// Calls the nodes as another coordinator.
async fn second_coordinator(control: &str, count: &AtomicUsize) {
    let Ok(node) = client::Node::connect(&Peer::node(control), Duration::from_secs(5)).await else { return };
    let run = node.run().await.err().expect("the node is busy").to_string();
    assert!(run.contains("busy") || run.contains("lost"), "{run}");
    let stage = stage();
    let configured = node.configure(stage).await.expect_err("the node is busy").to_string();
    assert!(configured.contains("busy") || configured.contains("lost"), "{configured}");
    count.fetch_add(1, Relaxed);
}

fn stage() -> StageSpec {
    let relu = LayerSpec::new("relu", &["input"], Op::Relu);
    let inputs = vec![Value { name: "input".into(), shape: vec![1] }];
    StageSpec { run: "second".into(), ..StageSpec::alone(vec![relu], inputs) }
}

/// Sends names of a megabyte, and messages above the limit.
async fn long_names(control: &str, count: &AtomicUsize) {
    let Some(channel) = channel(control).await else { return };
    let mut client = NodeClient::new(channel);
    let long = wire::Stage { run: "x".repeat(1 << 19), stages: 1, ..Default::default() };
    refused(client.configure(long).await.unwrap_err().code(), Code::FailedPrecondition);
    let huge = wire::Stage { run: "x".repeat(2 << 20), ..Default::default() };
    refused(client.configure(huge).await.unwrap_err().code(), Code::OutOfRange);
    let path = "x".repeat(60_000);
    let mut request = Request::new(wire::DescribeRequest {});
    request.metadata_mut().insert("long", path.parse().unwrap());
    assert!(client.describe(request).await.is_err(), "headers are bounded");
    count.fetch_add(3, Relaxed);
}

/// Sends a message full of empty layers: a layer has two bytes on the wire, and a hundred bytes in a decoder's
/// memory. With another layer, the message would be too long.
async fn tiny_layers(control: &str, count: &AtomicUsize) {
    let Some(channel) = channel(control).await else { return };
    let mut client = NodeClient::new(channel);
    for more in [0, 1] {
        let layers = vec![wire::LayerSpec::default(); CONTROL_MESSAGE_LIMIT / 2 + more];
        let stage = wire::Stage { layers, ..Default::default() };
        let code = [Code::InvalidArgument, Code::OutOfRange][more];
        refused(client.configure(stage).await.unwrap_err().code(), code);
        count.fetch_add(1, Relaxed);
    }
}

/// Asks about the schema, and reads no answer.
async fn questions(address: &str, count: &AtomicUsize) {
    let Some(channel) = channel(address).await else { return };
    let mut client = ServerReflectionClient::new(channel);
    let symbol = MessageRequest::FileContainingSymbol("neuropil.v1.Node".into());
    let ask = ServerReflectionRequest { host: "x".repeat(8000), message_request: Some(symbol) };
    let mut unread = Vec::new();
    for _ in 0..16 {
        let asks = tokio_stream::iter(std::iter::repeat_n(ask.clone(), 2000));
        let call = tokio::time::timeout(Duration::from_secs(1), client.server_reflection_info(asks)).await;
        unread.extend(call.ok());
        count.fetch_add(1, Relaxed);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
}
