//! Tests of what comes to a backward node's data port and should not: strangers, and a host of W that breaks the protocol.
//! Each is refused in a sentence, and the node is idle again or goes on.

use e2e::harm::Hosts;
use e2e::{Bench, Node};
use proto::client;
use proto::control::{Command, Measure, Report, RunLane, Start};
use proto::failure::FailureKind;
use proto::lane::{Lane, WeightVersion};
use proto::ledger::Refusal;
use proto::link::framing::parts;
use proto::link::{Carried, Peer, Role};
use proto::microbatch::{Message, MicrobatchHeader, MicrobatchId, Phase};
use proto::spec::graph::{INPUT, Init, LayerSpec, Op, Value};
use proto::spec::rule::{Coefficients, Primitive, RuleSpec};
use proto::spec::split::Parcel;
use proto::spec::stage::StageSpec;
use proto::tensor::TensorData;
use proto::transport::tls::Security;
use proto::wire::LayerValues;
use proto::wire::layer_client::LayerClient;
use std::time::Duration;
use tonic::{Code, Request};

/// How long the node may take for anything.
const WAIT: Duration = Duration::from_secs(10);

fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test)
}

/// Opens `Serve` at a data port as the run `named`, and returns the refusal.
async fn refused(data: &str, named: Option<(&str, u32)>) -> tonic::Status {
    let mut client = LayerClient::connect(format!("http://{data}")).await.unwrap();
    let mut request = Request::new(tokio_stream::pending::<LayerValues>());
    if let Some((run, incarnation)) = named {
        request.metadata_mut().insert("neuropil-run", run.parse().unwrap());
        request.metadata_mut().insert("neuropil-incarnation", incarnation.into());
    }
    let answer = tokio::time::timeout(WAIT, client.serve(request)).await.expect("an answer comes");
    answer.expect_err("a refusal")
}

/// A run of a hundred steps over one stage that is split.
const KEYS: &str = r#"
[rule]
name = "kolen_pollack"
[train]
epochs = 20
batch = 32
[pipeline]
microbatches = 2
stages = 1
placement = "split"
"#;

#[test]
fn strangers_at_a_backward_nodes_data_port_are_refused_and_the_run_goes_on() {
    let hosts = Hosts::split(1);
    let local = hosts.bench.trained(&hosts.bench.config(KEYS), "local", &[]);
    let mut coordinator = hosts.training(KEYS, "visited");
    let (data, stage) = (hosts.backward[0].address("data"), hosts.nodes[0].address("data"));
    let id = coordinator.run.json("run.json")["id"].as_str().unwrap().to_owned();
    block_on(async {
        assert_eq!(refused(data, None).await.code(), Code::Unauthenticated);
        assert_eq!(refused(data, Some(("guessed", 1))).await.code(), Code::PermissionDenied);
        assert_eq!(refused(data, Some((&id, 2))).await.code(), Code::PermissionDenied);
        // The link is taken, and a stage expects none of this kind.
        for address in [data, stage] {
            let refusal = refused(address, Some((&id, 1))).await;
            assert_eq!(refusal.code(), Code::AlreadyExists);
            assert!(refusal.message().contains("is open already, or is not for this stage"), "{refusal}");
        }
    });
    assert!(!coordinator.is_over(), "the run was over before the strangers came");
    let ended = coordinator.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(hosts.digests(), local.digests());
}

/// The backward half of the only stage of a run: dense layers `a` and `b`, whose B takes W's own gradient.
fn half(run: &str) -> StageSpec {
    let decay = Coefficients::new(&[(Primitive::Decay, 0.1)]);
    let dense = |name: &str, from: &str, out| LayerSpec {
        rule: RuleSpec::learned("custom", true, decay),
        split: true,
        ..LayerSpec::new(name, &[from], Op::Linear { out, bias: false, init: Init::FanIn })
    };
    let input = Value { name: INPUT.into(), shape: vec![4] };
    let alone = StageSpec::alone(vec![dense("a", INPUT, 3), dense("b", "a", 2)], vec![input]);
    let spec = StageSpec { run: run.into(), max_microbatch: 2, max_microbatches: 2, ..alone };
    spec.backward_half().expect("a stage that is split")
}

/// The values of `parcel` for the microbatch `index` of `step`, which has two of two samples.
fn message(run: &str, step: u64, index: u32, parcel: &Parcel) -> Message {
    let id = MicrobatchId { step, index };
    let header = MicrobatchHeader {
        run: run.into(),
        incarnation: 1,
        phase: Phase::Train,
        id,
        minibatch: 4,
        microbatches: 2,
        offset: 2 * index,
        size: 2,
        form: parcel.form,
    };
    let tensor = |value: &Value| {
        let shape: Vec<u64> = [&[2], value.shape.as_slice()].concat();
        let numbers: Vec<f32> = (0..shape.iter().product()).map(|at: u64| at as f32).collect();
        (value.name.clone(), TensorData::from_f32(shape, &numbers).unwrap())
    };
    Message { header, tensors: parcel.content.values.iter().map(tensor).collect() }
}

