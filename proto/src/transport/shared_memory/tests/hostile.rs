//! Callers that break the protocol: each ends in one sentence, and the process goes on.

use super::*;
use crate::failure::{Failure, FailureKind};
use crate::transport::shared_memory::frame::{Frames, append};
use crate::transport::shared_memory::handshake::{memory_of, receive, send, slots};
use crate::transport::shared_memory::memory::Memory;
use crate::transport::shared_memory::ring::Slots;
use crate::transport::shared_memory::socket;
use crate::wire::{self, End, LinkCall, Opened, Opening, SharedPart, SlotChunk, shared_part::Part};
use bytes::BytesMut;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::io::dup;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::net::UnixStream;

/// Elements of a tensor of one slot.
const ONE: u64 = SLOT as u64 / 4;

/// A caller that speaks by hand.
struct Caller {
    out: UnixStream,
    /// The socket on which the node sends.
    back: UnixStream,
    slots: Slots,
}

fn opening() -> Opening {
    Opening { run: "run".into(), incarnation: 1, call: LinkCall::Exchange.into() }
}

impl Caller {
    async fn open(bed: &Bed) -> Self {
        let out = UnixStream::connect(side_of(&bed.data())).await.unwrap();
        let (back, theirs) = UnixStream::pair().unwrap();
        let slots = slots().unwrap();
        send(&out, &opening(), &[memory_of(&slots), theirs.as_fd()]).await.unwrap();
        let (Opened { refusal }, _, _) = receive(&out).await.unwrap();
        assert_eq!(refusal, None);
        Self { out, back, slots }
    }

    async fn say(&self, part: Part) {
        let mut bytes = BytesMut::new();
        append(&SharedPart { part: Some(part) }, &mut bytes);
        // The node may have closed the link already.
        let _ = socket::write(&self.out, &bytes).await;
    }

    /// Sends the header of `message`.
    async fn header(&self, message: &Message) {
        let (name, tensor) = &message.tensors[0];
        let kind = wire::Kind::from(tensor.kind()).into();
        let tensors = vec![wire::TensorHeader {
            name: name.clone(),
            kind,
            shape: tensor.shape().to_vec(),
            checksum: tensor.checksum(),
        }];
        self.say(Part::Header(message.header.to_wire(tensors))).await;
    }

    async fn slot(&self, slot: u32, length: u32) {
        self.say(Part::SlotChunk(SlotChunk { tensor: 0, offset: 0, length, slot })).await;
    }
}

/// The failure of a run whose neighbour does `harm` after it has opened its link.
async fn failure(elements: u64, harm: impl AsyncFnOnce(&mut Caller, &Message)) -> Failure {
    let (bed, contract) = (Bed::new().await, contract(elements));
    let (mut node, _) = bed.expects(&contract);
    let mut caller = Caller::open(&bed).await;
    harm(&mut caller, &message(&contract, 0)).await;
    let failure = tokio::time::timeout(WAIT, async {
        loop {
            match node.incoming.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the direction ended in peace"),
                Err(failure) => return failure,
            }
        }
    });
    let failure = failure.await.expect("a reason in time");
    assert!(failure.sentence.starts_with("the link from stage 0 at process "), "{failure}");
    failure
}

#[tokio::test]
async fn slots_that_do_not_exist_and_chunks_that_are_not_due_are_refused() {
    let slot = async |slot, length| {
        failure(ONE, async move |caller: &mut Caller, message: &Message| {
            caller.header(message).await;
            caller.slot(slot, length).await;
        })
        .await
    };
    for number in [1, 4, u32::MAX] {
        let failure = slot(number, SLOT as u32).await;
        assert_eq!(failure.kind, FailureKind::Protocol);
        assert!(
            failure.sentence.contains(&format!("in slot {number}, where slot 0 of 4 is due")),
            "{failure}"
        );
    }
    for length in [0, 1, SLOT as u32 - 1, SLOT as u32 + 1, u32::MAX] {
        assert!(slot(0, length).await.sentence.contains("a chunk of"), "{length}");
    }
    let headless = failure(ONE, async |caller: &mut Caller, _: &Message| caller.slot(0, 1).await).await;
    assert!(headless.sentence.contains("a chunk without a header"), "{headless}");
    let junk = failure(ONE, async |caller: &mut Caller, _: &Message| {
        let _ = socket::write(&caller.out, &[0xff; 64]).await;
    });
    assert!(junk.await.sentence.contains("where 262144 are allowed, while a message with 'x' was due"));
}

