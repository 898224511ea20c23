//! Refusals: each is a sentence at both ends, which says the check that failed and whose certificate it was.

use e2e::certificates::{Authority, Files, HOST, Leaf};
use e2e::harm::{Hosts, eventually, failed};
use e2e::{Bench, Node};
use proto::client;
use proto::failure::{Failure, FailureKind};
use proto::link::{Contract, Link, Peer};
use proto::spec::graph::{LayerSpec, Op, Value};
use proto::spec::stage::StageSpec;
use proto::tensor::Kind;
use proto::transport::grpc;
use proto::transport::tls::{Credentials, Security};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How long a dial may take; a refusal takes one attempt.
const DEADLINE: Duration = Duration::from_secs(20);

/// A wrong process, and what both ends say.
struct Case {
    wrong: &'static str,
    files: Files,
    client: &'static [&'static str],
    server: &'static [&'static str],
}

fn security(files: &Files) -> Security {
    let Files { ca, certificate, key } = files.clone();
    Security::open(&Credentials { ca, certificate, key }).unwrap()
}

/// Dials `peer` once as the owner of `security` does.
fn dial(security: &Security, peer: &Peer) -> Failure {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    let refused = runtime.block_on(client::Node::dial(security, peer, DEADLINE)).expect_err("a refusal");
    assert!(begun.elapsed() < DEADLINE / 2, "a refusal is not tried again: {refused}");
    refused
}

fn check(wrong: &str, refused: &Failure, client: &[&str], log: &Path, server: &[&str]) {
    println!("{wrong}\n  client: {refused}");
    assert_eq!(refused.kind, FailureKind::Identity, "{wrong}: {refused}");
    for said in client {
        assert!(refused.sentence.contains(said), "{wrong}: '{said}' is not said in: {refused}");
    }
    let lines = || fs::read_to_string(log).unwrap();
    let line = || lines().lines().rfind(|line| line.contains("refused at ")).map(str::to_owned);
    eventually(&format!("{wrong}: {server:?}"), || {
        line().is_some_and(|line| server.iter().all(|said| line.contains(said)))
    });
    println!("  server: {}", line().unwrap());
    assert!(!lines().contains("PRIVATE"), "no key in a log");
}

struct Wrong {
    lab: Authority,
    other: Authority,
}

impl Wrong {
    fn new(bench: &Bench) -> Self {
        Self { lab: Authority::new(&bench.path("lab")), other: Authority::new(&bench.path("other")) }
    }
}

