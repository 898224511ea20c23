//! The records of a run, in one schema, and the files that hold them.
//!
//! ```text
//! runs/NAME/  run.json (identity), config.toml
//!             metrics.jsonl (Step), evaluations.jsonl (Evaluation), summary.json (Summary)
//!             evaluation.json (Assessment: the newest evaluation, by class)
//!             events.out.tfevents… (curves), timeline.json (StepTimeline), trace.json, ledger.json (Starts), report.html, state/
//! ```
//!
//! Every reader of a record (a resumed run, the report page, TensorBoard's curves, a sweep) reads the type that
//! wrote it. A function that cannot write fails with the sentence of [`files::unwritable`].

mod assessment;
mod changeable;
mod changes;
mod claim;
mod curves;
mod cut;
mod data_mark;
mod difference;
mod drawn;
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
mod rates;
mod retention;
mod start;
mod step;
mod summary;
mod tally;
mod timeline;
mod totals;
mod trace;
mod underflow;

pub use assessment::{Assessment, ClassScore, Confusion, printable};
pub use changeable::{is_free, reference as changeable_keys};
pub use changes::Changes;
pub use claim::{Claim, Holds, Place, named, no_run, share};
pub use curves::hparams;
pub use cut::Cut;
pub use data_mark::DataMark;
pub use difference::{flat, flatten};
pub use drawn::Drawn;
pub use evaluation::{Evaluation, Pass};
pub use folder::RunFolder;
pub use identity::RunIdentity;
pub use invariant::Invariant;
pub use ledger::Starts;
pub use meters::Meters;
pub use names::{
    CONFIG, EVALUATION, EVALUATIONS, IDENTITY, LEDGER, METRICS, REPORT, SUMMARY, SWEEP, TIMELINE,
};
pub use newest::newest;
pub use past::Past;
pub use rates::{Rate, Rates};
pub use start::{How, Start};
pub use step::{BackwardTrace, LayerTrace, StageTrace, Step, TWO_HOSTS};
pub use summary::{LayerSummary, NodeSummary, Summary, label, or_dash, table};
pub use tally::{Counts, Tally};
pub use timeline::{ActionTime, Keeper, Message, ProcessLane, StepTimeline, TaskTime};
pub use totals::{BackwardTotal, StageTotal, Totals};
pub use trace::Trace;
pub use underflow::lost;
