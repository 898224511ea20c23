//! Tests of a neighbour that knows the run and breaks the protocol: the run ends with a reason, and the node
//! continues.

use crate::common::{lane, layer, linear, value};
use crate::message::{self, chunk, header, message};
use crate::served::{Served, WAIT, idle, start};
use bytes::{Buf, BufMut, Bytes};
use prost::Message as _;
use proto::client::{Node, Reports};
use proto::control::{Command, Measure, Report, RunLane};
use proto::failure::{Failure, FailureKind};
use proto::ledger::{Ledger, Refusal};
use proto::link::framing::{CHUNK, parts};
use proto::link::{Carried, Link, Role};
use proto::spec::stage::StageSpec;
use proto::transport::grpc;
use proto::transport::tls::Security;
use proto::wire::Activation;
use proto::wire::layer_client::LayerClient;
use tokio::sync::mpsc;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// The number of features at which one microbatch takes two chunks.
const FEATURES: u64 = CHUNK as u64 / 4;

fn stage(run: &str) -> StageSpec {
    let layers = vec![layer("out", "below", linear(2, false))];
    let inputs = vec![value("below", &[FEATURES])];
    StageSpec { run: run.into(), max_microbatch: 2, max_microbatches: 2, ..StageSpec::alone(layers, inputs) }
}

/// A run of one stage whose step waits for its first activation.
struct Opened {
    spec: StageSpec,
    reports: Reports,
    _commands: mpsc::Sender<Command>,
}

async fn open(control: &Node, run: &str) -> Opened {
    let spec = stage(run);
    control.configure(spec.clone()).await.unwrap();
    let (commands, mut reports) = control.run().await.unwrap();
    commands.send(start(run, 1)).await.unwrap();
    assert_eq!(reports.next().await.unwrap(), Some(Report::Started));
    let lane = lane("F0 E0 G0 F1 E1 G1 U").starting_at(message::STEP);
    commands.send(Command::Lane(RunLane::of_one_step(lane, 4, Measure::Nothing))).await.unwrap();
    Opened { spec, reports, _commands: commands }
}

impl Opened {
    /// Sends `activations` from below, as the coordinator would.
    async fn attack(&self, url: String, activations: Vec<Activation>) {
        let mut request = tonic::Request::new(tokio_stream::iter(activations));
        request.metadata_mut().insert("neuropil-run", self.spec.run.parse().unwrap());
        request.metadata_mut().insert("neuropil-incarnation", 1.into());
        let mut client = LayerClient::connect(url).await.unwrap();
        // A refusal may come with the headers or after them.
        if let Ok(answers) = client.exchange(request).await {
            let mut answers = answers.into_inner();
            while let Ok(Some(_)) = answers.message().await {}
        }
    }

    /// The failure with which the node ended the run.
    async fn failure(mut self) -> Failure {
        let ended = tokio::time::timeout(WAIT, self.reports.next()).await.expect("the run ends");
        ended.expect_err("the run fails")
    }

    async fn reason(self) -> String {
        self.failure().await.to_string()
    }
}

/// The name of a protocol violation, the function that makes it, and a part of the refusal.
type Harm = (&'static str, fn(&mut Vec<Activation>), &'static str);

const HARMS: [Harm; 17] = [
    ("a short chunk", |p| chunk(&mut p[1]).data.truncate(100), "a chunk of 100 bytes"),
    ("an empty chunk", |p| chunk(&mut p[1]).data.clear(), "a chunk of 0 bytes"),
    ("a wrong length", |p| header(&mut p[0]).tensors[0].shape[1] -= 1, "crosses this cut"),
    ("an overflow", |p| header(&mut p[0]).tensors[0].shape = vec![u64::MAX; 4], "crosses this cut"),
    ("many dimensions", |p| header(&mut p[0]).tensors[0].shape = vec![1; 10_000], "crosses this cut"),
    ("a huge microbatch", |p| header(&mut p[0]).size = u32::MAX, "crosses this cut"),
    ("a long name", |p| header(&mut p[0]).tensors[0].name = "x".repeat(1 << 20), "crosses this cut"),
    ("a stale step", |p| header(&mut p[0]).step = message::STEP - 1, "while train step 7, microbatch 0 of 2"),
    ("a step to come", |p| header(&mut p[0]).step = u64::MAX, "while train step 7, microbatch 0 of 2"),
    ("another microbatch", |p| header(&mut p[0]).index = 1, "while train step 7, microbatch 0 of 2"),
    ("another phase", |p| header(&mut p[0]).phase = 2, "while train step 7, microbatch 0 of 2"),
    ("another run", |p| header(&mut p[0]).run = "other".into(), "another run"),
    ("a chunk for nothing", |p| _ = p.remove(0), "a chunk without a header"),
    ("two headers", |p| p.insert(1, p[0].clone()), "is incomplete"),
    ("damage", |p| chunk(&mut p[1]).data = Bytes::from(vec![1; CHUNK]), "was damaged"),
    ("an end in the middle", |p| p.truncate(2), "ended in the middle"),
    // These chunks would be a gigabyte if the node took them. Here they share their bytes.
    ("endless chunks", |p| p.extend(vec![p[1].clone(); 1000]), "a chunk without a header"),
];

