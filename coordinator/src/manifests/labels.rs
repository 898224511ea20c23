//! The labels of all objects, as lines of YAML, by the conventions of Kubernetes.

use super::VERSION;

/// The labels of all objects of the run or sweep `name`, by which its pods are selected.
pub(super) fn of_all(name: &str) -> String {
    format!("app.kubernetes.io/name: neuropil\napp.kubernetes.io/instance: \"{name}\"")
}

/// The labels by which the pods of one process are selected.
pub(super) fn selector(name: &str, process: &str) -> String {
    format!("{}\napp.kubernetes.io/component: {process}", of_all(name))
}

/// The labels of an object of one process.
pub(super) fn of(name: &str, process: &str) -> String {
    format!("{}\napp.kubernetes.io/part-of: neuropil", selector(name, process))
}

/// The labels of an object that has the program's version in it.
pub(super) fn versioned(name: &str, process: &str) -> String {
    format!("{}\napp.kubernetes.io/version: \"{VERSION}\"", of(name, process))
}
