//! The records of a run, in one schema, and the files that hold them.
//!
//! ```text
//! runs/NAME/  run.json (identity), config.toml
//!             metrics.jsonl (Step), evaluations.jsonl (Evaluation), summary.json (Summary)
//!             evaluation.json (Assessment: the newest evaluation, by class)
//!             events.out.tfevents… (curves), trace.json, ledger.json (Starts), report.html, state/
//! ```
//!
//! Every reader of a record (a resumed run, the report page, TensorBoard's curves, a sweep) reads the type that
//! wrote it. A function that cannot write fails with the sentence of [`files::unwritable`].

mod assessment;
mod claim;
mod curves;
mod data_mark;
mod difference;
mod end;
mod evaluation;
pub mod files;
mod folder;
mod identity;
mod invariant;
mod ledger;
pub mod lines;
mod meters;
mod names;
mod newest;
mod past;
mod retention;
mod step;
mod summary;
mod tally;
mod totals;
mod trace;
mod underflow;

pub use assessment::{Assessment, ClassScore, Confusion, printable};
pub use claim::{Claim, Holds, Place, named, no_run, share};
pub use data_mark::DataMark;
pub use end::End;
pub use evaluation::{Evaluation, Pass};
pub use folder::RunFolder;
pub use identity::RunIdentity;
pub use invariant::Invariant;
pub use ledger::Starts;
pub use meters::Meters;
pub use names::{CONFIG, EVALUATION, EVALUATIONS, LEDGER, METRICS, REPORT, SUMMARY, SWEEP};
pub use newest::newest;
pub use past::Past;
pub use step::{BackwardTrace, LayerTrace, StageTrace, Step, TWO_HOSTS};
pub use summary::{LayerSummary, NodeSummary, Summary, label, or_dash, table};
pub use tally::{Counts, Tally};
pub use totals::{BackwardTotal, StageTotal, Totals};
pub use trace::Trace;
pub use underflow::lost;
