//! The registry of expected links: every link that a peer opens finds its run here.

use super::{End, PendingLink, Role};
use std::sync::{Arc, Mutex, MutexGuard};

/// The reason for which an arriving link is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefusal {
    /// The metadata names no run.
    #[error("the call names no run")]
    Unnamed,
    /// No run is under way yet; a run may begin soon.
    #[error("no run is under way here yet")]
    Early,
    /// The metadata names another run or another start.
    #[error("the call names another run, or an earlier start of this one")]
    OtherRun,
    /// The caller has proved to be another process than the link's peer.
    #[error("this link is for another process than the caller's certificate names")]
    Stranger,
    /// The run does not expect this link, or has it already.
    #[error("this link is open already, or is not for this stage")]
    Taken,
}

/// The links that the current run expects.
struct Expected {
    run: (String, u32),
    /// Each link until it is taken.
    links: Vec<(End, PendingLink)>,
}

/// The expected links of the current run. The control plane announces runs, and the transports take their links.
#[derive(Clone, Default)]
pub struct LinkRegistry(Arc<Mutex<Option<Expected>>>);

impl LinkRegistry {
    fn lock(&self) -> MutexGuard<'_, Option<Expected>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Announces the links of the run with this name and incarnation.
    pub fn announce(&self, run: (String, u32), links: Vec<(End, PendingLink)>) {
        *self.lock() = Some(Expected { run, links });
    }

    /// Forgets the run.
    pub fn clear(&self) {
        *self.lock() = None;
    }

    /// Gives the link at `end` to a caller that names the run and its incarnation. If a certificate has proved the
    /// caller's role, the role must be that of the link's peer.
    ///
    /// # Errors
    /// The reason for the refusal. After [`LinkRefusal::Early`], the caller may try again.
    pub fn take(
        &self,
        end: End,
        named: Option<(&str, u32)>,
        caller: Option<Role>,
    ) -> Result<PendingLink, LinkRefusal> {
        let (run, incarnation) = named.ok_or(LinkRefusal::Unnamed)?;
        let mut expected = self.lock();
        let expected = expected.as_mut().ok_or(LinkRefusal::Early)?;
        if (expected.run.0.as_str(), expected.run.1) != (run, incarnation) {
            return Err(LinkRefusal::OtherRun);
        }
        let at = expected.links.iter().position(|(expected, _)| *expected == end);
        let at = at.ok_or(LinkRefusal::Taken)?;
        let peer = expected.links[at].1.link.peer.role;
        match caller.is_some_and(|caller| caller != peer) {
            true => Err(LinkRefusal::Stranger),
            false => Ok(expected.links.swap_remove(at).1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Contract, Link, Peer, Role};
    use super::*;

    #[test]
    fn an_earlier_start_of_the_run_is_refused_and_the_link_stays_for_the_present_one() {
        let contract = Contract {
            run: "run".into(),
            incarnation: 3,
            forms: Vec::new(),
            kind: crate::tensor::Kind::F32,
            max_microbatches: 1,
        };
        let registry = LinkRegistry::default();
        let take = |end, named| registry.take(end, named, None).err();
        assert_eq!(take(End::Below, None), Some(LinkRefusal::Unnamed));
        assert_eq!(take(End::Below, Some(("run", 3))), Some(LinkRefusal::Early));
        let (_port, pending) = Link::new(Peer::stage(0), contract).queues();
        registry.announce(("run".into(), 3), vec![(End::Below, pending)]);
        for stranger in [Role::Coordinator, Role::Stage(1)] {
            let refusal = registry.take(End::Below, Some(("run", 3)), Some(stranger)).err();
            assert_eq!(refusal, Some(LinkRefusal::Stranger), "{stranger:?}");
        }
        for stale in [("run", 2), ("other", 3)] {
            assert_eq!(take(End::Below, Some(stale)), Some(LinkRefusal::OtherRun), "{stale:?}");
        }
        assert_eq!(take(End::Above, Some(("run", 3))), Some(LinkRefusal::Taken), "not for this stage");
        assert_eq!(take(End::Below, Some(("run", 3))), None);
        assert_eq!(take(End::Below, Some(("run", 3))), Some(LinkRefusal::Taken), "open already");
    }
}
