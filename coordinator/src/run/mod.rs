//! A run, from its configuration to its folder.
//!
//! ```text
//! Config ─prepare─▶ Prepared (data, network, stages, lanes) ─course─▶ what to do, in order
//!                                                              │
//!                       runs/NAME ◀─recorder── events ◀── driver
//! ```

mod alarm;
mod course;
mod drive;
mod evaluate;
mod evaluation;
mod events;
pub(crate) mod folder;
pub(crate) mod interrupt;
mod keep;
mod lines;
mod measure;
mod meters;
mod place;
mod prepare;
mod progress;
mod recorder;
mod resume;
mod summary;
mod trace;
mod train;

pub use evaluate::{Evaluate, Which, evaluate};
pub use folder::RunFolder;
pub use measure::{Measured, measure};
pub use place::Placement;
pub use prepare::Prepared;
pub use prepare::{cut, estimator};
pub use resume::Resume;
pub use summary::Summary;
pub use train::{Naming, TrainOptions, train};