#[test]
fn a_caller_that_is_not_expected_is_refused_in_a_sentence_at_both_ends() {
    let bench = Bench::new();
    let Wrong { lab, other } = Wrong::new(&bench);
    let state = bench.path("stage-3");
    let node = Node::logged(&state, &lab.issue("stage-3", &Leaf::stage(3)).flags());
    let peer = Peer::stage(3).at(node.address("control"));
    let right = Leaf::coordinator();
    let case =
        |wrong, leaf: Leaf, client, server| Case { wrong, files: lab.issue(wrong, &leaf), client, server };
    let cases = [
        Case {
            wrong: "foreign",
            files: other.issue("coordinator", &right).believing(&lab),
            client: &["refuses neuropil:lab:coordinator's certificate", "no CA that it trusts"],
            server: &["shows neuropil:lab:coordinator's certificate", "no CA of --tls-ca has issued"],
        },
        case(
            "expired",
            Leaf { from: -9, until: -2, ..right.clone() },
            &["refuses neuropil:lab:coordinator's certificate", "has expired or is not valid yet"],
            &["shows neuropil:lab:coordinator's certificate", "which has expired", "the clock here says"],
        ),
        case(
            "early",
            Leaf { from: 2, ..right.clone() },
            &["refuses neuropil:lab:coordinator's certificate", "compare the clocks"],
            &["shows neuropil:lab:coordinator's certificate", "not valid yet", "compare the clocks"],
        ),
        case(
            "server",
            Leaf { uses: Leaf::stage(0).uses[..1].to_vec(), ..right.clone() },
            &[
                "refuses neuropil:lab:coordinator's certificate",
                "for servers only where a client's is expected",
            ],
            &["shows neuropil:lab:coordinator's certificate", "for servers only"],
        ),
        case(
            "stage",
            Leaf::stage(1),
            &["refuses neuropil:lab:stage:1's certificate", "expects another identity"],
            &["shows neuropil:lab:stage:1's certificate", "only neuropil:lab:coordinator may call here"],
        ),
        case(
            "deployment",
            Leaf { uris: vec!["neuropil:barn:coordinator".into()], ..right.clone() },
            &[
                "shows neuropil:lab:stage:3's certificate",
                "of another deployment than this process, which is neuropil:barn:coordinator",
            ],
            &["refuses neuropil:lab:stage:3's certificate", "expects another identity"],
        ),
    ];
    for Case { wrong, files, client, server } in cases {
        let refused = dial(&security(&files), &peer);
        assert!(refused.sentence.starts_with(&format!("{peer} ")), "{refused}");
        check(wrong, &refused, client, &Node::log_of(&state), server);
    }
    let client = ["speaks TLS, and this program has no certificate"];
    let plaintext = dial(&Security::plaintext(), &peer);
    check("plaintext", &plaintext, &client, &Node::log_of(&state), &["does not speak TLS"]);
    let nameless = dial_without_certificate(&lab, node.address("control"));
    assert!(nameless.contains("CertificateRequired"), "{nameless}");
    eventually("the node's sentence", || {
        fs::read_to_string(Node::log_of(&state)).unwrap().contains("shows no certificate")
    });
    let right = security(&lab.issue("coordinator", &right));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (admitted, _) = runtime
        .block_on(client::Node::dial(&right, &peer, DEADLINE))
        .expect("the coordinator is not refused");
    let relu = LayerSpec::new("relu", &["input"], Op::Relu);
    let first = StageSpec::alone(vec![relu], vec![Value { name: "input".into(), shape: vec![1] }]);
    let swapped = runtime.block_on(admitted.configure(first)).expect_err("another stage").to_string();
    assert!(
        swapped.contains("is neuropil:lab:stage:3 by its certificate, and cannot become stage 0"),
        "{swapped}"
    );

    // Data comes from the stage below, and from the coordinator.
    let data = Peer::stage(3).at(node.address("data"));
    let below = ["neuropil:lab:coordinator or neuropil:lab:stage:2 may call here"];
    for stage in [1, 4] {
        let wrong = format!("stage {stage} as the neighbour below stage 3");
        let refused = open_link(&security(&lab.issue(&format!("stage-{stage}"), &Leaf::stage(stage))), &data);
        check(&wrong, &refused, &["expects another identity"], &Node::log_of(&state), &below);
    }
    let early = open_link(&security(&lab.issue("stage-2", &Leaf::stage(2))), &data);
    assert_eq!(early.kind, FailureKind::Unreachable, "no run is under way, so stage 2 waits: {early}");
}

/// Opens a link to `peer` as the owner of `security` does.
fn open_link(security: &Security, peer: &Peer) -> Failure {
    let contract = Contract {
        run: "run".into(),
        incarnation: 1,
        forms: Vec::new(),
        kind: Kind::F32,
        max_microbatches: 1,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let link = Link::new(peer.clone(), contract);
    runtime.block_on(grpc::exchange(security, &link, Duration::from_secs(2))).expect_err("no link")
}

/// Speaks TLS without a certificate of its own, and returns the error of the first read.
fn dial_without_certificate(authority: &Authority, address: &str) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&authority.file).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
        stream.read_u8().await.expect_err("a refusal").to_string()
    })
}

