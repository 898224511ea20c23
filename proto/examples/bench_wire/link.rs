//! A link of Neuropil: the caller sends messages of one tensor, and the node receives and checks them.

use super::clock::{Clock, Measured};
use super::{Ends, Load, Outcome};
use bytes::Bytes;
use proto::link::{Contract, End, Link, LinkRegistry, Peer, Port, Role};
use proto::microbatch::{Message, MicrobatchHeader, MicrobatchId, Phase};
use proto::spec::contract::Form;
use proto::spec::graph::Value;
use proto::tensor::{Kind, TensorData};
use proto::transport::admission::{CALLS, Refused, connections};
use proto::transport::data_server;
use proto::transport::grpc::{self, LinkServer};
use proto::transport::listener::Listener;
use proto::transport::tls::{Callers, Security};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The microbatches of the only minibatch.
const MICROBATCHES: u32 = 4096;

/// MB/s over a link whose ends have the first and the second protection.
pub fn measure(ends: &Ends, [caller, node]: [Security; 2], load: Load) -> Outcome<Measured> {
    let contract = contract(load);
    let registry = LinkRegistry::default();
    let (mut above, pending) = Link::new(Peer::of(Role::Coordinator), contract.clone()).queues();
    registry.announce((contract.run.clone(), contract.incarnation), vec![(End::Below, pending)]);
    let stop = CancellationToken::new();
    let address = ends.receiver.block_on(serve(registry, node, stop.clone()))?;
    let peer = Peer::stage(0).at(address.to_string());
    let below = ends.sender.block_on(grpc::exchange(&caller, &Link::new(peer, contract), LIMIT))?;
    let sent = ends.sender.spawn(send(below, load));
    let measured = ends.receiver.block_on(async {
        let mut clock = Clock::new(load);
        for _ in 0..load.messages() {
            above.receive(LIMIT, || "a message".into()).await?;
            clock.arrived()?;
        }
        clock.measured()
    })?;
    let below = ends.sender.block_on(sent)??;
    drop((below, above));
    stop.cancel();
    Ok(measured)
}

/// Sends all messages, and returns the port, which keeps the link open.
async fn send(below: Port, load: Load) -> Outcome<Port> {
    let bytes = Bytes::from(vec![7; load.bytes]);
    for index in 0..load.messages() {
        below.send(LIMIT, message(index as u32, &bytes)?).await?;
    }
    Ok(below)
}

/// Serves the links in `registry` until `stop`, and returns the address.
async fn serve(registry: LinkRegistry, security: Security, stop: CancellationToken) -> Outcome<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let callers = Callers::of(&security, vec![Role::Coordinator]);
    let arriving = connections(Listener::Tcp(listener), CALLS, Refused::default(), callers);
    let server = data_server().add_service(LinkServer::new(registry, Default::default()));
    tokio::spawn(server.serve_with_incoming_shutdown(arriving, stop.cancelled_owned()));
    Ok(address)
}

fn contract(load: Load) -> Contract {
    let values = vec![Value { name: "x".into(), shape: vec![load.bytes as u64 / 4] }];
    Contract {
        run: "bench".into(),
        incarnation: 1,
        forms: vec![Form { values, max_microbatch: 1 }],
        kind: Kind::F32,
        max_microbatches: MICROBATCHES,
    }
}

/// A message whose checksum is not known yet, over shared bytes.
fn message(index: u32, bytes: &Bytes) -> Outcome<Message> {
    let header = MicrobatchHeader {
        run: "bench".into(),
        incarnation: 1,
        phase: Phase::Train,
        id: MicrobatchId { step: 1, index },
        minibatch: MICROBATCHES,
        microbatches: MICROBATCHES,
        offset: index,
        size: 1,
        form: 0,
    };
    let shape = vec![1, bytes.len() as u64 / 4];
    Ok(Message {
        header,
        tensors: vec![("x".into(), TensorData::new(Kind::F32, shape, vec![bytes.clone()])?)],
    })
}
