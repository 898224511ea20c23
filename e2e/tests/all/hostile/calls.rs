//! Attacks by calls, which plaintext lets everybody make: without a run, against the limits, and as another
//! coordinator.

use proto::client;
use proto::link::{Contract, Link, Peer};
use proto::spec::contract::Form;
use proto::spec::graph::Value;
use proto::spec::graph::{LayerSpec, Op};
use proto::spec::stage::StageSpec;
use proto::tensor::Kind;
use proto::transport::tls::Security;
use proto::transport::{CONTROL_MESSAGE_LIMIT, grpc};
use proto::wire;
use proto::wire::layer_client::LayerClient;
use proto::wire::node_client::NodeClient;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

async fn channel(address: &str) -> Option<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
    endpoint.connect_timeout(Duration::from_secs(5)).connect().await.ok()
}

/// Opens links that name no run, or another run.
pub async fn strangers(data: &str, count: &AtomicUsize) {
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
        forms: vec![Form { values, max_microbatch: 1 }],
        kind: Kind::F32,
        max_microbatches: 1,
    };
    let link = Link::new(Peer::node(data), contract);
    assert!(grpc::exchange(&Security::plaintext(), &link, Duration::from_millis(300)).await.is_err());
}

/// Checks a refusal. A connection that was closed to make room is a refusal, too.
fn refused(code: Code, expected: Code) {
    assert!(
        code == expected || matches!(code, Code::Unknown | Code::Unavailable | Code::Cancelled),
        "{code}"
    );
}

/// Sends chunks without end, for a run that does not exist.
pub async fn flood(data: &str, count: &AtomicUsize) {
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
pub async fn second_coordinator(control: &str, count: &AtomicUsize) {
    let Ok(node) =
        client::Node::connect(&Security::plaintext(), &Peer::node(control), Duration::from_secs(5)).await
    else {
        return;
    };
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
pub async fn long_names(control: &str, count: &AtomicUsize) {
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
pub async fn tiny_layers(control: &str, count: &AtomicUsize) {
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
pub async fn questions(address: &str, count: &AtomicUsize) {
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
