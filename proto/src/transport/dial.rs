//! Connections to other processes: repeated attempts until the deadline.

use super::address::check_address;
use super::endpoint;
use super::status::told_by;
use super::tls::{self, Security};
use super::waiting::Waiting;
use crate::failure::{Failure, FailureKind};
use crate::identity::Identity;
use crate::link::Peer;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::transport::Channel;

/// The pause between the first two attempts. Each pause is twice the previous pause.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

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

/// Connects to the port at `address` once, in plaintext, without a check of its process.
///
/// # Errors
/// The innermost reason.
pub async fn probe(address: &str) -> Result<Channel, Failure> {
    Ok(connect(&Security::insecure_plaintext(), &Peer::node(address)).await?.0)
}

/// The time for which a call is attempted again, and the peers that are missing meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempts<'a> {
    /// The time for all attempts.
    pub deadline: Duration,
    /// The missing peers, to which the peer of the call belongs meanwhile.
    pub waiting: &'a Waiting,
    /// Whether to wait for a peer that speaks another protocol, since another release may take its place.
    pub for_other_protocols: bool,
}

impl Attempts<'_> {
    /// Attempts a call to `peer` until it succeeds, is refused, or the deadline passes, with growing pauses. Each
    /// attempt resolves the peer's name anew: a process that comes back may have another address.
    ///
    /// # Errors
    /// [`FailureKind::Unreachable`] after the deadline, or the peer's own failure.
    pub(crate) async fn make<T, F: Future<Output = Result<T, Failure>>>(
        self,
        peer: &Peer,
        attempt: impl Fn() -> F,
    ) -> Result<T, Failure> {
        let end = Instant::now() + self.deadline;
        let mut pause = FIRST_PAUSE;
        self.waiting.misses(peer, "no answer yet");
        let result = loop {
            let failure = match timeout_at(end, attempt()).await {
                Ok(Err(failure)) if self.tries_again_after(failure.kind) => failure,
                Ok(settled) => break settled.map_err(|failure| told_by(peer, failure)),
                Err(_) => Failure::new(FailureKind::Lost, "no answer"),
            };
            if Instant::now() + pause >= end {
                break Err(self.given_up(peer, failure));
            }
            self.waiting.misses(peer, &failure.sentence);
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        self.waiting.found(peer);
        result
    }

    fn tries_again_after(&self, kind: FailureKind) -> bool {
        match kind {
            FailureKind::Lost | FailureKind::Early => true,
            FailureKind::OtherProtocol => self.for_other_protocols,
            _ => false,
        }
    }

    fn given_up(&self, peer: &Peer, failure: Failure) -> Failure {
        match failure.kind {
            FailureKind::OtherProtocol => told_by(peer, failure),
            _ => unreachable(peer, self.deadline, &failure.sentence),
        }
    }
}

/// Attempts a call to `peer` until it succeeds, is refused, or the deadline passes. The log names the peer if that
/// takes long.
///
/// # Errors
/// As [`Attempts::make`].
pub(crate) async fn retry<T, F: Future<Output = Result<T, Failure>>>(
    peer: &Peer,
    deadline: Duration,
    attempt: impl Fn() -> F,
) -> Result<T, Failure> {
    let waiting = Waiting::default();
    let attempts = Attempts { deadline, waiting: &waiting, for_other_protocols: false };
    waiting.logged(attempts.make(peer, attempt)).await
}

/// The failure where no process answered at the address of `peer`; `why` is the last attempt's error.
fn unreachable(peer: &Peer, deadline: Duration, why: &str) -> Failure {
    let seconds = deadline.as_secs_f64();
    let sentence = format!(
        "{peer} could not be reached within {seconds:.0} s ({why}): check the address and that a layer-node serves there"
    );
    Failure::new(FailureKind::Unreachable, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// The result of a call that fails with each of `failures` in turn and then succeeds, and
    /// the seconds that have passed at each attempt.
    async fn called(
        failures: &[(FailureKind, &str)],
        seconds: u64,
        for_other_protocols: bool,
    ) -> (Result<(), String>, Vec<f64>) {
        let (begun, times) = (Instant::now(), RefCell::new(Vec::new()));
        let waiting = Waiting::default();
        let attempts =
            Attempts { deadline: Duration::from_secs(seconds), waiting: &waiting, for_other_protocols };
        let peer = Peer::stage(1).at("stage-1:7101");
        let result = attempts.make(&peer, async || {
            let attempt = times.borrow().len();
            times.borrow_mut().push(begun.elapsed().as_secs_f64());
            failures.get(attempt).map_or(Ok(()), |(kind, why)| Err(Failure::new(*kind, why)))
        });
        (result.await.map_err(|failure| failure.sentence), times.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_does_not_resolve_yet_is_tried_again_with_growing_pauses() {
        let missing = [(FailureKind::Lost, "no such name"); 12];
        let (result, attempts) = called(&missing, 600, false).await;
        assert_eq!((result, attempts.len()), (Ok(()), 13));
        let pauses: Vec<f64> = attempts.windows(2).map(|pair| (10.0 * (pair[1] - pair[0])).round()).collect();
        assert_eq!(pauses, [0.0, 0.0, 1.0, 2.0, 3.0, 6.0, 13.0, 20.0, 20.0, 20.0, 20.0, 20.0], "tenths");

        let (result, attempts) = called(&[missing[0]; 1000], 60, false).await;
        assert_eq!(
            result.unwrap_err(),
            "stage 1 at stage-1:7101 could not be reached within 60 s (no such name): check the address and that a layer-node serves there"
        );
        assert!(attempts.last().is_some_and(|last| (56.0..60.0).contains(last)), "{attempts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn another_protocol_and_a_process_that_is_stopping_are_waited_for_and_a_refusal_is_not() {
        let other = (FailureKind::OtherProtocol, "it is another release");
        let rollout = [other, (FailureKind::Early, "it is being stopped"), (FailureKind::Lost, "refused")];
        assert_eq!(called(&rollout, 60, true).await.0, Ok(()));
        let (at_once, attempts) = called(&rollout, 60, false).await;
        assert_eq!(at_once.unwrap_err(), "stage 1 at stage-1:7101: it is another release");
        assert_eq!(attempts.len(), 1, "a question is answered soon");
        let (for_ever, attempts) = called(&[other; 1000], 60, true).await;
        assert_eq!(for_ever.unwrap_err(), "stage 1 at stage-1:7101: it is another release");
        assert!(attempts.len() > 20, "{attempts:?}");
        let refused = called(&[(FailureKind::Refused, "busy")], 60, true).await;
        assert_eq!((refused.0.unwrap_err(), refused.1.len()), ("stage 1 at stage-1:7101: busy".into(), 1));
    }
}