#[tokio::test]
async fn a_neighbour_that_dies_is_lost_in_a_message_and_between_messages() {
    for within in [false, true] {
        let lost = failure(ONE, async move |caller: &mut Caller, message: &Message| {
            if within {
                caller.header(message).await;
            }
            let (gone, _) = UnixStream::pair().unwrap();
            caller.out = gone;
        });
        let lost = lost.await;
        assert_eq!(lost.kind, FailureKind::Neighbour);
        assert!(lost.sentence.contains("was lost (the connection was closed): check that host"), "{lost}");
    }
    let torn = failure(ONE, async |caller: &mut Caller, message: &Message| {
        caller.header(message).await;
        caller.say(Part::End(End { failure: None })).await;
    });
    assert!(torn.await.sentence.contains("ended in the middle of an activation"));
}

/// What a neighbour writes into a slot before it is copied breaks the checksum; what it writes afterwards changes
/// nothing.
#[tokio::test]
async fn a_slot_that_is_rewritten_is_damaged_before_its_copy_and_does_nothing_after_it() {
    let damaged = failure(ONE, async |caller: &mut Caller, message: &Message| {
        let mut bytes = message.tensors[0].1.clone().into_bytes().to_vec();
        bytes[SLOT / 2] ^= 1;
        caller.slots.put(&bytes).unwrap();
        caller.header(message).await;
        caller.slot(0, SLOT as u32).await;
    });
    assert!(damaged.await.sentence.contains("'x' of train step 1, microbatch 0 of 64"));

    let (bed, contract) = (Bed::new().await, contract(ONE));
    let (mut node, _) = bed.expects(&contract);
    let mut caller = Caller::open(&bed).await;
    let sent = message(&contract, 0);
    let bytes = sent.tensors[0].1.clone().into_bytes();
    caller.slots.put(&bytes).unwrap();
    caller.header(&sent).await;
    caller.slot(0, SLOT as u32).await;
    let received = node.receive(WAIT, || "a message".into()).await.unwrap();
    for _ in 1..4 {
        caller.slots.put(&bytes).unwrap();
    }
    caller.slots.released(&wire::Released { slots: 1 }).unwrap();
    caller.slots.put(&vec![0xff; SLOT]).unwrap();
    assert_same(received, sent);
}

/// A neighbour that writes all the while: each message is refused, or is what its header says, in a copy that stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_is_rewritten_all_the_while_harms_nothing() {
    let whole = message(&contract(ONE), 0);
    let bytes = whole.tensors[0].1.clone().into_bytes();
    for _ in 0..20 {
        let (bed, contract) = (Bed::new().await, contract(ONE));
        let (mut node, _) = bed.expects(&contract);
        let mut caller = Caller::open(&bed).await;
        caller.slots.put(&bytes).unwrap();
        let memory = dup(caller.slots.memory().file()).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, last) = (stop.clone(), bytes[SLOT - 1]);
        let writing = std::thread::spawn(move || {
            let mapping =
                super::super::mapping::Mapping::of(&Memory::received(memory).unwrap(), true).unwrap();
            while !stopped.load(Relaxed) {
                assert!(mapping.write(SLOT - 1, &[last ^ 1]) && mapping.write(SLOT - 1, &[last]));
            }
        });
        caller.header(&whole).await;
        caller.slot(0, SLOT as u32).await;
        match node.receive(WAIT, || "a message".into()).await {
            Ok(received) => assert_same(received, whole.clone()),
            Err(failure) => assert!(failure.sentence.contains("was damaged on its way"), "{failure}"),
        }
        stop.store(true, Relaxed);
        writing.join().unwrap();
    }
}

