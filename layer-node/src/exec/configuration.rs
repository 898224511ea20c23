//! The configured stage of a node, or the half of one, and its snapshots, which never mix with the snapshots of another
//! run.

use crate::exec::account::{Account, Consumed};
use crate::exec::beginning::Beginning;
use crate::exec::device::Device;
use crate::exec::half::Half;
use crate::settings::Settings;
use crate::state::checkpoint::{self, LEDGER, Snapshot};
use crate::state::state_dir::{self, StateDir};
use proto::control::{Configured, SnapshotDone};
use proto::failure::Failure;
use proto::microbatch::Phase;
use proto::spec::stage::StageSpec;
use std::path::Path;
use std::time::Instant;

/// A configured stage, or the half of one.
pub struct Configuration {
    pub spec: StageSpec,
    pub half: Half,
    /// The messages that training consumed, and the values that rules read.
    pub account: Account,
    state_dir: StateDir,
    /// Updates that the newest snapshot has seen.
    saved: Option<u64>,
}

impl Configuration {
    /// The stage of `spec` on `device`, which keeps `account`. The snapshots of other runs in `state_dir` are moved out
    /// of the way, unless the node only reads the folder.
    ///
    /// # Errors
    /// When the specification does not fit together, its snapshot cannot be restored, or memory or device fail.
    pub fn new(
        spec: StageSpec,
        state_dir: &StateDir,
        device: &mut dyn Device,
        account: Account,
    ) -> Result<Self, Failure> {
        let restored = spec.restore.map(|updates| snapshot_of(state_dir, &spec.run, updates)).transpose()?;
        let beginning = Beginning::of(&spec, state_dir)?;
        device.compute_in(spec.precision, spec.layout).map_err(Failure::from)?;
        let (place, kind) = device.options();
        let settings = Settings::of(&spec, place, kind);
        let mut half = Half::new(&spec, settings).map_err(|error| error.to_string())?;
        let mut consumed = Consumed::from_here(0);
        if let Some(snapshot) = restored {
            checkpoint::restore(&snapshot, &mut half.state())?;
            half.set_updates(snapshot.updates);
            consumed = consumed_by(&snapshot)?.for_stage(&spec, snapshot.updates);
        }
        if let Some(beginning) = beginning {
            beginning.fill(&mut half)?;
        }
        account.begin(&spec, &consumed, half.reads());
        // This comes last, so that a refused stage moves no snapshot.
        if !state_dir.read_only {
            take_turns(&state_dir.path, &spec.run)?;
        }
        tracing::info!(
            node = %spec.role(),
            layers = half.layers(),
            parameters = half.parameters(),
            updates = half.updates(),
            precision = %spec.precision,
            "configured"
        );
        Ok(Self { saved: spec.restore.or(Some(0)), spec, half, account, state_dir: state_dir.clone() })
    }

    /// The reply to the coordinator that configures the stage.
    pub fn configured(&self) -> Configured {
        Configured { parameters: self.half.parameters(), updates: self.half.updates() }
    }

    /// Writes the state as of the last update, and then removes older snapshots except the newest and those in
    /// `keep`.
    ///
    /// # Errors
    /// When the disk operation fails; the error is one sentence.
    pub fn snapshot(&mut self, keep: &[u64]) -> Result<SnapshotDone, String> {
        let done = self.save()?;
        let (folder, newest) = (&self.state_dir.path, self.spec.keep_snapshots as usize);
        state_dir::prune(folder, done.updates, newest, keep).map_err(|error| error.to_string())?;
        Ok(done)
    }

    /// Saves the state as of the last update when the node stops, and removes no snapshot: only the coordinator knows
    /// which older snapshots all nodes have.
    ///
    /// # Errors
    /// When the disk operation fails; the error is one sentence.
    pub fn save_unsaved(&mut self) -> Result<(), String> {
        if self.saved != Some(self.half.updates()) {
            let SnapshotDone { updates, .. } = self.save()?;
            tracing::info!(node = %self.spec.role(), updates, "wrote the state as of the last update");
        }
        Ok(())
    }

    fn save(&mut self) -> Result<SnapshotDone, String> {
        self.check_writable()?;
        let (begun, updates) = (Instant::now(), self.half.updates());
        let ledger = serde_json::to_string(&self.account.consumed()).map_err(|error| error.to_string())?;
        let (folder, run) = (&self.state_dir.path, &self.spec.run);
        let saved = checkpoint::save(folder, run, updates, &self.half.state(), Some(&ledger));
        let bytes = saved.map_err(|error| error.to_string())?;
        self.saved = Some(updates);
        Ok(SnapshotDone { updates, bytes, seconds: begun.elapsed().as_secs_f64() })
    }

