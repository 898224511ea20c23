//! Tests of links through shared memory: a node's side socket, honest callers, and hostile ones.

mod honest;
mod hostile;

use super::{SLOT, take_links};
use crate::cancellation::Cancellation;
use crate::link::{Contract, End, Link, LinkRegistry, Peer, Port};
use crate::microbatch::{Message, MicrobatchHeader, MicrobatchId, Phase};
use crate::spec::contract::Form;
use crate::spec::graph::Value;
use crate::spec::transport::Transport;
use crate::tensor::{Kind, TensorData};
use crate::transport::address::{ListenAddress, of_path, side_of};
use crate::transport::admission::Refused;
use crate::transport::links::Opener;
use crate::transport::listener::listen;
use crate::transport::tls::Security;
use prometheus_client::metrics::counter::Counter;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::task::AbortOnDropHandle;

/// Long enough for a busy host.
const WAIT: Duration = Duration::from_secs(30);

/// A node's side socket.
struct Bed {
    folder: TempDir,
    registry: LinkRegistry,
    refused: Refused,
    _serving: AbortOnDropHandle<()>,
}

impl Bed {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let side = side_of(&folder.path().join("data"));
        let listener = listen("--listen", &ListenAddress::Unix(side)).await.unwrap();
        let (registry, refused) = (LinkRegistry::default(), Refused::default());
        let serving = take_links(listener, registry.clone(), refused.clone(), Counter::default());
        let _serving = AbortOnDropHandle::new(tokio::spawn(serving));
        Self { folder, registry, refused, _serving }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn peer(&self) -> Peer {
        Peer::stage(1).at(of_path(&self.data()))
    }

    /// Announces a link from below, and returns the node's port and its run.
    fn expects(&self, contract: &Contract) -> (Port, Cancellation) {
        let link = Link::new(Peer::stage(0), contract.clone());
        let cancellation = link.cancellation.clone();
        let (port, pending) = link.queues();
        self.registry.announce(("run".into(), 1), vec![(End::Below, pending)]);
        (port, cancellation)
    }
}

/// A contract for messages of one tensor with this many f32 numbers, or without a tensor.
fn contract(elements: u64) -> Contract {
    let value = Value { name: "x".into(), shape: vec![elements] };
    let values = (elements > 0).then_some(value).into_iter().collect();
    Contract {
        run: "run".into(),
        incarnation: 1,
        forms: vec![Form { values, max_microbatch: 2 }],
        kind: Kind::F32,
        max_microbatches: 64,
    }
}

/// The message number `index` of `contract`.
fn message(contract: &Contract, index: u32) -> Message {
    let header = MicrobatchHeader {
        run: contract.run.clone(),
        incarnation: contract.incarnation,
        id: MicrobatchId { step: 1, index },
        phase: Phase::Train,
        minibatch: 64,
        microbatches: 64,
        offset: index,
        size: 1,
        form: 0,
    };
    let tensors = contract.values().iter().map(|value| {
        let elements = value.shape[0] as u32;
        let numbers: Vec<f32> = (0..elements).map(|at| (at ^ index.wrapping_mul(7919)) as f32).collect();
        (value.name.clone(), TensorData::from_f32(vec![1, elements.into()], &numbers).unwrap())
    });
    Message { header, tensors: tensors.collect() }
}

fn assert_same(one: Message, other: Message) {
    assert_eq!(one.header, other.header);
    let bytes = |message: Message| message.tensors.into_iter().map(|(_, tensor)| tensor.into_bytes());
    assert!(bytes(one).eq(bytes(other)), "the bytes differ");
}

/// Opens the links of a run as a neighbour does.
fn opener(security: &Security, deadline: Duration) -> Opener<'_> {
    Opener { security, transport: Transport::Auto, deadline }
}
