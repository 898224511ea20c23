//! The run: everything from its first start to its finished folder.
//!
//! ```text
//! supervisor (pure) ──commands──▶ drive ──▶ nodes, driver ──▶ recorder ──▶ record: the run's folder
//!        ▲                          │
//!        └─────────events───────────┘
//! ```

mod audited;
mod begin;
mod drive;
mod evaluate;
mod measure;
mod progress;
mod recorder;
mod resume;
pub(crate) mod signals;
mod summary;
mod supervisor;
mod train;

pub use audited::{Audited, audited};
pub use evaluate::{Evaluated, SETTABLE, Which, evaluate};
pub use measure::{Measured, measure};
pub use resume::Resume;
pub use train::{Naming, TrainOptions, train};
