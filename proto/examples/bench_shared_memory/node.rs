//! The node's end: it receives and checks all messages, and answers those that are to be answered.

use super::Outcome;
use super::link::{LIMIT, Load, contract, message};
use bytes::Bytes;
use proto::link::{End, Link, LinkRegistry, Peer};
use proto::transport::address::{ListenAddress, side_of};
use proto::transport::admission::Refused;
use proto::transport::listener::listen;
use proto::transport::shared_memory::take_links;
use std::path::Path;

/// Takes one link at the side socket of `socket`, and its messages.
pub fn serve(socket: &str, load: Load) -> Outcome<()> {
    proto::process::runtime()?.block_on(async {
        let (registry, contract) = (LinkRegistry::default(), contract(load.bytes));
        let (mut port, pending) = Link::new(Peer::coordinator(), contract.clone()).queues();
        registry.announce((contract.run, contract.incarnation), vec![(End::Below, pending)]);
        let listener = listen("the bench", &ListenAddress::Unix(side_of(Path::new(socket)))).await?;
        tokio::spawn(take_links(listener, registry, Refused::default(), Default::default()));
        for index in 0..load.messages() {
            port.receive(LIMIT, || "a message".into()).await?;
            if load.is_answered(index) {
                port.send(LIMIT, message(index as u32, &Bytes::new())?).await?;
            }
        }
        // The caller ends this process once it has the last answer.
        std::future::pending::<()>().await;
        Ok(())
    })
}
