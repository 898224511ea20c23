//! A run of its own whose ledgers are fetched at its end, for a proof.

use super::begin::{Begun, Start, begin};
use super::drive::Run;
use super::recorder::Recorder;
use crate::driver::Ledgers;
use crate::node::temporary;
use crate::prepare::{Placement, Prepared};
use crate::record::Place;
use crate::run_error::RunError;
use proto::control::Configured;
use proto::spec::stage::StageSpec;
use tokio_util::sync::CancellationToken;

/// A run that is over.
pub struct Audited {
    /// The specifications of the stages, as the coordinator sent them; empty where the run ended before.
    pub stages: Vec<StageSpec>,
    /// The answers of the nodes to their specifications, those of the stages first.
    pub configured: Vec<Configured>,
    /// The ledgers; `None` where the pipeline was never open.
    pub ledgers: Option<Ledgers>,
    /// The end of the run.
    pub result: Result<(), RunError>,
}

/// Trains `prepared` in a temporary folder until the end or until `stop` is cancelled, and then fetches the ledgers.
/// The folder is removed, unless a node failed: the logs of local nodes are there.
///
/// # Errors
/// A folder that cannot be made.
pub async fn audited(
    prepared: &Prepared,
    placement: &Placement,
    stop: CancellationToken,
) -> Result<Audited, RunError> {
    let folder = temporary("locality")?;
    let place = Place::At(folder.path().join("run"));
    let Begun { folder: begun, resume, .. } =
        begin(place, Start { resume: None, origin: None, placement }, prepared).await?;
    let mut run = Run::new(prepared, placement, stop, Recorder::new(begun, prepared, false, None));
    let result = run.drive(resume, 0).await;
    if matches!(&result, Err(failure) if failure.cause.is_of_a_node()) {
        let _ = folder.keep();
    }
    Ok(Audited { stages: run.stages, configured: run.configured, ledgers: run.ledgers, result })
}
