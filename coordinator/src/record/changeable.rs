//! The keys that may change where a run goes on, with what another value changes; and why all others may not.

/// The consequence for a run that goes on with another value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// No bit of the run differs.
    Nothing,
    /// The saved state is cut anew. No bit of the run differs.
    Cut,
    /// The numbers of the steps to come differ from those of a run that kept the value.
    Numbers,
    /// The run ends at another step.
    End,
}

/// The decision about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    /// A run may go on with another value.
    May(Consequence),
    /// A run keeps the value, for this reason.
    Keeps(&'static str),
}

use Consequence::{Cut, End, Nothing, Numbers};
use Row::{Keeps, May};

const SAMPLES: &str = "it decides which samples there are and what the network sees of them";
const STEPS: &str = "it decides the step of every weight, and what the optimizer keeps of the steps before";
const MINIBATCHES: &str = "it decides which samples share an update";
const ARITHMETIC: &str = "it decides the arithmetic of every layer";

/// The decision about each key, or about all keys of a table, whose name then ends in a dot (`layer[` for the network's
/// layers). The longest name that fits counts. A key that is nowhere here is kept.
const ROWS: [(&str, Row); 44] = [
    ("pipeline.stages", May(Cut)),
    ("pipeline.placement", May(Cut)),
    ("pipeline.schedule", May(Nothing)),
    ("pipeline.ahead", May(Nothing)),
    ("pipeline.recompute", May(Nothing)),
    ("train.epochs", May(End)),
    ("train.max_steps", May(End)),
    ("train.evaluate_every", May(Nothing)),
    ("train.loss_scale", May(Numbers)),
    ("network.wire", May(Numbers)),
    ("network.transport", May(Nothing)),
    ("network.wire_block", May(Numbers)),
    ("network.error_feedback", May(Numbers)),
    ("network.connect_deadline", May(Nothing)),
    ("network.message_deadline", May(Nothing)),
    ("node.threads", May(Numbers)),
    ("node.layout", May(Numbers)),
    ("data.path", May(Nothing)),
    ("data.test_limit", May(Nothing)),
    ("data.train", May(Nothing)),
    ("data.test", May(Nothing)),
    ("data.test_labels", May(Nothing)),
    ("data.test_numbering", May(Nothing)),
    ("data.synsets", May(Nothing)),
    ("data.max_broken", May(Nothing)),
    ("data.workers", May(Nothing)),
    ("data.prefetch", May(Nothing)),
    ("snapshot.", May(Nothing)),
    ("metrics.", May(Nothing)),
    ("alarm.", May(Nothing)),
    ("seed", Keeps("it decides the order of the samples and every number that is drawn")),
    ("model.", Keeps("it decides which weights there are")),
    ("layer[", Keeps("it decides which weights there are")),
    ("rule.", Keeps("it decides how B learns, and B is the work of all steps so far")),
    (
        "pipeline.microbatches",
        Keeps("it decides what a norm sees at once, and the order in which gradients are added"),
    ),
    ("pipeline.update_every", Keeps(MINIBATCHES)),
    ("train.batch", Keeps(MINIBATCHES)),
    ("train.remainder", Keeps(MINIBATCHES)),
    ("train.label_smoothing", Keeps("it decides the loss")),
    ("staleness.", Keeps(STEPS)),
    ("optimizer.", Keeps(STEPS)),
    ("optimizer_b.", Keeps(STEPS)),
    ("data.", Keeps(SAMPLES)),
    ("node.", Keeps(ARITHMETIC)),
];

/// The keys that an asynchronous run keeps, beside those that every run keeps.
const OF_ASYNCHRONOUS: [&str; 6] = [
    "pipeline.stages",
    "pipeline.ahead",
    "pipeline.schedule",
    "train.evaluate_every",
    "snapshot.every_steps",
    "snapshot.best",
];
const VERSIONS: &str = "under the schedule `asynchronous` it decides which weights each action sees, by the cut or by the drains";

/// The consequence of another value of `key`; `None` if a run keeps the value. `asynchronous` says whether the run's
/// schedule is asynchronous.
pub fn consequence(key: &str, asynchronous: bool) -> Option<Consequence> {
    match row(key, asynchronous) {
        Some(May(consequence)) => Some(consequence),
        Some(Keeps(_)) | None => None,
    }
}

/// Whether no bit of a run depends on the value of `key`.
pub fn is_free(key: &str, asynchronous: bool) -> bool {
    matches!(consequence(key, asynchronous), Some(Nothing | Cut))
}

/// Why a run keeps the value of `key`: the end of a sentence.
pub fn why_kept(key: &str, asynchronous: bool) -> &'static str {
    match row(key, asynchronous) {
        Some(Keeps(why)) => why,
        Some(May(_)) | None => "it decides the numbers of every step",
    }
}

