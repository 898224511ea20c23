//! The node's end of links: it takes those that the registry expects from the callers at its side socket.

use super::frame::{Frames, NoFrame};
use super::handshake::{memory_of, receive, ring, send, slots, socket};
use super::receiver::Receiver;
use super::ring::{Received, Slots};
use super::sender::Sender;
use crate::failure::{Failure, FailureKind};
use crate::link::framing::Direction;
use crate::link::{End, LinkRefusal, LinkRegistry, PendingLink};
use crate::transport::admission::{CALLS, Place, Refused, side_connections};
use crate::transport::listener::Listener;
use crate::transport::reading::read;
use crate::wire::{Activation, ErrorSignal, LayerValues, LinkCall, Opened, Opening};
use prometheus_client::metrics::counter::Counter;
use tokio::net::UnixStream;

/// Takes the links of the current run from callers at the side socket `listener`, until the returned future is dropped.
/// It counts in `links` the links that were for no run here.
pub async fn take_links(listener: Listener, registry: LinkRegistry, refused: Refused, links: Counter) {
    let handle = |place: Place, caller| {
        let (registry, links) = (registry.clone(), links.clone());
        tokio::spawn(async move {
            let closing = place.connection().clone();
            let opened = tokio::select! {
                opened = open(&caller, &place, &registry, &links) => opened,
                () = closing.closing() => return,
            };
            if let Some(opened) = opened {
                carry(opened, caller, place).await;
            }
        });
    };
    side_connections(listener, CALLS, refused, handle).await;
}

/// A link that is to be carried.
struct Accepted {
    end: End,
    pending: PendingLink,
    parts: Frames,
    ring: Received,
    slots: Slots,
    back: UnixStream,
}

/// Answers the opening of `caller`; `None` where the link is refused.
async fn open(
    caller: &UnixStream,
    place: &Place,
    registry: &LinkRegistry,
    links: &Counter,
) -> Option<Accepted> {
    let refusal = match take(caller, registry).await {
        Ok(accepted) => {
            let memory = [memory_of(&accepted.slots)];
            return send(caller, &Opened { refusal: None }, &memory).await.ok().map(|()| accepted);
        }
        Err(Refusal::Gone) => return None,
        Err(Refusal::Link(refusal)) => {
            // An early refusal is not counted: the caller came before the run, and will try again.
            if refusal != LinkRefusal::Early {
                links.inc();
            }
            Failure::from(refusal)
        }
        Err(Refusal::Caller(why)) => {
            place.refuse(&why);
            Failure::new(FailureKind::Protocol, format!("the caller {why}"))
        }
        Err(Refusal::Own(why)) => Failure::own(why),
    };
    let _ = send(caller, &Opened { refusal: Some(refusal.into()) }, &[]).await;
    None
}

/// Why a caller gets no link.
enum Refusal {
    /// The caller is gone.
    Gone,
    /// The registry has no link for the caller.
    Link(LinkRefusal),
    /// The rest of a sentence about the caller.
    Caller(String),
    /// A reason of this process.
    Own(String),
}

async fn take(caller: &UnixStream, registry: &LinkRegistry) -> Result<Accepted, Refusal> {
    let (opening, descriptors, parts) = receive::<Opening>(caller).await.map_err(|error| match error {
        NoFrame::Refused(error) => Refusal::Caller(format!("sent {error}")),
        NoFrame::Lost(_) => Refusal::Gone,
    })?;
    let end = match opening.call() {
        LinkCall::Exchange => End::Below,
        LinkCall::Collect => End::Above,
        LinkCall::Serve => End::Forward,
        LinkCall::Unspecified => return Err(Refusal::Caller("names no call".into())),
    };
    let mut descriptors = descriptors.into_iter();
    let (ring, back) = (ring(descriptors.next()), socket(descriptors.next()));
    let slots = slots().map_err(Refusal::Own)?;
    // The registry comes last: it gives each link away once.
    let (ring, back) = (ring.map_err(Refusal::Caller)?, back.map_err(Refusal::Caller)?);
    let named = (!opening.run.is_empty()).then_some((opening.run.as_str(), opening.incarnation));
    let pending = registry.take(end, named, None).map_err(Refusal::Link)?;
    Ok(Accepted { end, pending, parts, ring, slots, back })
}

/// Carries a link until both directions have ended. Until then its connection is kept.
async fn carry(accepted: Accepted, caller: UnixStream, place: Place) {
    let _kept = place.connection().keep();
    match accepted.end {
        End::Below => directions::<Activation, ErrorSignal>(accepted, caller, &place).await,
        End::Above => directions::<ErrorSignal, Activation>(accepted, caller, &place).await,
        End::Forward => directions::<LayerValues, ErrorSignal>(accepted, caller, &place).await,
    }
}

async fn directions<In: Direction, Out: Direction>(accepted: Accepted, caller: UnixStream, place: &Place) {
    let Accepted { end, pending, parts, ring, slots, back } = accepted;
    let PendingLink { mut link, received, to_send } = pending;
    link.peer = link.peer.at(place.connection().peer().to_string());
    tracing::debug!(?end, peer = %link.peer, "link opened");
    let sender = Sender::new(back, slots, Frames::default()).run::<Out>(link.clone(), to_send);
    let receiver = Receiver::<In>::new(caller, ring, parts, link.contract.clone());
    tokio::join!(tokio::spawn(sender), read(receiver, In::CARRIED, link, received)).0.ok();
}