#[tokio::test]
async fn a_neighbour_that_breaks_the_protocol_is_told_how_and_the_node_takes_the_next_run() {
    let node = Served::start();
    let control = node.control().await;
    for (number, (name, harm, says)) in HARMS.into_iter().enumerate() {
        let run = open(&control, &format!("run-{number}")).await;
        let mut activations: Vec<Activation> = parts(message(&run.spec.activations_below(), 2, 0)).collect();
        harm(&mut activations);
        run.attack(node.url("data"), activations).await;
        let reason = run.reason().await;
        assert!(reason.contains(says), "{name}: '{reason}' should say: {says}");
        assert!(reason.len() < 600, "{name}: a reason is a sentence");
        idle(&control).await;
        refusal_is_kept(&control, &reason).await;
    }
}

/// The node still has the ledger of the run that ended because of `reason`, and the refusal is in it.
async fn refusal_is_kept(control: &Node, reason: &str) {
    let Ledger { refusals, .. } = control.audit().await.unwrap();
    let [Refusal { from: Role::Coordinator, carried: Some(Carried::Activations), sentence }] = &refusals[..]
    else {
        panic!("{reason}: {refusals:?}")
    };
    assert!(reason.contains(sentence), "{reason}: {sentence}");
}

/// A codec that sends bytes as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, bytes: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(bytes);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        from.advance(from.remaining());
        Ok(Some(()))
    }
}

#[tokio::test]
async fn spare_bytes_are_refused_by_number_with_the_message_and_the_tensor() {
    let node = Served::start();
    let control = node.control().await;
    // 0x7a 0x05: a field 15 with 5 bytes.
    let spare = b"\x7a\x05WWWWW";
    for (at, says) in [
        (0, "an activation has 7 spare bytes"),
        (
            2,
            "an activation has 7 spare bytes: it came in 1048595 bytes, from byte 1048588 on unlike its encoding, while 'below' of train step 7, microbatch 0 of 2",
        ),
    ] {
        let run = open(&control, &format!("run-{at}")).await;
        let parts = parts::<Activation>(message(&run.spec.activations_below(), 2, 0));
        let mut parts: Vec<Vec<u8>> = parts.map(|part| part.encode_to_vec()).collect();
        parts[at].extend(spare);
        let parts = parts.into_iter().map(Bytes::from);
        let mut request = Request::new(tokio_stream::iter(parts));
        request.metadata_mut().insert("neuropil-run", run.spec.run.parse().unwrap());
        request.metadata_mut().insert("neuropil-incarnation", 1.into());
        let channel = Channel::from_shared(node.url("data")).unwrap().connect().await.unwrap();
        let mut grpc = Grpc::new(channel);
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/neuropil.v1.Layer/Exchange");
        let answer = grpc.streaming(request, path, Raw).await;
        let failure = run.failure().await;
        assert!(failure.sentence.contains(says), "{failure} should say: {says}");
        assert_eq!(failure.kind, FailureKind::Protocol, "{failure}");
        drop(answer);
        idle(&control).await;
        refusal_is_kept(&control, &failure.sentence).await;
    }
}

#[tokio::test]
async fn a_doubled_microbatch_or_error_signal_is_refused() {
    let node = Served::start();
    let control = node.control().await;
    for doubled in ["activation", "error signal"] {
        let run = open(&control, &doubled.replace(' ', "-")).await;
        let (below, above) = (run.spec.activations_below(), run.spec.activations_above().unwrap());
        let done = below.with_values(Vec::new());
        let [bottom, top] = [done, above.clone()].map(|contract| Link::new(node.peer("data"), contract));
        let bottom = grpc::exchange(&Security::plaintext(), &bottom, WAIT).await.unwrap();
        let mut top = grpc::collect(&Security::plaintext(), &top, WAIT).await.unwrap();
        bottom.send(WAIT, message(&below, 2, 0)).await.unwrap();
        assert_eq!(top.incoming.next().await.unwrap().unwrap().header.id.index, 0);
        top.send(WAIT, message(&above, 2, 0)).await.unwrap();
        if doubled == "activation" {
            bottom.send(WAIT, message(&below, 2, 0)).await.unwrap();
        } else {
            bottom.send(WAIT, message(&below, 2, 1)).await.unwrap();
            assert_eq!(top.incoming.next().await.unwrap().unwrap().header.id.index, 1);
            top.send(WAIT, message(&above, 2, 0)).await.unwrap();
        }
        let reason = run.reason().await;
        let says = if doubled == "activation" { "microbatch 1 of 2" } else { "which is not due" };
        assert!(reason.contains(says), "{doubled}: {reason}");
        idle(&control).await;
    }
}
