//! Connections to other processes: repeated attempts until the deadline.

use super::endpoint;
use super::status::told_by;
use super::tls::{self, Security};
use crate::failure::{Failure, FailureKind};
use crate::identity::Identity;
use crate::link::Peer;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::transport::Channel;

/// The pause between the first two attempts. Each pause is twice the previous pause.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Checks that `address` is of the form `host:port`, with an IPv6 host in brackets.
///
/// # Errors
/// [`FailureKind::Address`] where `address` has another form.
pub fn check_address(address: &str) -> Result<(), Failure> {
    let well_formed = address.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let plain = !host.is_empty() && !host.contains([':', '/', '@']);
        (bracketed || plain) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    match well_formed && endpoint(address).is_ok() {
        true => Ok(()),
        false => {
            let sentence = format!("'{address}' is no address: host:port is expected");
            Err(Failure::new(FailureKind::Address, sentence))
        }
    }
}

/// Connects to `peer` once, and returns the identity that it has proved.
///
/// # Errors
/// [`FailureKind::Lost`] with the innermost reason, [`FailureKind::Identity`] where either side refuses the other, or
/// [`FailureKind::Address`] where the address is malformed.
pub(crate) async fn connect(
    security: &Security,
    peer: &Peer,
) -> Result<(Channel, Option<Identity>), Failure> {
    let address = peer.address();
    check_address(address)?;
    let endpoint = endpoint(address).map_err(|error| Failure::new(FailureKind::Address, error))?;
    tls::connect(&endpoint, security, peer).await
}

/// Attempts a call to `peer` until it succeeds, is refused, or the deadline passes, with growing pauses.
///
/// # Errors
/// [`FailureKind::Unreachable`] after the deadline, or the peer's own failure.
pub(crate) async fn retry<T, F: Future<Output = Result<T, Failure>>>(
    peer: &Peer,
    deadline: Duration,
    attempt: impl Fn() -> F,
) -> Result<T, Failure> {
    let end = Instant::now() + deadline;
    let mut pause = FIRST_PAUSE;
    loop {
        let why = match timeout_at(end, attempt()).await {
            Ok(Err(Failure { kind: FailureKind::Lost | FailureKind::Early, sentence, .. })) => sentence,
            Ok(settled) => return settled.map_err(|failure| told_by(peer, failure)),
            Err(_) => "no answer".to_owned(),
        };
        if Instant::now() + pause >= end {
            return Err(unreachable(peer, deadline, &why));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The failure where no process answered at the address of `peer`; `why` is the last attempt's error.
pub(crate) fn unreachable(peer: &Peer, deadline: Duration, why: &str) -> Failure {
    let seconds = deadline.as_secs_f64();
    let sentence = format!(
        "{peer} could not be reached within {seconds:.0} s ({why}): check the address and that a layer-node serves there"
    );
    Failure::new(FailureKind::Unreachable, sentence)
}