fn row(key: &str, asynchronous: bool) -> Option<Row> {
    if asynchronous && OF_ASYNCHRONOUS.contains(&key) {
        return Some(Keeps(VERSIONS));
    }
    let fits = |name: &str| key == name || is_table(name) && key.starts_with(name);
    let longest = ROWS.iter().filter(|(name, _)| fits(name)).max_by_key(|(name, _)| name.len());
    longest.map(|(_, row)| *row)
}

/// Whether a name of [`ROWS`] stands for all keys of a table.
fn is_table(name: &str) -> bool {
    name.ends_with(['.', '['])
}

/// Two tables of `docs/configuration.md`: the keys that may change, and those that a run keeps.
pub fn reference() -> String {
    type Lines = Vec<(&'static str, String)>;
    let (mut may, mut keeps) = (Lines::new(), Lines::new());
    let of_asynchronous = OF_ASYNCHRONOUS.map(|name| (name, Keeps(VERSIONS)));
    for (name, row) in ROWS.into_iter().chain(of_asynchronous) {
        let (table, told) = match row {
            May(consequence) => (&mut may, consequence.told()),
            Keeps(why) => (&mut keeps, why),
        };
        match table.iter_mut().find(|(of, _)| *of == told) {
            Some((_, names)) => *names += &format!(", {}", shown(name)),
            None => table.push((told, shown(name))),
        }
    }
    let mut text = String::new();
    for (title, rows) in [("what another value changes", may), ("why a run keeps it", keeps)] {
        text += &format!("| key | {title} |\n|---|---|\n");
        text.extend(rows.iter().map(|(told, names)| format!("| {names} | {told} |\n")));
        text += "\n";
    }
    text
}

/// A name of [`ROWS`] in the reference.
fn shown(name: &str) -> String {
    let table = match name.strip_suffix('[') {
        Some(table) => format!("`[[{table}]]`"),
        None if is_table(name) => format!("`[{}]`", name.trim_end_matches('.')),
        None => return format!("`{name}`"),
    };
    let others = ROWS.iter().any(|(other, _)| *other != name && other.starts_with(name));
    format!("all {}keys of {table}", if others { "other " } else { "" })
}

impl Consequence {
    /// The cell of the reference.
    fn told(self) -> &'static str {
        match self {
            Nothing => "nothing: every bit stays, unless the schedule is `asynchronous`, see the next table",
            Cut => "the cut: the saved state is cut anew, and every bit stays",
            Numbers => {
                "the numbers of the steps to come, which differ from those of a run that kept the value; `train` says so"
            }
            End => "the end of the run, where the steps so far keep their bits",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// The keys of the configuration's reference, without those of a layer.
    fn keys() -> Vec<String> {
        let reference = config::reference();
        let (keys, _) = reference.split_once("### `[[layer]]`").unwrap();
        let name = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
        keys.lines().filter_map(name).collect()
    }

    #[test]
    fn every_key_has_a_row_and_every_row_a_key() {
        let keys = keys();
        assert!(keys.len() > 60, "{keys:?}");
        let undecided: Vec<&String> = keys.iter().filter(|key| row(key, false).is_none()).collect();
        assert!(undecided.is_empty(), "decide in ROWS whether these may change on resume: {undecided:?}");
        for (name, _) in ROWS.iter().filter(|(name, _)| *name != "layer[") {
            assert!(keys.iter().any(|key| key == name || is_table(name) && key.starts_with(name)), "{name}");
        }
    }

    #[test]
    fn the_longest_name_counts() {
        let consequence = |key| super::consequence(key, false);
        let why_kept = |key| super::why_kept(key, false);
        assert_eq!(consequence("data.path"), Some(Nothing));
        assert_eq!((consequence("data.limit"), why_kept("data.limit")), (None, SAMPLES));
        assert_eq!(consequence("metrics.layers_every"), Some(Nothing));
        assert_eq!(consequence("pipeline.stages"), Some(Cut));
        assert_eq!(consequence("train.epochs"), Some(End));
        assert_eq!((consequence("optimizer_b.lr"), why_kept("optimizer_b.lr")), (None, STEPS));
        assert_eq!(why_kept("layer[3].out"), "it decides which weights there are");
        assert_eq!((consequence("of.tomorrow"), why_kept("of.tomorrow")), (None, why_kept("train.epochs")));
    }

    #[test]
    fn an_asynchronous_run_keeps_its_cut_and_its_drains() {
        let keys = keys();
        for key in OF_ASYNCHRONOUS {
            assert!(keys.iter().any(|known| known == key), "{key}");
            assert!(is_free(key, false) && !is_free(key, true), "{key}");
            assert_eq!(why_kept(key, true), VERSIONS);
        }
        assert!(is_free("snapshot.keep_last", true) && is_free("pipeline.placement", true));
    }

    #[test]
    fn the_page_holds_the_lists() {
        config::page("changeable", &reference());
    }
}