#[test]
fn a_node_that_is_not_expected_is_refused_in_a_sentence_at_both_ends() {
    let bench = Bench::new();
    let Wrong { lab, other } = Wrong::new(&bench);
    let coordinator = security(&lab.issue("coordinator", &Leaf::coordinator()));
    let right = Leaf::stage(1);
    let case =
        |wrong, leaf: Leaf, client, server| Case { wrong, files: lab.issue(wrong, &leaf), client, server };
    let refuses: &[&str] = &["refuses neuropil:lab:stage:1's certificate"];
    let cases = [
        Case {
            wrong: "foreign",
            files: other.issue("stage-1", &right).believing(&lab),
            client: &["shows neuropil:lab:stage:1's certificate", "no CA of --tls-ca has issued"],
            server: refuses,
        },
        case(
            "expired",
            Leaf { from: -9, until: -2, ..right.clone() },
            &["shows neuropil:lab:stage:1's certificate", "which has expired"],
            refuses,
        ),
        case(
            "early",
            Leaf { from: 2, ..right.clone() },
            &["shows neuropil:lab:stage:1's certificate", "not valid yet"],
            refuses,
        ),
        case(
            "client",
            Leaf { uses: Leaf::coordinator().uses, ..right.clone() },
            &["shows neuropil:lab:stage:1's certificate", "for clients only"],
            &["refuses neuropil:lab:stage:1's certificate", "or the reverse"],
        ),
        case(
            "deployment",
            Leaf { uris: vec!["neuropil:barn:stage:1".into()], ..right.clone() },
            &["shows neuropil:barn:stage:1's certificate", "of another deployment"],
            &["refuses neuropil:barn:stage:1's certificate"],
        ),
        case(
            "swapped",
            Leaf::stage(2),
            &[
                "shows neuropil:lab:stage:2's certificate",
                "where neuropil:lab:stage:1 is expected: check the addresses and their order",
            ],
            &["refuses neuropil:lab:stage:2's certificate", "expects another identity"],
        ),
    ];
    for Case { wrong, files, client, server } in cases {
        let state = bench.path(&format!("node-{wrong}"));
        let node = Node::logged(&state, &files.flags());
        let refused = dial(&coordinator, &Peer::stage(1).at(node.address("control")));
        check(wrong, &refused, client, &Node::log_of(&state), server);
    }
    let state = bench.path("plaintext");
    let node = Node::logged(&state, &[]);
    let refused = dial(&coordinator, &Peer::stage(1).at(node.address("control")));
    check("plaintext", &refused, &["does not speak TLS"], &Node::log_of(&state), &["speaks TLS to a port"]);
}

#[test]
fn swapped_addresses_and_files_that_cannot_be_used_are_told_before_anything_starts() {
    let mut hosts = Hosts::secured(2);
    let config = hosts.bench.config("[pipeline]\nstages = [\"down\"]\nmicrobatches = 2\n");
    hosts.nodes.swap(0, 1);
    let train = ["train", "--config", config.to_str().unwrap(), "--name", "swapped"];
    failed(
        &hosts.ended(&train),
        4,
        &["stage:0", "stage:1", "is expected: check the addresses and their order"],
    );

    let files = Authority::new(&hosts.bench.path("more")).issue("stage-0", &Leaf::stage(0));
    let flags = files.flags();
    let ended = |flags: &[String]| {
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        hosts.bench.ended(&[&["check", "--nodes", hosts.nodes[0].address("control")], &flags[..]].concat())
    };
    failed(&ended(&flags), 2, &["--tls-cert is a stage's"]);
    failed(&ended(&flags[..4]), 2, &["--tls-key is missing"]);
    let swapped = Files { key: files.certificate.clone(), ..files.clone() };
    failed(&ended(&swapped.flags()), 2, &["--tls-key", "no private key in PEM"]);
    let absent = Files { ca: "absent.pem".into(), ..files };
    failed(&ended(&absent.flags()), 2, &["absent.pem", "give --tls-ca the file"]);
    let beyond = hosts.bench.ended(&["check", "--nodes", "192.0.2.1:7101"]);
    failed(
        &beyond,
        2,
        &[
            "--nodes 192.0.2.1:7101 is beyond",
            "--tls-cert",
            "coordinator certificates",
            "--insecure-plaintext",
        ],
    );
}
