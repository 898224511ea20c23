//! The state on disk, which `digest`, `export` and `import` read without a run.

pub mod checkpoint;
pub mod digest;
pub mod named;
pub mod state_dir;
pub mod weights;
