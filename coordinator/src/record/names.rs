//! The names of the files in the folder of a run or a sweep.

/// The identity of a run.
pub const IDENTITY: &str = "run.json";
/// The resolved configuration of a run.
pub const CONFIG: &str = "config.toml";
/// The training steps.
pub const METRICS: &str = "metrics.jsonl";
/// The evaluations.
pub const EVALUATIONS: &str = "evaluations.jsonl";
/// The newest evaluation, by class.
pub const EVALUATION: &str = "evaluation.json";
/// The run's summary.
pub const SUMMARY: &str = "summary.json";
/// The ledgers of the run's starts.
pub const LEDGER: &str = "ledger.json";
/// The timeline of one step.
pub const TIMELINE: &str = "timeline.json";
/// The report page.
pub const REPORT: &str = "report.html";
/// The settings of a sweep.
pub const SWEEP: &str = "sweep.toml";
