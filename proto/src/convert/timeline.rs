//! Conversions of a step's timeline.

use super::Result;
use super::ledger::{party, role};
use crate::error::ProtocolError;
use crate::link::Carried;
use crate::timeline::{Exchange, MAX_TRANSFERS, Timeline, Transfer};
use crate::wire;

/// The timeline in the fields of a report; `None` where all of them are empty.
pub(super) fn timeline(done: &mut wire::StepDone) -> Result<Option<Timeline>> {
    let transfers = std::mem::take(&mut done.transfers);
    if transfers.len() > MAX_TRANSFERS {
        let messages = transfers.len();
        return Err(ProtocolError::invalid(format!(
            "a timeline of {messages} messages is longer than {MAX_TRANSFERS}"
        )));
    }
    let exchange =
        Exchange { received_ns: done.received_ns, answered_ns: done.answered_ns, ..Exchange::default() };
    let timeline = Timeline { transfers: super::all(transfers)?, exchange };
    Ok(Some(timeline).filter(|timeline| *timeline != Timeline::default()))
}

impl TryFrom<wire::MessageTimes> for Transfer {
    type Error = ProtocolError;
    fn try_from(transfer: wire::MessageTimes) -> Result<Self> {
        let carried = Carried::try_from(transfer.carried())?;
        let wire::MessageTimes {
            peer, sent, microbatch, form, bytes, start_ns, end_ns, transport_ns, ..
        } = transfer;
        let transport_ns = Some(transport_ns).filter(|ns| *ns > 0);
        Ok(Self { peer: role(peer), sent, carried, microbatch, form, bytes, start_ns, end_ns, transport_ns })
    }
}

impl From<Transfer> for wire::MessageTimes {
    fn from(transfer: Transfer) -> Self {
        let Transfer { peer, sent, carried, microbatch, form, bytes, start_ns, end_ns, transport_ns } =
            transfer;
        let carried = wire::Carried::from(carried).into();
        let transport_ns = transport_ns.unwrap_or(0);
        Self { peer: party(peer), sent, carried, microbatch, form, bytes, start_ns, end_ns, transport_ns }
    }
}
