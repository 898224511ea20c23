//! The platform that started the program and asks for the run's progress: Kubeflow Trainer's status server.
//!
//! ```text
//! environment ─▶ server (pure) ─┐
//! step, evaluation ─▶ progress (pure) ─▶ status ─▶ reporter: a task of its own ─▶ post ─▶ HTTPS
//! ```
//!
//! The run hands its newest status over and goes on. The task posts it at most every five seconds, and every failure
//! of the task is a line in the log: the platform can neither fail a run nor slow it.
//!
//! The interface was read in the sources of Kubeflow Trainer (github.com/kubeflow/trainer): the proposal in
//! `docs/proposals/2779-trainjob-progress`, the server in `pkg/statusserver/server.go` (method, path, answers, body of
//! at most 64 KiB), the variables and files in `pkg/runtime/framework/plugins/trainjobstatus`, and the types with their
//! limits in `pkg/apis/trainer/v1alpha1/trainjob_types.go`. Kubeflow's own client is `update_trainjob_status` of
//! github.com/kubeflow/sdk: one status every five seconds, and five seconds for each.

mod post;
mod progress;
mod reporter;
mod server;
mod status;

pub use reporter::Reporter;
pub use server::URL;
