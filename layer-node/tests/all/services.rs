//! Tests of a node's ports as an unknown caller sees them: health, reflection, and refusals with a reason.

use crate::common::value;
use crate::served::{Served, WAIT, idle, relu, start};
use proto::client::Node;
use proto::control::Report;
use proto::failure::FailureKind;
use proto::link::{Contract, Link};
use proto::spec::contract::Form;
use proto::tensor::Kind;
use proto::transport::admission::CALLS;
use proto::transport::grpc;
use proto::transport::tls::Security;
use proto::wire;
use std::time::Duration;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

async fn channel(node: &Served, plane: &str) -> tonic::transport::Channel {
    tonic::transport::Endpoint::from_shared(node.url(plane)).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn a_node_is_healthy_before_it_is_configured_and_shows_its_schema() {
    let node = Served::start();
    assert_eq!(node.ready["event"], "ready");
    let mut health = HealthClient::new(channel(&node, "health").await);
    let answer = health.check(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);

    let mut reflection = ServerReflectionClient::new(channel(&node, "control").await);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = reflection.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list of services");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"neuropil.v1.Node") && names.contains(&"neuropil.v1.Layer"), "{names:?}");

    let described = node.control().await.describe().await.unwrap();
    assert_eq!((described.device.as_str(), described.threads, described.run), ("cpu", 1, None));
    assert_eq!(described.data.beside(&node.address("control")), node.address("data"));
}

#[test]
fn the_program_asks_another_process_how_it_does() {
    let ask = |address: &str| {
        let mut health = std::process::Command::new(env!("CARGO_BIN_EXE_layer-node"));
        health.args(["health", "--health", address]).output().unwrap()
    };
    let node = Served::start();
    let answer = ask(&node.address("health"));
    assert_eq!((answer.status.code(), &answer.stdout[..]), (Some(0), &b"serving\n"[..]));

    // The control port has other services.
    let refused = ask(&node.address("control"));
    assert_eq!(refused.status.code(), Some(1));
    let address = node.address("health");
    drop(node);
    let silent = ask(&address);
    let said = String::from_utf8_lossy(&silent.stderr);
    assert_eq!(silent.status.code(), Some(1));
    assert!(said.starts_with(&format!("error: no node answers at {address} (")), "{said}");
}

#[tokio::test]
async fn strangers_are_refused_with_a_reason_and_a_call_that_comes_early_may_try_again() {
    let node = Served::start();
    let mut data = wire::layer_client::LayerClient::connect(node.url("data")).await.unwrap();
    let nameless = data.exchange(tokio_stream::pending::<wire::Activation>()).await.unwrap_err();
    assert_eq!(nameless.code(), Code::Unauthenticated);

    let contract = Contract {
        run: "early".into(),
        incarnation: 1,
        forms: vec![Form { values: vec![value("input", &[1])], max_microbatch: 1 }],
        kind: Kind::F32,
        max_microbatches: 1,
    };
    // The deadline is long enough to reach the node on a busy host; otherwise the failure is that of the connection.
    let link = Link::new(node.peer("data"), contract);
    let early = grpc::exchange(&Security::plaintext(), &link, Duration::from_secs(2)).await.unwrap_err();
    assert_eq!(early.kind, FailureKind::Unreachable);
    assert!(early.sentence.contains("no run is under way"), "{early}");

    let control = node.control().await;
    let unconfigured = control.run().await.err().unwrap();
    assert!(unconfigured.to_string().contains("not configured"), "{unconfigured}");
    let wrong_port = Node::connect(&Security::plaintext(), &node.peer("data"), WAIT).await.unwrap();
    assert!(wrong_port.describe().await.unwrap_err().to_string().contains("control address"));

    let mut raw = wire::node_client::NodeClient::connect(node.url("control")).await.unwrap();
    let junk = wire::Stage { run: "x".repeat(1 << 19), stages: 1, ..Default::default() };
    let refused = raw.configure(junk).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let huge = wire::Stage { run: "x".repeat(2 << 20), ..Default::default() };
    assert_eq!(raw.configure(huge).await.unwrap_err().code(), Code::OutOfRange);
    assert!(control.describe().await.is_ok(), "the node goes on");
}

#[tokio::test]
async fn garbage_on_a_port_does_not_disturb_the_node() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let node = Served::start();
    for plane in ["data", "control", "health"] {
        for junk in [
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            &[0xff; 4096],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff",
        ] {
            let mut socket = tokio::net::TcpStream::connect(node.address(plane)).await.unwrap();
            socket.write_all(junk).await.unwrap();
            let _ = tokio::time::timeout(Duration::from_millis(300), socket.read(&mut [0; 64])).await;
        }
    }
    let control = node.control().await;
    assert!(control.describe().await.is_ok());
}

