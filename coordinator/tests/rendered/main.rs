//! Tests of the manifests as a cluster gets them, for what schemas miss: that names, ports, selectors, peers and
//! policies fit each other.
//!
//! `cargo xtask manifests` renders every overlay of `deploy/` by kustomize and names the folder of the results in
//! `NEUROPIL_RENDERED`. Without it the tests read the bases in `deploy/` themselves, and the overlays' own files as far
//! as that goes without kustomize.

mod names;
mod object;
mod overlays;
mod pods;
mod policies;
mod rendering;
mod secrets;
mod source;
