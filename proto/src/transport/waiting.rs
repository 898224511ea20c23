//! The peers for which this process waits, and the log lines that name them.

use crate::link::{Peer, Role};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The interval between looks at the missing peers. The log says nothing before the first look, since most peers are
/// there sooner.
const LOOK: Duration = Duration::from_secs(5);
/// The time between two lines of the log.
const AGAIN: Duration = Duration::from_secs(60);

/// The peers for which this process waits, each with the reason.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<BTreeMap<(Role, String), Missing>>);

/// A peer for which this process waits.
#[derive(Debug)]
struct Missing {
    peer: Peer,
    why: String,
}

impl Waiting {
    /// The result of `work`. While `work` lasts, the log names the missing peers: after some seconds, and then once a
    /// minute.
    pub async fn logged<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            never = self.log() => match never {},
        }
    }

    /// The result of `work`. Until then `peer` is missing, for the reason `why`.
    pub async fn during<T>(&self, peer: &Peer, why: &str, work: impl Future<Output = T>) -> T {
        self.misses(peer, why);
        let done = work.await;
        self.found(peer);
        done
    }

    /// Notes that `peer` is missing, for the reason `why`.
    pub(super) fn misses(&self, peer: &Peer, why: &str) {
        let missing = Missing { peer: peer.clone(), why: why.to_owned() };
        self.peers().insert((peer.role, peer.address().to_owned()), missing);
    }

    /// Notes that `peer` is not missing any more.
    pub(super) fn found(&self, peer: &Peer) {
        self.peers().remove(&(peer.role, peer.address().to_owned()));
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<(Role, String), Missing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn log(&self) -> Infallible {
        let mut said: Option<Instant> = None;
        loop {
            sleep(LOOK).await;
            if said.is_none_or(|said| said.elapsed() >= AGAIN)
                && let Some(line) = self.line()
            {
                tracing::info!("{line}");
                said = Some(Instant::now());
            }
        }
    }

    /// The sentence that names the missing peers; `None` if there are none.
    fn line(&self) -> Option<String> {
        let peers = self.peers();
        let named = peers.values().map(|Missing { peer, why }| format!("{peer} ({why})"));
        let named = named.collect::<Vec<_>>().join(", ");
        (!named.is_empty()).then(|| format!("waiting for {named}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_peers_are_named_in_order_with_the_last_reason_of_each() {
        let waiting = Waiting::default();
        let peers = [10, 2].map(|stage| Peer::stage(stage).at(format!("stage-{stage}:7101")));
        peers.iter().for_each(|peer| waiting.misses(peer, "no such name"));
        waiting.misses(&peers[1], "refused");
        let due = "waiting for stage 2 at stage-2:7101 (refused), stage 10 at stage-10:7101 (no such name)";
        assert_eq!(waiting.line().as_deref(), Some(due));
        peers.iter().for_each(|peer| waiting.found(peer));
        assert_eq!(waiting.line(), None);
    }
}
