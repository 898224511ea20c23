//! The ledger of the node's newest start of a run. The node keeps it from one Configure to the next.

use crate::exec::account::{Account, Consumed};
use crate::meters::Meters;
use proto::ledger::{ControlLedger, Ledger, LinkLedger, MAX_REFUSALS};
use proto::link::{Observer, Role};
use proto::spec::stage::StageSpec;
use proto::wire;
use std::sync::Arc;

/// The accounts of one start of a run; clones share them.
#[derive(Clone)]
pub(super) struct NodeLedger {
    own: Role,
    run: String,
    incarnation: u32,
    links: LinkLedger,
    /// The account of training, which the worker keeps.
    pub account: Account,
    /// The account of the control plane.
    pub control: ControlLedger,
}

impl NodeLedger {
    /// The account of a control plane that begins with the message `stage`.
    pub fn begin(stage: &wire::Stage) -> ControlLedger {
        let own = match stage.half() {
            wire::Half::Backward => Role::Backward(stage.index),
            wire::Half::Forward | wire::Half::Unspecified => Role::Stage(stage.index),
        };
        let control = ControlLedger::new(own, Role::Coordinator);
        control.received(stage);
        control
    }

    /// The ledger of the start that configures the node as `spec`.
    pub fn of(spec: &StageSpec, control: ControlLedger) -> Self {
        let own = spec.role();
        let (run, incarnation) = (spec.run.clone(), spec.incarnation);
        Self { own, run, incarnation, links: LinkLedger::new(own), account: Account::default(), control }
    }

    /// The observer of the link to `peer`, for this ledger and for `meters`.
    pub fn observer(&self, peer: Role, meters: &Meters) -> Arc<dyn Observer> {
        let traffic = match (self.own, peer) {
            (Role::Backward(_), _) | (_, Role::Backward(_)) => meters.of_other_half(),
            _ => meters.of_neighbour(),
        };
        Arc::new((traffic, self.links.observer(peer)))
    }

    /// The ledger so far.
    pub fn show(&self) -> Ledger {
        let mut refusals = self.links.refusals();
        refusals.extend(self.control.refusals());
        refusals.truncate(MAX_REFUSALS);
        let Consumed { since, records } = self.account.consumed();
        Ledger {
            of: self.own,
            run: self.run.clone(),
            incarnation: self.incarnation,
            crossed: self.links.records(),
            consumed: records.into_iter().filter(|record| record.messages > 0).collect(),
            consumed_since: since,
            control: self.control.records(),
            layers: self.account.reads(),
            refusals,
        }
    }
}
