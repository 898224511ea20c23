//! The templates in `coordinator/templates/manifests/`, and the files that they make.

use super::order::DataVolume;
use super::run::{Certificate, Node, Run};
use super::{MARK, ManifestFile, VERSION, ports, words};
use askama::Template;

/// Where the coordinator's volume of data is mounted.
pub(super) const DATA_MOUNT: &str = "/data";

/// Declares a template that takes `run`, which is of the given type, and more fields.
macro_rules! template {
    ($name:ident of $run:ty, $path:literal $(, $field:ident: $type:ty)*) => {
        #[derive(Template)]
        #[template(path = $path, escape = "none")]
        struct $name<'a> {
            run: &'a $run,
            $($field: $type,)*
        }
    };
}

pub(super) use template;

template!(Kustomization of Run, "manifests/kustomization.yaml");
template!(RunFile of Run, "manifests/run.yaml");
template!(CoordinatorFile of Run, "manifests/coordinator.yaml", job: String);
template!(CoordinatorPod of Run, "manifests/coordinator-pod.yaml", attempt: bool);
template!(NodeFile of Run, "manifests/node.yaml", node: &'a Node, pod: String);
template!(NodePod of Run, "manifests/node-pod.yaml", node: &'a Node, attempt: bool);
template!(Certificates of Run, "manifests/certificates.yaml", command: String);
template!(CertManagerFile of Run, "manifests/cert-manager.yaml", certificates: Vec<Certificate>);
template!(JobSetComponent of Run, "manifests/component-jobset.yaml");
template!(JobSetFile of Run, "manifests/jobset.yaml", pods: Vec<(&'a Node, String)>, job: String);
template!(ClaimsFile of Run, "manifests/claims.yaml");

#[derive(Template)]
#[template(path = "manifests/coordinator-job.yaml", escape = "none")]
struct CoordinatorJob {
    pod: String,
}

#[derive(Template)]
#[template(path = "manifests/component-cert-manager.yaml", escape = "none")]
struct CertManagerComponent;

#[derive(Template)]
#[template(path = "manifests/gitignore", escape = "none")]
struct GitIgnore;

/// All files of the run; `settings` is the text of `config.toml`.
pub(super) fn files(run: &Run, settings: String) -> askama::Result<Vec<ManifestFile>> {
    let base = base(run, settings)?;
    let components = [certificates(run)?, cert_manager(run)?, jobset(run)?];
    Ok(base.into_iter().chain(components.into_iter().flatten()).collect())
}

fn base(run: &Run, settings: String) -> askama::Result<Vec<ManifestFile>> {
    let mut files = vec![
        file("kustomization.yaml", Kustomization { run })?,
        ManifestFile { path: "config.toml".into(), text: settings },
        file("run.yaml", RunFile { run })?,
        file("coordinator.yaml", CoordinatorFile { run, job: job(run, false)? })?,
    ];
    for node in &run.nodes {
        let pod = NodePod { run, node, attempt: false }.render()?;
        files.push(file(&format!("{}.yaml", node.name), NodeFile { run, node, pod })?);
    }
    Ok(files)
}

/// The component with the Secrets of `coordinator certificates`.
fn certificates(run: &Run) -> askama::Result<Vec<ManifestFile>> {
    let command = words::certificates(run, ".");
    Ok(vec![
        file("certificates/kustomization.yaml", Certificates { run, command })?,
        file("certificates/.gitignore", GitIgnore)?,
    ])
}

/// The component by which cert-manager makes the Secrets.
fn cert_manager(run: &Run) -> askama::Result<Vec<ManifestFile>> {
    let certificates = run.certificates();
    Ok(vec![
        file("cert-manager/kustomization.yaml", CertManagerComponent)?,
        file("cert-manager/certificates.yaml", CertManagerFile { run, certificates })?,
    ])
}

/// The component that turns the run into a JobSet.
fn jobset(run: &Run) -> askama::Result<Vec<ManifestFile>> {
    let pod = |node| Ok((node, NodePod { run, node, attempt: true }.render()?));
    let pods = run.nodes.iter().map(pod).collect::<askama::Result<_>>()?;
    Ok(vec![
        file("jobset/kustomization.yaml", JobSetComponent { run })?,
        file("jobset/claims.yaml", ClaimsFile { run })?,
        file("jobset/jobset.yaml", JobSetFile { run, pods, job: job(run, true)? })?,
    ])
}

/// The specification of the coordinator's Job; `attempt` is for a Job of a JobSet.
fn job(run: &Run, attempt: bool) -> askama::Result<String> {
    let pod = CoordinatorPod { run, attempt }.render()?;
    CoordinatorJob { pod }.render()
}

fn file(path: &str, template: impl Template) -> askama::Result<ManifestFile> {
    Ok(ManifestFile { path: path.into(), text: template.render()? + "\n" })
}