#[tokio::test]
async fn a_full_port_still_lets_a_newcomer_in_and_a_silent_connection_goes() {
    use tokio::io::AsyncReadExt;
    let node = &Served::start();
    let planes = ["data", "control", "health"].map(async |plane| {
        let mut silent = Vec::new();
        for _ in 0..300 {
            silent.push(tokio::net::TcpStream::connect(node.address(plane)).await.unwrap());
        }
        let channel = tokio::time::timeout(Duration::from_secs(5), channel(node, plane)).await.unwrap();
        let status = match plane {
            "health" => HealthClient::new(channel).check(HealthCheckRequest::default()).await.err(),
            "control" => {
                wire::node_client::NodeClient::new(channel).describe(wire::DescribeRequest {}).await.err()
            }
            _ => wire::layer_client::LayerClient::new(channel)
                .exchange(tokio_stream::pending::<wire::Activation>())
                .await
                .err()
                .filter(|status| status.code() != Code::Unauthenticated),
        };
        assert!(status.is_none(), "{plane}: {status:?}");
        // The first connections were closed to make room. The last connections have ten seconds to send a request.
        let mut closed = 0;
        let begun = std::time::Instant::now();
        for mut socket in silent {
            let left = Duration::from_secs(14).saturating_sub(begun.elapsed());
            let ended = tokio::time::timeout(left, socket.read_to_end(&mut Vec::new())).await;
            closed += usize::from(ended.is_ok());
        }
        assert_eq!(closed, 300, "{plane}");
    });
    futures::future::join_all(planes).await;
}

#[tokio::test]
async fn connections_that_configured_or_ran_the_node_give_their_places_back() {
    let node = Served::start();
    let mut held = Vec::new();
    for number in 0..CALLS.connections + 6 {
        let control = node.control().await;
        let run = format!("run-{number}");
        control.configure(relu(&run)).await.unwrap_or_else(|error| panic!("connection {number}: {error}"));
        let started = number % 3;
        if started > 0 {
            let (commands, mut reports) = control.run().await.unwrap();
            commands.send(start(&run, started as u32)).await.unwrap();
            let report = reports.next().await;
            assert_eq!(matches!(report, Ok(Some(Report::Started))), started == 1, "{report:?}");
        }
        idle(&control).await;
        held.push(control);
    }
    assert!(node.control().await.describe().await.is_ok(), "a newcomer gets in");
}

#[tokio::test]
async fn a_call_that_never_starts_its_run_holds_nothing() {
    let node = Served::start();
    let (stranger, control) = (node.control().await, node.control().await);
    control.configure(relu("before")).await.unwrap();
    let _silent = stranger.run().await.unwrap();
    control.configure(relu("after")).await.unwrap();
    let (commands, mut reports) = control.run().await.unwrap();
    commands.send(start("after", 1)).await.unwrap();
    assert!(matches!(reports.next().await, Ok(Some(Report::Started))));
    let late = stranger.run().await.err().unwrap().to_string();
    assert!(late.contains("busy with run after"), "{late}");
}
