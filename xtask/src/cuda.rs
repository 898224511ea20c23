//! `cargo xtask cuda`: the tests of GPUs, with PyTorch's libraries for CUDA.

use crate::libtorch;
use crate::prerequisites::{self, PIP, PYTHON};
use crate::run::{Failure, Root, step};
use std::env;

/// The variable that names the folder of libraries.
const LIBRARIES: &str = "NEUROPIL_CUDA";

/// Fetches the libraries, unless the caller names a folder, and runs the tests: those of the sentences where there is no
/// driver, and those of training where there is a GPU.
pub fn cuda(root: &Root) -> Result<(), Failure> {
    prerequisites::check(&libtorch::needs(root)?)?;
    libtorch::set_up(root)?;
    let libraries = match env::var_os(LIBRARIES) {
        Some(folder) => folder.into(),
        None => {
            prerequisites::check(&[PYTHON, PIP])?;
            root.script("scripts/libtorch_cuda.py")?;
            root.join("target/cuda/torch/lib")
        }
    };
    step(root.cargo("test --package e2e --test whole gpus:: -- --nocapture").env(LIBRARIES, libraries))
}
