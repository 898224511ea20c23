//! The message of the command: the files that it wrote, and the commands that come next.

use super::run::Run;
use crate::plural::plural;
use crate::shell;
use std::path::Path;

/// The note to the user if the pods do not have the folder of `data.path`.
pub(super) const NO_SUCH_FOLDER: &str = "data.path is left out, since pods have no such folder: they look in NEUROPIL_DATA, where --data mounts a claim.\n";

/// The report on the files of `run` that have been written to the folder `out`. `drops_path` says that `data.path` is
/// not among the settings of the pods.
pub(super) fn told(run: &Run, out: &Path, drops_path: bool) -> String {
    let stages = plural(run.stages().into(), "stage");
    let backward = match run.backward_stages().len() as u64 {
        0 => String::new(),
        halves => format!(" with {}", plural(halves, "backward node")),
    };
    let guess = match run.needs.is_guess {
        true => {
            "The size of the data set is not known here: set the memory of the coordinator in an overlay.\n"
        }
        false => "",
    };
    let path = if drops_path { NO_SUCH_FOLDER } else { "" };
    let first = certificates(run, &shell::word(&out.join("certificates")));
    let commands: Vec<String> =
        [first].into_iter().chain(overlay(out)).map(|line| format!("    {line}\n")).collect();
    format!(
        "run '{}' in {}: a coordinator and {stages}{backward}, by the image {}\n{guess}{path}\nThe next commands:\n\n{}",
        run.name,
        out.display(),
        run.image,
        commands.concat()
    )
}

/// The commands that make an overlay beside the base in `out`, and apply it. kustomize allows no overlay inside its
/// base.
fn overlay(out: &Path) -> Vec<String> {
    let logs = "kubectl logs -f job/coordinator --pod-running-timeout=10m".to_owned();
    let Some(base) = out.file_name().map(|name| name.to_string_lossy()) else {
        return vec!["kubectl apply -k OVERLAY".into(), logs];
    };
    let folder = out.with_file_name(format!("{base}-overlay"));
    let (file, folder) = (shell::word(&folder.join("kustomization.yaml")), shell::word(&folder));
    let base = shell::word(Path::new(&*base));
    vec![
        format!("mkdir -p {folder}"),
        format!(
            "printf 'resources: [\"../%s\"]\\ncomponents: [\"../%s/certificates\"]\\n' {base} {base} > {file}"
        ),
        format!("kubectl apply -k {folder}"),
        logs,
    ]
}

/// The command that makes the certificates of the run in the folder `out`.
pub(super) fn certificates(run: &Run, out: &str) -> String {
    let backward = match run.backward_stages() {
        stages if stages.is_empty() => String::new(),
        stages if stages.len() == run.stages() as usize => " --backward all".into(),
        stages => format!(" --backward {}", stages.join(",")),
    };
    format!("coordinator certificates --kubernetes --stages {}{backward} --out {out}", run.stages())
}
