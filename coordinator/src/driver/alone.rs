//! Runs one stage alone, a chain of one.

use super::NodeAddress;
use super::chain::{Chain, Part, chain};
use super::failures::FailureCollector;
use crate::run_error::RunError;
use proto::control::StepDone;
use proto::lane::Lane;
use proto::spec::stage::StageSpec;
use proto::transport::tls::Security;
use std::time::Duration;

/// The trial of a stage that runs alone.
pub struct Alone {
    /// The stage's specification.
    pub spec: StageSpec,
    /// The stage's actions in every step.
    pub lane: Lane,
    /// N of every step.
    pub minibatch: u32,
    /// The number of steps.
    pub steps: u64,
    /// How long to try to reach the node.
    pub connect_deadline: Duration,
    /// How long to wait for a step.
    pub message_deadline: Duration,
}

/// Runs the steps of a stage on `node`, a local one, and returns the node's report of each step.
///
/// # Errors
/// The stage and its address, if the node could not be reached, failed, or fell silent.
pub async fn alone(
    trial: &Alone,
    node: &NodeAddress,
    failures: &FailureCollector,
) -> Result<Vec<StepDone>, RunError> {
    let only = Chain {
        parts: vec![Part { spec: &trial.spec, lane: &trial.lane, node }],
        security: Security::plaintext(),
        minibatch: trial.minibatch,
        steps: trial.steps,
        connect_deadline: trial.connect_deadline,
        message_deadline: trial.message_deadline,
    };
    chain(&only, failures).await.map(|mut reports| reports.pop().unwrap_or_default())
}
