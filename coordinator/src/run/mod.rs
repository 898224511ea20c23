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
mod gauge;
mod measure;
mod origin;
mod other_cut;
mod progress;
mod recorder;
mod recut;
mod resume;
pub(crate) mod signals;
mod summary;
mod supervisor;
mod train;

pub use audited::{Audited, audited};
pub use evaluate::{Classified, Evaluated, Order, Which, classify, evaluate, settable};
pub use gauge::gauge;
pub use measure::{Measured, measure};
pub use origin::Origin;
pub(crate) use progress::Progress;
pub use resume::Resume;
pub use train::{Naming, TrainOptions, train};
