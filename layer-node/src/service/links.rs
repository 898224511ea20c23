//! The links of a run: a node announces the links that others open, and opens those to the stage above and to its own
//! other half.

use super::ledger::NodeLedger;
use crate::exec::moments::Moments;
use crate::exec::session::{BackwardLink, Links, StageLinks};
use crate::meters::Meters;
use proto::cancellation::Cancellation;
use proto::control::Start;
use proto::failure::{Failure, FailureKind};
use proto::link::{Contract, End, Link, LinkRegistry, Peer, Role};
use proto::spec::stage::{Half, StageSpec};
use proto::transport::links::Opener;
use proto::transport::tls::Security;
use std::sync::Arc;

/// The facts from which the links of a run follow.
pub(super) struct Connecting<'a> {
    pub spec: &'a StageSpec,
    pub start: &'a Start,
    pub registry: &'a LinkRegistry,
    pub security: &'a Security,
    pub cancellation: &'a Cancellation,
    pub ledger: &'a NodeLedger,
    pub meters: &'a Meters,
    pub moments: &'a Moments,
}

impl Connecting<'_> {
    /// All links of the node.
    ///
    /// # Errors
    /// A node that cannot be reached, or that refuses the link; an end of the run meanwhile.
    pub async fn links(&self) -> Result<Links, Failure> {
        match self.spec.half {
            Half::Forward => self.stage().await.map(|links| Links::Stage(Box::new(links))),
            Half::Backward => self.backward().map(Links::Backward),
        }
    }

    async fn stage(&self) -> Result<StageLinks, Failure> {
        let Self { spec, start, .. } = self;
        let below = spec.index.checked_sub(1).map_or_else(Peer::coordinator, Peer::stage);
        let (below, pending) = self.link(below, spec.activations_below()).queues();
        let mut pending = vec![(End::Below, pending)];
        let errors = spec.errors_above()?;
        let above = match &start.above {
            Some(address) => Err(self.link(Peer::stage(spec.index + 1).at(address), errors)),
            None => {
                let (above, expected) = self.link(Peer::coordinator(), errors).queues();
                pending.push((End::Above, expected));
                Ok(above)
            }
        };
        self.registry.announce((spec.run.clone(), spec.incarnation), pending);
        let opener =
            Opener { security: self.security, transport: spec.transport, deadline: start.connect_deadline };
        let opening = async {
            tokio::try_join!(
                async {
                    match above {
                        Ok(above) => Ok(above),
                        Err(link) => opener.exchange(&link).await,
                    }
                },
                async {
                    match self.to_backward()? {
                        Some(link) => opener.serve(&link).await.map(Some),
                        None => Ok(None),
                    }
                },
            )
        };
        let opened = tokio::select! {
            opened = opening => opened,
            () = self.cancellation.ended() => return Err(self.cancellation.reason()),
        };
        let (above, backward) = opened.map_err(|failure| self.unreached(failure))?;
        let crossings = spec.crossings()?;
        let backward = backward.map(|port| BackwardLink { port, crossings });
        Ok(StageLinks { below, above, backward })
    }

    /// The link to the backward node, if the run names it.
    fn to_backward(&self) -> Result<Option<Link>, Failure> {
        let Self { spec, start, .. } = self;
        match (&start.backward, spec.is_split()) {
            (Some(address), true) => {
                let peer = Peer::of(Role::Backward(spec.index)).at(address);
                Ok(Some(self.link(peer, spec.errors_from_backward()?)))
            }
            // An evaluation needs no backward nodes.
            (None, _) => Ok(None),
            (Some(_), false) => Err(Failure::refused("a stage without split layers has no backward node")),
        }
    }

    /// The one link of a backward node.
    fn backward(&self) -> Result<BackwardLink, Failure> {
        let spec = self.spec;
        let (port, pending) = self.link(Peer::stage(spec.index), spec.values_to_backward()?).queues();
        self.registry.announce((spec.run.clone(), spec.incarnation), vec![(End::Forward, pending)]);
        Ok(BackwardLink { port, crossings: spec.crossings()? })
    }

    fn unreached(&self, failure: Failure) -> Failure {
        match failure.kind {
            // TLS gives the reason to this end only.
            FailureKind::Identity => failure.of(self.spec.role()),
            _ => Failure::neighbour(failure).of(self.spec.role()),
        }
    }

    fn link(&self, peer: Peer, contract: Contract) -> Link {
        let observer = Arc::new((
            self.ledger.observer(peer.role, self.meters),
            Arc::new(self.moments.observer(peer.role)),
        ));
        Link { peer, contract, cancellation: self.cancellation.clone(), observer }
    }
}
