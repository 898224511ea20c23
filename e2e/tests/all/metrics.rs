//! Tests of the metrics ports of a real run: every line parses, no counter decreases, and the values equal those of
//! `metrics.jsonl`, while other connections send garbage or stay silent.

use e2e::harm::failed;
use e2e::scrape::{Scrape, ask, scrape};
use e2e::{Bench, Node, binary};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

const KEYS: &str = r#"
[train]
epochs = 60
batch = 16
[pipeline]
microbatches = 2
stages = ["down"]
[metrics]
layers_every = 10
"#;

/// The number of silent connections at each port: more than the port has room for.
const HELD: usize = 40;

#[test]
fn scrapes_under_attack_say_what_metrics_jsonl_says() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let nodes = [0, 1].map(|stage| Node::metered(&bench.path(&format!("host-{stage}"))));
    let ports = nodes.each_ref().map(|node| node.address("metrics"));
    let control = nodes.each_ref().map(|node| node.address("control")).join(",");
    let config = config.to_str().unwrap();
    let arguments = ["train", "--config", config, "--name", "watched", "--metrics", "127.0.0.1:0"];
    let mut coordinator =
        bench.coordinator(&[&arguments[..], &["--nodes", &control]].concat()).spawn().unwrap();
    let mut stderr = BufReader::new(coordinator.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    let port = line.strip_prefix("metrics at http://").and_then(|line| line.strip_suffix("/metrics\n"));
    let port = port.unwrap_or_else(|| panic!("{line}"));

    let _held = [port, ports[0]].map(hold);
    let over = AtomicBool::new(false);
    let (of_run, of_nodes) = std::thread::scope(|threads| {
        for target in [port, ports[0]] {
            let over = &over;
            threads.spawn(move || attack(target, over));
        }
        // A full pipe would block the run.
        let rest = threads.spawn(move || {
            let mut rest = String::new();
            stderr.read_to_string(&mut rest).map(|_| rest)
        });
        let watched = std::panic::catch_unwind(AssertUnwindSafe(|| watch(&mut coordinator, port, ports)));
        over.store(true, Relaxed);
        let watched = watched.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert_eq!(coordinator.wait().unwrap().code(), Some(0), "{}", rest.join().unwrap().unwrap());
        watched
    });
    let run = bench.run("watched");
    let lines = run.metrics();
    let steps = of_run.value("neuropil_steps_total") as usize;
    assert!(steps > 20 && steps <= lines.len(), "{steps} of {}", lines.len());
    says_of_run(&of_run, &lines[..steps]);
    says_of_nodes(&of_nodes, &lines);
    has_what_is_watched(&of_run, &of_nodes);
    assert!(of_nodes[0].value(r#"neuropil_node_refused_connections_total{plane="metrics"}"#) > 0.0);

    // The idle node counts a link that names no run.
    let before = scrape(ports[0]).unwrap();
    assert_eq!(before.value("neuropil_node_refused_links_total"), 0.0);
    stranger(nodes[0].address("data"));
    let after = scrape(ports[0]).unwrap();
    assert_eq!(after.value("neuropil_node_refused_links_total"), 1.0);
}

/// Scrapes all three ports in turn until the coordinator has ended, and the nodes' ports until the nodes are idle.
fn watch(coordinator: &mut Child, port: &str, nodes: [&str; 2]) -> (Scrape, [Scrape; 2]) {
    let mut last = Scrape::default();
    let mut of_nodes = nodes.map(|_| Scrape::default());
    let look = |of_nodes: &mut [Scrape; 2]| {
        for (last, address) in of_nodes.iter_mut().zip(nodes) {
            let now = scrape(address).expect("a node serves on");
            now.follows(last);
            *last = now;
        }
    };
    let (mut busy, mut gone) = (false, None);
    while coordinator.try_wait().unwrap().is_none() {
        match scrape(port) {
            Ok(now) => {
                assert!(gone.is_none(), "a scrape failed in the middle of the run: {gone:?}");
                now.follows(&last);
                last = now;
            }
            Err(error) => gone = Some(error),
        }
        look(&mut of_nodes);
        busy |= of_nodes[0].value("neuropil_node_busy") == 1.0;
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(busy, "no scrape found the node busy");
    while of_nodes.iter().any(|node| node.value("neuropil_node_busy") == 1.0) {
        look(&mut of_nodes);
    }
    (last, of_nodes)
}

/// Checks the metrics of the coordinator's port against the steps in `lines`, to the last digit.
fn says_of_run(scrape: &Scrape, lines: &[Value]) {
    let newest = lines.last().unwrap();
    for (sample, key) in [
        ("neuropil_step", "step"),
        ("neuropil_epoch", "epoch"),
        ("neuropil_loss", "loss"),
        ("neuropil_accuracy_ratio", "accuracy"),
    ] {
        assert_eq!(scrape.value(sample), newest[key].as_f64().unwrap(), "{sample}");
    }
    assert!(scrape.has(r#"neuropil_layer_angle_degrees{layer="stem"}"#));
    assert_eq!(scrape.value("neuropil_restarts_total"), 0.0);
    assert!(!scrape.has("neuropil_certificate_expiry_seconds"), "there is no certificate in plaintext");
    for stage in 0..2 {
        let total = |key: &str| total(lines, stage, key);
        let labels = format!("stage=\"{stage}\"");
        for (sample, key) in [
            (format!("neuropil_stage_compute_seconds_total{{{labels}}}"), "compute_s"),
            (format!("neuropil_stage_wait_seconds_total{{{labels}}}"), "wait_s"),
            (format!("neuropil_stage_send_seconds_total{{{labels}}}"), "send_s"),
            (format!("neuropil_stage_sent_bytes_total{{{labels},direction=\"forward\"}}"), "bytes_forward"),
            (format!("neuropil_stage_sent_bytes_total{{{labels},direction=\"backward\"}}"), "bytes_backward"),
        ] {
            assert_eq!(scrape.value(&sample), total(key), "{sample}");
        }
    }
}

/// Checks that both programs together show every metric that the alerts and the dashboard of `deploy/` name.
fn has_what_is_watched(run: &Scrape, nodes: &[Scrape; 2]) {
    let shown: BTreeSet<_> = nodes.iter().chain([run]).flat_map(Scrape::names).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/overlays/monitoring");
    for file in ["alerts.yaml", "dashboard.json"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let metrics = words.filter(|word| word.starts_with("neuropil_") || word.starts_with("process_"));
        // In plaintext there is no certificate.
        let of_plaintext = metrics.filter(|metric| *metric != "neuropil_certificate_expiry_seconds");
        let mut count = 0;
        for metric in of_plaintext {
            assert!(shown.contains(metric), "{file} names {metric}: {shown:?}");
            count += 1;
        }
        assert!(count >= 5, "{file} names {count} metrics");
    }
}

/// Checks the metrics of two idle nodes' ports against the training steps in `lines`.
fn says_of_nodes(nodes: &[Scrape; 2], lines: &[Value]) {
    let [below, above] = nodes;
    for (stage, node) in nodes.iter().enumerate() {
        let total = |key: &str| total(lines, stage, key);
        assert_eq!(node.value(r#"neuropil_node_steps_total{phase="train"}"#), lines.len() as f64);
        assert!(node.has(r#"neuropil_node_steps_total{phase="evaluate"}"#));
        assert!(!node.has("neuropil_certificate_expiry_seconds"), "there is no certificate in plaintext");
        assert_eq!(node.value(r#"neuropil_node_compute_seconds_total{phase="train"}"#), total("compute_s"));
        assert_eq!(node.value(r#"neuropil_node_wait_seconds_total{phase="train"}"#), total("wait_s"));
        assert_eq!(node.value(r#"neuropil_node_send_seconds_total{phase="train"}"#), total("send_s"));
        for direction in ["forward", "backward"] {
            let sent = node.value(&bytes("sent", direction));
            assert_eq!(sent, total(&format!("bytes_{direction}")), "{direction}");
        }
        assert!(node.value("process_resident_memory_bytes") > 1e6);
        let free = node.value("neuropil_node_memory_available_bytes");
        assert!(free > 0.0 && free <= node.value("neuropil_node_memory_limit_bytes"));
        assert_eq!(node.value("neuropil_node_refused_messages_total"), 0.0);
    }
    assert_eq!(above.value(&bytes("received", "forward")), below.value(&bytes("sent", "forward")));
    assert_eq!(below.value(&bytes("received", "backward")), above.value(&bytes("sent", "backward")));
}

fn bytes(way: &str, direction: &str) -> String {
    format!(r#"neuropil_node_{way}_bytes_total{{phase="train",direction="{direction}"}}"#)
}

/// The sum of `key` over a stage's lines, in their order.
fn total(lines: &[Value], stage: usize, key: &str) -> f64 {
    lines.iter().map(|line| line["stages"][stage][key].as_f64().unwrap()).sum()
}

/// Opens silent connections, one of them with half a request.
fn hold(address: &str) -> Vec<TcpStream> {
    let mut held: Vec<_> = (0..HELD).map(|_| TcpStream::connect(address).unwrap()).collect();
    held.last_mut().unwrap().write_all(b"GET /metr").unwrap();
    held
}

/// Sends garbage until `over` is set.
fn attack(address: &str, over: &AtomicBool) {
    let mut noise = 1u64;
    while !over.load(Relaxed) {
        let Ok(mut stream) = TcpStream::connect(address) else { return };
        let garbage: Vec<u8> = (0..40_000)
            .map(|_| {
                noise = noise.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (noise >> 40) as u8
            })
            .collect();
        let _ =
            stream.write_all(b"GET /metrics HTTP/1.1\r\nlong: ").and_then(|()| stream.write_all(&garbage));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Opens a link that names no run.
fn stranger(address: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refused = runtime.block_on(async {
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut client = proto::wire::layer_client::LayerClient::new(channel.connect().await.unwrap());
        client.exchange(tokio_stream::empty()).await.map(|_| ())
    });
    assert_eq!(refused.unwrap_err().code(), tonic::Code::Unauthenticated);
}

#[test]
fn a_metrics_port_answers_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::metered(folder.path());
    let long = format!("GET /metrics HTTP/1.1\r\nlong: {}\r\n\r\n", "x".repeat(9000));
    for (request, answer) in [
        ("GET / HTTP/1.1\r\nhost: test\r\n\r\n", "HTTP/1.1 404"),
        ("POST /metrics HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 405"),
        (&long, "HTTP/1.1 431"),
        ("nonsense\r\n\r\n", "HTTP/1.1 400"),
    ] {
        let got = ask(node.address("metrics"), request.as_bytes()).unwrap();
        assert!(got.starts_with(answer), "{got}");
    }
}

#[test]
fn a_taken_metrics_port_is_said_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let train = ["train", "--local", "--name", "taken", "--metrics", &address, "--config"];
    let ended = bench.ended(&[&train[..], &[config.to_str().unwrap()]].concat());
    failed(&ended, 2, &[&address, "give --metrics another address"]);
    assert!(!bench.run("taken").folder.exists(), "a run that cannot start leaves no folder");
    let mut node = Command::new(binary("layer-node"));
    node.arg("serve").arg("--state-dir").arg(bench.path("state")).args(["--metrics", &address]);
    for flag in ["--listen", "--control", "--health"] {
        node.args([flag, "127.0.0.1:0"]);
    }
    failed(&node.output().unwrap().into(), 2, &[&address, "give --metrics another address"]);
}
