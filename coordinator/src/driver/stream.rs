//! The control stream of one node: commands go in, and checked reports come out.

use super::deadline::Deadline;
use super::reports::Reporting;
use crate::run_error::RunError;
use proto::control::{Command, Report};
use proto::lane::Lane;
use proto::link::{Peer, Role};
use proto::microbatch::Phase;
use tokio::sync::mpsc;

/// One node's control stream.
pub(super) struct NodeStream {
    pub(super) peer: Peer,
    pub(super) reporting: Reporting,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) reports: mpsc::Receiver<Report>,
}

impl NodeStream {
    /// The lane that the node follows, among those of the stages; `None` for a minibatch that needs no B.
    pub(super) fn lane<'a>(&self, lanes: &'a [Lane]) -> Option<&'a Lane> {
        match self.peer.role {
            Role::Stage(index) => lanes.get(index as usize),
            Role::Backward(index) => lanes.get(index as usize).filter(|lane| lane.phase() == Phase::Train),
            Role::Coordinator | Role::Node => None,
        }
    }

    /// The next report of this node; `due` names it in messages.
    pub(super) async fn report(
        &mut self,
        deadline: &Deadline,
        due: &str,
    ) -> Result<Report, Option<RunError>> {
        deadline.wait(self.reports.recv(), || format!("{due} from {}", self.peer)).await
    }
}
