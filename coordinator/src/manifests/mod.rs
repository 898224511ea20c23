//! The manifests of a run on Kubernetes: a kustomize base of one StatefulSet per node and a Job for the coordinator,
//! and the components that add certificates or turn the base into one JobSet.
//!
//! ```text
//! Order ─┐
//! Config ┼─▶ Run (names, neighbours, needs) ─▶ templates/manifests/*.yaml ─▶ files (texts) ─▶ folder
//! Plan ──┘
//! ```
//!
//! Everything up to the texts is pure; [`write()`] alone touches the disk. The names of all objects follow from the
//! roles of the processes, so one namespace holds one run. A sweep has manifests of its own, of one pod per trial
//! ([`trials()`]).

mod folder;
mod labels;
mod names;
mod needs;
mod order;
mod ports;
mod run;
mod settings;
mod templates;
#[cfg(test)]
mod tests;
mod topology;
mod trials;
mod words;

pub use folder::{write, write_at};
pub use names::{ClaimName, Image, QueueName, RunName};
pub use needs::{Held, TrialLoad};
pub use order::{DataVolume, Order};
pub use settings::{SNAPSHOT_STEPS, other_path};
pub use trials::{DeployedSweep, SweepOrder, told, trials};

use crate::config::Config;
use crate::plan::Plan;
use crate::run_error::RunError;
use run::Run;

/// The version of the program, and of its image.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The first line of every file. A file that begins with it may be replaced.
const MARK: &str =
    "# Written by `coordinator manifests`, which replaces it when it runs again: make changes in an overlay.";

/// One file of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// Its path in the folder.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The manifests of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifests {
    /// All files.
    pub files: Vec<ManifestFile>,
    /// The message to the user once they are in the folder that the order names.
    pub said: String,
}

/// The manifests that `order` asks for, for the run of `config` that `plan` predicts. The coordinator holds `held` in
/// memory.
///
/// `config` was read without an environment: its `data.path` is the user's text, or the default.
///
/// # Errors
/// A run that Kubernetes has no names for, in one sentence.
pub fn manifests(order: &Order, config: &Config, plan: &Plan, held: Held) -> Result<Manifests, RunError> {
    let run = Run::new(order, config, plan, held).map_err(RunError::configuration)?;
    let settings = settings::toml(config).map_err(RunError::configuration)?;
    let files = templates::files(&run, settings).map_err(RunError::internal)?;
    let said = words::told(&run, &order.out, settings::other_path(config).is_some());
    Ok(Manifests { files, said })
}