/// A neighbour that gives no slot back stops the direction, until the wait for room has its deadline or the run ends.
#[tokio::test]
async fn a_neighbour_that_gives_no_slot_back_runs_into_the_deadline() {
    let (bed, contract) = (Bed::new().await, contract(ONE));
    let (node, run) = bed.expects(&contract);
    let caller = Caller::open(&bed).await;
    let soon = Duration::from_millis(300);
    let full = loop {
        if let Err(failure) = node.send(soon, message(&contract, 0)).await {
            break failure;
        }
    };
    assert!(full.sentence.contains("while room for train step 1, microbatch 0 of 64"), "{full}");
    run.fail(full);
    let ends = async { while node.outgoing.put(message(&contract, 0)).await {} };
    tokio::time::timeout(WAIT, ends).await.expect("the sender ends with its run");
    drop(caller);
}

#[tokio::test]
async fn a_neighbour_that_gives_back_more_slots_than_it_has_fails_the_run() {
    let (bed, contract) = (Bed::new().await, contract(ONE));
    let (node, run) = bed.expects(&contract);
    let caller = Caller::open(&bed).await;
    let mut bytes = BytesMut::new();
    append(&wire::Released { slots: 5 }, &mut bytes);
    socket::write(&caller.back, &bytes).await.unwrap();
    for index in 0..8 {
        let _ = node.send(WAIT, message(&contract, index)).await;
    }
    tokio::time::timeout(WAIT, run.ended()).await.unwrap();
    assert!(
        run.reason().sentence.contains("5 slots are given back, of 4 that are in use"),
        "{}",
        run.reason()
    );
}

/// The refusal of an opening with these descriptors.
async fn refusal(bed: &Bed, opening: Opening, descriptors: Vec<OwnedFd>) -> String {
    let out = UnixStream::connect(side_of(&bed.data())).await.unwrap();
    let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    send(&out, &opening, &descriptors).await.unwrap();
    let (Opened { refusal }, none, _) = receive(&out).await.unwrap();
    assert!(none.is_empty(), "no memory comes with a refusal");
    refusal.expect("a refusal").sentence
}

#[tokio::test]
async fn an_opening_without_sealed_memory_or_without_a_socket_is_refused() {
    let bed = Bed::new().await;
    let (mut node, _) = bed.expects(&contract(1));
    let sealed = || dup(slots().unwrap().memory().file()).unwrap();
    let unsealed = || {
        let file = memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, SLOT as u64).unwrap();
        file
    };
    let socket = || -> OwnedFd { std::os::unix::net::UnixStream::pair().unwrap().0.into() };
    for (descriptors, says) in [
        (vec![], "sent no memory"),
        (vec![unsealed(), socket()], "is not sealed, so that its sender could shrink it"),
        (vec![socket(), sealed()], "sent memory that has 0 bytes"),
        (vec![sealed()], "sent no socket"),
        (vec![sealed(), sealed()], "is no socket of this host"),
    ] {
        let refused = refusal(&bed, opening(), descriptors).await;
        assert!(refused.contains(says), "{refused}");
    }
    let callless = Opening { call: 77, ..opening() };
    assert_eq!(refusal(&bed, callless, vec![sealed(), socket()]).await, "the caller names no call");
    assert_eq!(bed.refused.handshakes.get(), 6);
    for junk in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 0], &[5, 0, 0, 0, 0x7a, 3, 1, 2, 3]] {
        let out = UnixStream::connect(side_of(&bed.data())).await.unwrap();
        socket::write(&out, junk).await.unwrap();
        let (Opened { refusal }, ..) = receive(&out).await.unwrap();
        assert!(refusal.is_some(), "{junk:?}");
    }
    let caller = Caller::open(&bed).await;
    caller.say(Part::End(End { failure: None })).await;
    assert!(node.incoming.next().await.unwrap().is_none(), "the link was still there for its neighbour");
    let mut frames = Frames::default();
    assert!(frames.take::<SharedPart>().unwrap().is_none());
}
