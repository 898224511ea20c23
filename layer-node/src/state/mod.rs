//! The state on disk, and the commands `digest`, `export` and `import`, which need no run.

pub mod checkpoint;
pub mod digest;
pub mod named;
pub mod state_dir;
pub mod weights;
