//! Links between processes that keep the protocol.

use super::*;
use crate::failure::{Failure, FailureKind};

/// Messages of every size cross in both directions at the same time, in order and unchanged, also where a tensor is
/// larger than the ring.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_every_size_cross_both_ways() {
    let security = Security::plaintext();
    let slot = (SLOT / 4) as u64;
    for elements in [0, 1, 4096, 4097, slot + 1, 5 * slot + 3] {
        let (bed, contract) = (Bed::new().await, contract(elements));
        let (mut node, _) = bed.expects(&contract);
        let link = Link::new(bed.peer(), contract.clone());
        let mut caller = opener(&security, WAIT).exchange(&link).await.unwrap();
        let sent: Vec<Message> = (0..5).map(|index| message(&contract, index)).collect();
        let both = async |port: &mut Port| {
            for message in &sent {
                port.send(WAIT, message.clone()).await.unwrap();
                let received = port.receive(WAIT, || "a message".into()).await.unwrap();
                assert_same(received, message.clone());
            }
        };
        tokio::join!(both(&mut node), both(&mut caller));
        drop(caller.outgoing);
        assert!(node.incoming.next().await.unwrap().is_none(), "an end in peace");
    }
}

/// A port that takes nothing stops its own direction alone.
#[tokio::test]
async fn a_full_direction_does_not_stop_the_other() {
    let (bed, contract, security) = (Bed::new().await, contract(3 * SLOT as u64 / 4), Security::plaintext());
    let (node, _) = bed.expects(&contract);
    let mut caller =
        opener(&security, WAIT).exchange(&Link::new(bed.peer(), contract.clone())).await.unwrap();
    let filled = async {
        for index in 0.. {
            let short = Duration::from_millis(200);
            if caller.outgoing.send(short, message(&contract, index % 64)).await.is_err() {
                return index;
            }
        }
        0
    };
    assert!(filled.await > 2);
    for index in 0..9 {
        node.send(WAIT, message(&contract, index)).await.unwrap();
        let received = caller.receive(WAIT, || "a message".into()).await.unwrap();
        assert_same(received, message(&contract, index));
    }
}

#[tokio::test]
async fn a_call_is_refused_with_the_sentences_of_grpc_and_tried_again_before_the_run() {
    let (bed, security) = (Bed::new().await, Security::plaintext());
    let refused = async |contract: Contract, deadline| {
        let link = Link::new(bed.peer(), contract);
        opener(&security, deadline).exchange(&link).await.unwrap_err()
    };
    let early = refused(contract(1), Duration::from_millis(300)).await;
    assert_eq!(early.kind, FailureKind::Unreachable);
    assert!(early.sentence.contains("no run is under way here yet"), "{early}");
    let (_port, _) = bed.expects(&contract(1));
    let nameless = refused(Contract { run: String::new(), ..contract(1) }, WAIT).await;
    assert!(nameless.sentence.ends_with("the call names no run"), "{nameless}");
    for other in [Contract { run: "other".into(), ..contract(1) }, Contract { incarnation: 2, ..contract(1) }]
    {
        let failure = refused(other, WAIT).await;
        assert_eq!(failure.kind, FailureKind::Refused);
        assert!(failure.sentence.contains("names another run, or an earlier start of this one"), "{failure}");
    }
    let link = Link::new(bed.peer(), contract(1));
    let above = opener(&security, WAIT).collect(&link).await.unwrap_err();
    assert!(above.sentence.contains("is not for this stage"), "{above}");
    let _caller = opener(&security, WAIT).exchange(&link).await.unwrap();
    assert!(refused(contract(1), WAIT).await.sentence.contains("is open already"));
    assert_eq!(bed.refused.handshakes.get(), 0, "callers that name another run are no strangers");
}

/// The reason of a run's end reaches the neighbour as one sentence, also in the middle of a message.
#[tokio::test]
async fn the_reason_of_a_failed_run_reaches_the_neighbour() {
    for elements in [1, 9 * SLOT as u64 / 4] {
        let (bed, contract, security) = (Bed::new().await, contract(elements), Security::plaintext());
        let (mut node, _) = bed.expects(&contract);
        let link = Link::new(bed.peer(), contract.clone());
        let caller = opener(&security, WAIT).exchange(&link).await.unwrap();
        caller.send(WAIT, message(&contract, 0)).await.unwrap();
        assert_same(node.receive(WAIT, || "a message".into()).await.unwrap(), message(&contract, 0));
        caller.send(WAIT, message(&contract, 1)).await.unwrap();
        link.cancellation.fail(Failure::own("the disk is full"));
        let failure = loop {
            if let Err(failure) = node.incoming.next().await {
                break failure;
            }
        };
        assert_eq!(failure.kind, FailureKind::Neighbour);
        let process =
            format!("the link from stage 0 at process {} broke: the disk is full", std::process::id());
        assert_eq!(failure.sentence, process);
    }
}
