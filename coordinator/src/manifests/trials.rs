//! The manifests of a sweep: an Indexed Job of one pod per trial, the claim that the pods share, and the Job that makes
//! the table.

use super::names::MAX_LABEL;
use super::needs::{PodNeeds, TrialLoad};
use super::templates::{DATA_MOUNT, template};
use super::words::NO_SUCH_FOLDER;
use super::{ClaimName, DataVolume, Image, ManifestFile, QueueName, RunName, labels};
use crate::run_error::RunError;
use crate::shell;
use askama::Template;
use std::path::Path;

/// The first line of every file.
const MARK: &str = "# Written by `coordinator sweep --manifests`, which replaces it when it runs again: make changes in an overlay.";
/// The queue of Kueue that a namespace has by default.
const QUEUE: &str = "default";
/// The claim of the run folders, unless the user names another.
const CLAIM: &str = "runs";

/// The user's order for a sweep's manifests, beside the sweep itself.
#[derive(Clone, Debug)]
pub struct SweepOrder {
    /// The image of all containers.
    pub image: Image,
    /// Where each trial finds the data.
    pub data: DataVolume,
    /// The existing claim of the run folders; `None` for a new one.
    pub claim: Option<ClaimName>,
    /// The queue by which Kueue admits the sweep; `None` if the sweep need not wait for Kueue.
    pub queue: Option<QueueName>,
    /// The most trials at once; `None` for all.
    pub parallel: Option<usize>,
}

/// A sweep whose trials follow from their numbers.
#[derive(Clone, Debug)]
pub struct DeployedSweep {
    /// The sweep's name.
    pub name: String,
    /// The number of its trials.
    pub trials: usize,
    /// The text of its file, which names its base configuration `base.toml`.
    pub sweep: String,
    /// The text of its base configuration.
    pub base: String,
    /// The load of the largest trial.
    pub load: TrialLoad,
    /// Whether the user's `data.path` is left out.
    pub drops_path: bool,
}

/// The sweep as the templates see it.
struct Run<'a> {
    name: String,
    image: &'a Image,
    data: &'a DataVolume,
    claim: String,
    claim_exists: bool,
    queue: Option<&'a QueueName>,
    trials: usize,
    parallel: usize,
    needs: PodNeeds,
}

impl Run<'_> {
    fn run_labels(&self) -> String {
        labels::of_all(&self.name)
    }

    fn labels(&self, component: &str) -> String {
        labels::of(&self.name, component)
    }

    fn version_labels(&self, component: &str) -> String {
        labels::versioned(&self.name, component)
    }

    fn is_queued(&self) -> bool {
        self.queue.is_some()
    }

    fn queue(&self) -> String {
        self.queue.map_or_else(|| QUEUE.to_owned(), QueueName::to_string)
    }
}

template!(SweepKustomization of Run<'a>, "manifests/sweep-kustomization.yaml");
template!(SweepFile of Run<'a>, "manifests/sweep.yaml");
template!(TrialsFile of Run<'a>, "manifests/trials.yaml", pod: String);
template!(CollectFile of Run<'a>, "manifests/collect.yaml", pod: String);
template!(TrialPod of Run<'a>, "manifests/trial-pod.yaml", component: &'a str, trial: bool);

/// The files of a sweep.
///
/// # Errors
/// A template that does not render, which is a bug.
pub fn trials(order: &SweepOrder, sweep: &DeployedSweep) -> Result<Vec<ManifestFile>, RunError> {
    let DeployedSweep { name, trials, load, .. } = sweep;
    let run = Run {
        name: RunName::of(name, MAX_LABEL).to_string(),
        image: &order.image,
        data: &order.data,
        claim: order.claim.as_ref().map_or_else(|| CLAIM.to_owned(), ClaimName::to_string),
        claim_exists: order.claim.is_some(),
        queue: order.queue.as_ref(),
        trials: *trials,
        parallel: at_once(order, sweep),
        needs: PodNeeds::of_trial(*load, *trials as u64),
    };
    render(&run, sweep).map_err(RunError::internal)
}

fn render(run: &Run<'_>, sweep: &DeployedSweep) -> askama::Result<Vec<ManifestFile>> {
    let pod = |component: &str, trial| TrialPod { run, component, trial }.render();
    let file = |path: &str, text: String| ManifestFile { path: path.into(), text: text + "\n" };
    let of_user =
        |path: &str, text: &str| ManifestFile { path: path.into(), text: format!("{MARK}\n{text}") };
    Ok(vec![
        file("kustomization.yaml", SweepKustomization { run }.render()?),
        of_user("sweep.toml", &sweep.sweep),
        of_user("base.toml", &sweep.base),
        file("sweep.yaml", SweepFile { run }.render()?),
        file("trials.yaml", TrialsFile { run, pod: pod("trial", true)? }.render()?),
        file("collect.yaml", CollectFile { run, pod: pod("collect", false)? }.render()?),
    ])
}

/// The most trials at once.
fn at_once(order: &SweepOrder, sweep: &DeployedSweep) -> usize {
    order.parallel.unwrap_or(sweep.trials).clamp(1, sweep.trials)
}

/// The message to the user once the files are in the folder `out`.
pub fn told(order: &SweepOrder, sweep: &DeployedSweep, out: &Path) -> String {
    let (trials, folder) = (sweep.trials, out.display());
    let (collect, out) = (shell::word(&out.join("collect.yaml")), shell::word(out));
    let parallel = at_once(order, sweep);
    let guess = match sweep.load.data {
        Some(_) => "",
        None => "The size of the data set is not known here: set the memory of the pods in an overlay.\n",
    };
    let path = if sweep.drops_path { NO_SUCH_FOLDER } else { "" };
    format!(
        "sweep '{}' in {folder}: {trials} trials, up to {parallel} at a time, by the image {}\n{guess}{path}\nThe next commands:\n\n    \
         kubectl apply -k {out}\n    \
         kubectl get pods -l app.kubernetes.io/component=trial\n    \
         kubectl logs -f $(kubectl create -f {collect} -o name)\n",
        sweep.name, order.image
    )
}