    /// Removes the later snapshots of the run at the first training step after a start: the run is about to repeat
    /// their steps, and must never resume from the steps that it gave up. An evaluation of an earlier state gives up
    /// no step, so it removes no snapshot.
    ///
    /// # Errors
    /// When the disk operation fails; the error is one sentence.
    pub fn forget_future(&self, phase: Phase) -> Result<(), String> {
        let updates = self.half.updates();
        if phase != Phase::Train || updates != self.spec.restore.unwrap_or(0) {
            return Ok(());
        }
        self.check_writable()?;
        state_dir::forget_after(&self.state_dir.path, updates).map_err(|error| error.to_string())
    }

    /// Refuses to train or save on a node that only reads its state folder.
    fn check_writable(&self) -> Result<(), String> {
        match self.state_dir.read_only {
            true => Err("this node can only evaluate: start it without --read-only to train on it".into()),
            false => Ok(()),
        }
    }
}

/// The messages that the updates up to `snapshot` have consumed. Snapshots of releases without ledgers do not record
/// them.
fn consumed_by(snapshot: &Snapshot) -> Result<Consumed, Failure> {
    match snapshot.metadata().map_err(checkpoint::of_file)?.get(LEDGER) {
        None => Ok(Consumed::from_here(snapshot.updates)),
        Some(text) => serde_json::from_str(text).map_err(|error| {
            let path = snapshot.path().display();
            Failure::own(format!("{path} has a ledger that cannot be read ({error}): use another snapshot"))
        }),
    }
}

/// Moves the snapshots of other runs out of the way, and those of `run` back.
fn take_turns(state_dir: &Path, run: &str) -> Result<(), Failure> {
    for to in checkpoint::set_aside(state_dir, run)? {
        tracing::warn!(moved_to = %to.display(), "the state of another run was moved out of the way");
    }
    if let snapshots @ 1.. = checkpoint::bring_back(state_dir, run)? {
        tracing::warn!(snapshots, "the state of this run, which had been set aside, was moved back");
    }
    Ok(())
}

/// The snapshot of `run` after `updates`, wherever it lies. The snapshot is checked before any folder is moved.
fn snapshot_of(state_dir: &StateDir, run: &str, updates: u64) -> Result<Snapshot, Failure> {
    let place = checkpoint::place_of(&state_dir.path, run, updates);
    let snapshot = match state_dir.read_only {
        true => Snapshot::open(&place, updates),
        false => Snapshot::open_or_retire(&place, updates),
    }
    .map_err(checkpoint::of_file)?;
    if snapshot.run == run {
        return Ok(snapshot);
    }
    let owner = &snapshot.run;
    Err(format!("the state after {updates} updates belongs to run {owner}, not to run {run}").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::device;
    use crate::state::named::State;
    use proto::spec::graph::{LayerSpec, Op, Value};

    #[test]
    fn the_first_training_step_forgets_the_future_that_was_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let layers = vec![LayerSpec::new("bias", &["below"], Op::Bias)];
        let inputs = vec![Value { name: "below".into(), shape: vec![4] }];
        let spec = StageSpec { run: "run".into(), ..StageSpec::alone(layers, inputs) };
        let held = || checkpoint::list(dir.path()).unwrap();
        let save = |steps: &[u64]| {
            for step in steps {
                checkpoint::save(dir.path(), "run", *step, &State::default(), None).unwrap();
            }
        };
        let mut device = device::open(tch::Device::Cpu).unwrap();
        let state_dir = StateDir { path: dir.path().to_owned(), read_only: false };
        let mut configuration =
            Configuration::new(spec, &state_dir, &mut *device, Account::default()).unwrap();
        let mut forget = |restore, updates, phase| {
            configuration.spec.restore = restore;
            configuration.half.set_updates(updates);
            configuration.forget_future(phase).unwrap();
        };
        save(&[100, 200, 250]);
        forget(Some(200), 200, Phase::Evaluate);
        assert_eq!(held(), [100, 200, 250], "an evaluation gives nothing up");
        forget(Some(200), 200, Phase::Train);
        assert_eq!(held(), [100, 200]);
        save(&[300]);
        forget(Some(200), 299, Phase::Train);
        assert_eq!(held(), [100, 200, 300], "no later step looks");
        forget(None, 0, Phase::Train);
        assert_eq!(held(), [0; 0], "a start from the seed gives all up");
    }
}
