//! The surroundings of the worker: the process's services, and the half of a stage that it works for.

use crate::exec::account::Account;
use crate::exec::outbox::Outbox;
use crate::meters::Meters;
use proto::clock::Clock;
use proto::spec::stage::StageSpec;
use tokio::runtime::Handle;

/// The process's services that the worker uses.
pub struct Context {
    pub runtime: Handle,
    pub clock: Clock,
    pub meters: Meters,
    pub outbox: Outbox,
}

/// The half of a stage that follows a lane.
#[derive(Clone, Copy)]
pub struct Of<'a> {
    pub spec: &'a StageSpec,
    pub account: &'a Account,
}
