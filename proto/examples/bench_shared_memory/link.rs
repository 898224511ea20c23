//! The caller's end: it starts the node, sends all messages, and waits for the node's last answer.

use super::Outcome;
use bytes::Bytes;
use proto::link::{Contract, Link, Peer, Port};
use proto::microbatch::{Message, MicrobatchHeader, MicrobatchId, Phase};
use proto::spec::contract::Form;
use proto::spec::graph::Value;
use proto::spec::transport::Transport;
use proto::tensor::{Kind, TensorData};
use proto::transport::links::Opener;
use proto::transport::tls::Security;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How long anything may take.
pub const LIMIT: Duration = Duration::from_secs(60);
/// The messages before those that count: buffers and slots fill.
pub const WARM: usize = 4;
/// The microbatches of the only minibatch.
const MICROBATCHES: u32 = 4096;
/// The bytes of one measurement, in MiB.
const TOTAL: usize = 512;
/// The messages without a tensor, each of which waits for its answer.
const ROUND_TRIPS: usize = 2000;

/// One measurement: messages of this many bytes, first to warm up and then to count.
#[derive(Clone, Copy)]
pub struct Load {
    pub bytes: usize,
    count: usize,
}

impl Load {
    /// Messages of this many MiB; with 0, messages without a tensor.
    pub fn of(mib: usize) -> Self {
        Self { bytes: mib << 20, count: TOTAL.checked_div(mib).unwrap_or(ROUND_TRIPS) }
    }

    pub fn messages(self) -> usize {
        WARM + self.count
    }

    /// MB/s, where the messages that count took this long.
    pub fn rate(self, took: Duration) -> f64 {
        (self.bytes * self.count) as f64 / took.as_secs_f64() / 1e6
    }

    /// Whether the node answers the message number `index`: in the end, or each one where messages have no tensor.
    pub fn is_answered(self, index: usize) -> bool {
        self.bytes == 0 || index + 1 == WARM || index + 1 == self.messages()
    }
}

/// MB/s over a link to a node in another process.
pub fn measure(runtime: &Runtime, load: Load) -> Outcome<f64> {
    Ok(load.rate(time(runtime, load)?))
}

/// A sentence about the time of a message without a tensor and its answer.
pub fn round_trips(runtime: &Runtime) -> Outcome<String> {
    let took = time(runtime, Load::of(0))?.as_secs_f64() / ROUND_TRIPS as f64;
    Ok(format!("a message without a tensor and its answer take {:.1} µs", took * 1e6))
}

/// The time from the answer to the last message that warms up, to the answer to the last message.
fn time(runtime: &Runtime, load: Load) -> Outcome<Duration> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("data");
    let mut node = Command::new(std::env::current_exe()?);
    node.arg("node").arg(&socket).arg((load.bytes >> 20).to_string());
    let _node = Killed(node.spawn()?);
    let link = Link::new(Peer::stage(0).at(format!("unix:{}", socket.display())), contract(load.bytes));
    runtime.block_on(async {
        let security = Security::plaintext();
        let opener = Opener { security: &security, transport: Transport::SharedMemory, deadline: LIMIT };
        send(opener.exchange(&link).await?, load).await
    })
}

async fn send(mut port: Port, load: Load) -> Outcome<Duration> {
    let bytes = Bytes::from(vec![7; load.bytes]);
    let mut start = Instant::now();
    for index in 0..load.messages() {
        port.send(LIMIT, message(index as u32, &bytes)?).await?;
        if load.is_answered(index) {
            port.receive(LIMIT, || "an answer".into()).await?;
        }
        if index + 1 == WARM {
            start = Instant::now();
        }
    }
    Ok(start.elapsed())
}

/// A process that ends with this handle.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The contract of messages without a tensor, and of messages with one of this many bytes.
pub fn contract(bytes: usize) -> Contract {
    let value = Value { name: "x".into(), shape: vec![bytes as u64 / 4] };
    Contract {
        run: "bench".into(),
        incarnation: 1,
        forms: [vec![], vec![value]].map(|values| Form { values, max_microbatch: 1 }).into(),
        kind: Kind::F32,
        max_microbatches: MICROBATCHES,
    }
}

/// A message whose checksum is not known yet, over shared bytes.
pub fn message(index: u32, bytes: &Bytes) -> Outcome<Message> {
    let header = MicrobatchHeader {
        run: "bench".into(),
        incarnation: 1,
        phase: Phase::Train,
        id: MicrobatchId { step: 1, index },
        minibatch: MICROBATCHES,
        microbatches: MICROBATCHES,
        offset: index,
        size: 1,
        form: u32::from(!bytes.is_empty()),
    };
    let mut tensors = Vec::new();
    if !bytes.is_empty() {
        let shape = vec![1, bytes.len() as u64 / 4];
        tensors.push(("x".into(), TensorData::new(Kind::F32, shape, vec![bytes.clone()])?));
    }
    Ok(Message { header, tensors })
}
