//! The origin of a run that does not begin from its seed alone: files of weights, or the state of another run. It is
//! settled once, before the run's folder is written: local nodes are given their parts, and nodes elsewhere are asked
//! whether they have theirs.
//!
//! ```text
//! --init FILE  --local    files ──Fit──▶ state/stage-S/previous/ID/step-00000000/ of the new run
//! --from RUN   --local    RUN's snapshots ──Fit──▶ state/stage-S/previous/RUN/step-…/
//! --init, --from --nodes  Describe: which nodes hold the snapshot?
//! ```

mod held;
mod state;

use crate::node::Rooms;
use crate::prepare::{Placement, Prepared, nodes};
use crate::record::files::remove;
use crate::run::Which;
use crate::run_error::RunError;
use crate::weights::{Backward, Fit, Keep, Mark, PartsId, Source, mark, remarks};
use proto::spec::begin::Begin;
use proto::spec::optimizer::Method;
use proto::spec::stage::StageSpec;
use proto::state_file::{file, folder_of};
use std::fs;
use std::path::{Path, PathBuf};

/// The origin of a run's weights, as the user gives it.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Weights in files, all of one network.
    Files {
        /// The files.
        files: Vec<PathBuf>,
        /// The B in place of the files'.
        backward: Option<Backward>,
    },
    /// Parts that `coordinator split` made, which the nodes have already.
    Parts {
        /// The id that `split` printed.
        id: PartsId,
        /// The B that `split` was told.
        backward: Option<Backward>,
    },
    /// The state of another run.
    Run {
        /// The run's folder.
        folder: PathBuf,
        /// Which state; the newest that all nodes have by default.
        which: Option<Which>,
        /// Whether the optimizers' state is taken as well.
        optimizer: bool,
    },
}

/// A settled origin: every node has its snapshot.
pub struct Settled {
    /// The snapshot from which the nodes begin.
    pub begin: Begin,
    /// The messages to the user.
    pub say: Vec<String>,
}

impl Origin {
    /// The flag that gives the origin.
    pub fn flag(&self) -> &'static str {
        match self {
            Origin::Files { .. } | Origin::Parts { .. } => "--init",
            Origin::Run { .. } => "--from",
        }
    }

    /// Gives local nodes of the run in `run_dir` their snapshots, or looks for them at the nodes of `placement`.
    ///
    /// # Errors
    /// Files or a state that do not fit, a folder that cannot be written, or a node without its snapshot.
    pub async fn settle(
        &self,
        prepared: &Prepared,
        placement: &Placement,
        run_dir: &Path,
    ) -> Result<Settled, RunError> {
        let specs = nodes(&prepared.stages("", 1, None, None)?);
        let local = matches!(placement, Placement::Local);
        match self {
            Origin::Files { files, backward } => {
                let source = Source::read(files).map_err(RunError::configuration)?;
                let keep = Keep { optimizer: false, backward: *backward, finite: true };
                let fit = Fit::of(&source, &specs, keep).map_err(RunError::configuration)?;
                let mark = mark(&source, &fit, keep).map_err(RunError::configuration)?;
                match local {
                    true => give(&fit, &mark, run_dir)?,
                    false => {
                        let given = held::Given::Files(files, *backward);
                        held::check(prepared, placement, &mark, &given).await?;
                    }
                }
                let begin = begin(mark, false, *backward);
                Ok(Settled { begin, say: remarks(&source.shown(), &fit) })
            }
            Origin::Parts { id, .. } if local => Err(RunError::configuration(format!(
                "--init {id} is for --nodes that were given their parts: with --local, give --init the file itself"
            ))),
            Origin::Parts { id, backward } => {
                let run = id.to_string();
                let updates = held::newest(prepared, placement, &run, &held::Given::Id(&run)).await?;
                let mark = Mark { run, updates };
                Ok(Settled { begin: begin(mark, false, *backward), say: Vec::new() })
            }
            Origin::Run { folder, which, optimizer } => {
                self.settle_run((folder, *which, *optimizer), prepared, placement, (&specs, run_dir)).await
            }
        }
    }

    async fn settle_run(
        &self,
        (folder, which, optimizer): (&Path, Option<Which>, bool),
        prepared: &Prepared,
        placement: &Placement,
        (specs, run_dir): (&[StageSpec], &Path),
    ) -> Result<Settled, RunError> {
        let other = state::Other::open(folder, run_dir)?;
        let step = which.map(|which| which.of(folder)).transpose()?;
        if matches!(placement, Placement::Local) {
            let (source, mark) = other.snapshots(step)?;
            let keep = Keep { optimizer, backward: None, finite: true };
            let fit = Fit::of(&source, specs, keep).map_err(RunError::configuration)?;
            give(&fit, &mark, run_dir)?;
            let shown = format!("{} after {} updates", folder.display(), mark.updates);
            let say = [remarks(&shown, &fit), adam(prepared, optimizer)].concat();
            return Ok(Settled { begin: begin(mark, optimizer, None), say });
        }
        let given = held::Given::Run(folder);
        let run = other.id().to_owned();
        let updates = match step {
            Some(updates) => {
                held::check(prepared, placement, &Mark { run: run.clone(), updates }, &given).await?;
                updates
            }
            None => held::newest(prepared, placement, &run, &given).await?,
        };
        let from = format!("beginning from the state of {} after {updates} updates", folder.display());
        let say = [vec![from], adam(prepared, optimizer)].concat();
        Ok(Settled { begin: begin(Mark { run, updates }, optimizer, None), say })
    }
}

fn begin(Mark { run, updates }: Mark, optimizer: bool, backward: Option<Backward>) -> Begin {
    Begin { run, updates, optimizer, backward_is_weight: backward == Some(Backward::Weight) }
}

/// A sentence about Adam's means, where a run takes them along.
fn adam(prepared: &Prepared, optimizer: bool) -> Vec<String> {
    let config = &prepared.config;
    let methods = [config.optimizer.method(), config.optimizer_b.method()];
    let is_adam = methods.iter().any(|method| matches!(method, Method::Adam { .. }));
    let why = "Adam corrects its means by the number of this run's own updates, which begins at 0: the first steps are smaller than those of the run before";
    (optimizer && is_adam).then(|| why.to_owned()).into_iter().collect()
}

/// Puts the parts into the state folders of the run in `run_dir`. A start that was killed may have left parts of another
/// cut there, which are removed first.
fn give(fit: &Fit<'_>, mark: &Mark, run_dir: &Path) -> Result<(), RunError> {
    let entries = fs::read_dir(run_dir.join("state")).into_iter().flatten().flatten();
    for node in entries.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        remove(&file(&folder_of(&node, &mark.run), mark.updates))?;
    }
    let rooms = Rooms::of(run_dir);
    for part in &fit.parts {
        let folder = folder_of(&rooms.state(part.role), &mark.run);
        part.save(&folder, mark).map_err(RunError::internal)?;
    }
    Ok(())
}