/// A backward node in a run that waits for the first message of its stage.
struct Waiting {
    node: Node,
    control: client::Node,
    _bench: Bench,
}

impl Waiting {
    async fn new() -> Self {
        let bench = Bench::new();
        let node = Node::start(&bench.path("backward"));
        let peer = Peer::node(node.address("control"));
        let control = client::Node::connect(&Security::plaintext(), &peer, WAIT).await.unwrap();
        Self { node, control, _bench: bench }
    }

    /// Runs a step in which the host of W sends `messages`, and returns the sentence with which the node ends the run.
    async fn told(&self, run: &str, messages: Vec<Message>) -> String {
        let spec = half(run);
        self.control.configure(spec).await.unwrap();
        let (commands, mut reports) = self.control.run().await.unwrap();
        let start = Start {
            run: run.into(),
            incarnation: 1,
            above: None,
            backward: None,
            connect_deadline: WAIT,
            message_deadline: WAIT,
        };
        commands.send(Command::Start(start)).await.unwrap();
        assert_eq!(reports.next().await.unwrap(), Some(Report::Started));
        let actions = "F0 E0 G0 F1 E1 G1 U".split(' ').map(|action| action.parse().unwrap()).collect();
        let lane = Lane::new(Phase::Train, WeightVersion::default(), actions).unwrap().starting_at(1);
        commands.send(Command::Lane(RunLane::of_one_step(lane, 4, Measure::Nothing))).await.unwrap();

        let mut client = LayerClient::connect(format!("http://{}", self.node.address("data"))).await.unwrap();
        let sent = messages.into_iter().flat_map(parts::<LayerValues>);
        // The stream stays open, so that its end is no reason to end the run.
        let sent = tokio_stream::StreamExt::chain(tokio_stream::iter(sent), tokio_stream::pending());
        let mut request = Request::new(sent);
        request.metadata_mut().insert("neuropil-run", run.parse().unwrap());
        request.metadata_mut().insert("neuropil-incarnation", 1.into());
        let answers = client.serve(request).await;
        let ended = tokio::time::timeout(WAIT, reports.next()).await.expect("the run ends");
        let failure = ended.expect_err("the run fails");
        drop(answers);
        assert_eq!((failure.kind, failure.of), (FailureKind::Protocol, Some(Role::Backward(0))), "{failure}");
        failure.to_string()
    }

    /// The node takes the next run, and its ledger has the refusal.
    async fn keeps(&self, told: &str) {
        let ledger = self.control.audit().await.unwrap();
        let [Refusal { from: Role::Stage(0), carried: Some(Carried::LayerValues), sentence }] =
            &ledger.refusals[..]
        else {
            panic!("{told}: {:?}", ledger.refusals)
        };
        assert!(told.contains(sentence), "{told}: {sentence}");
        while self.control.describe().await.unwrap().run.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A harm to the first message, and a part of the refusal.
type Harm = (&'static str, fn(&mut Vec<Message>), &'static str);

/// The samples of `a` are due first: form 0. Those of `b` have form 2.
const HARMS: [Harm; 7] = [
    ("no form", |m| m[0].header.form = 9, "a message of form 9 where this link has 4 forms"),
    ("another form's tensors", |m| m[0].header.form = 2, "crosses this cut"),
    ("another layer", |m| m.swap(0, 1), "'b.x' of train step 1, microbatch 0 of 2"),
    ("a step to come", |m| m[0].header.id.step = 2, "while "),
    ("another microbatch", |m| (m[0].header.id.index, m[0].header.offset) = (1, 2), "while "),
    ("an evaluation", |m| m[0].header.phase = Phase::Evaluate, "while "),
    ("another run", |m| m[0].header.run = "other".into(), "belongs to another run"),
];

#[test]
fn a_host_of_w_that_breaks_the_protocol_is_told_how_and_the_node_takes_the_next_run() {
    block_on(async {
        let waiting = Waiting::new().await;
        for (number, (name, harm, says)) in HARMS.into_iter().enumerate() {
            let run = format!("run-{number}");
            let samples = half(&run).crossings().unwrap().into_iter().filter_map(|crossing| crossing.sample);
            let mut messages: Vec<_> = samples.map(|parcel| message(&run, 1, 0, &parcel)).collect();
            harm(&mut messages);
            let told = waiting.told(&run, messages).await;
            println!("{name}: {told}");
            assert!(told.contains("stage 0, backward") && told.contains(says), "{name}: {told}");
            assert!(told.len() < 600, "{name}: a reason is a sentence");
            tokio::time::timeout(WAIT, waiting.keeps(&told)).await.expect("the node is idle again");
        }
    });
}
