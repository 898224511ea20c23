//! `plan --stage-specs`: the files that pin each node of a run to what it becomes.

use crate::console::remark;
use crate::prepare::{file_stem, nodes};
use crate::record::files::publish;
use crate::report::text::plural;
use crate::run_error::RunError;
use proto::disk::cannot;
use proto::spec::pin::StagePin;
use proto::spec::stage::StageSpec;
use std::fs;
use std::io;
use std::path::Path;

/// Writes the pin of each node of `stages` into `folder`: one for each stage, and one for the half of a split stage that
/// keeps B.
///
/// # Errors
/// A folder or file that cannot be written.
pub(super) fn write(stages: &[StageSpec], folder: &Path) -> Result<(), RunError> {
    let unwritable = |path: &Path, error: &io::Error| {
        RunError::internal(cannot("cannot write", path, error, "give --stage-specs another folder"))
    };
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    let nodes = nodes(stages);
    let mut written = Vec::new();
    for node in &nodes {
        let text = StagePin::text(node).map_err(RunError::configuration)?;
        let name = format!("{}.toml", file_stem(node.role()));
        let file = folder.join(&name);
        publish(&file, text.as_bytes()).map_err(|error| unwritable(&file, &error))?;
        written.push(name);
    }
    remark(format_args!("wrote {} into {}\n", counted(stages.len(), nodes.len()), folder.display()));
    let names = |folder: &Path| {
        let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.collect::<io::Result<Vec<_>>>()
    };
    let found = names(folder).map_err(|error| unwritable(folder, &error))?;
    if let Some(left) = left(found.into_iter().flatten(), &written) {
        remark(format_args!("{} also has {left}\n", folder.display()));
    }
    Ok(())
}

/// The numbers of stages and of backward halves, in words.
fn counted(stages: usize, nodes: usize) -> String {
    let whole = plural(stages as u64, "stage");
    match nodes - stages {
        0 => whole,
        1 => format!("{whole} and 1 backward half"),
        backward => format!("{whole} and {backward} backward halves"),
    }
}

/// The pins among the files `found` that are not `written`, which an earlier configuration left, and what to do.
fn left(found: impl Iterator<Item = String>, written: &[String]) -> Option<String> {
    let mut left: Vec<String> = found.filter(|name| is_pin(name) && !written.contains(name)).collect();
    left.sort_unstable();
    let (last, before) = left.split_last()?;
    let (names, remove) = match before {
        [] => (last.clone(), "remove it"),
        before => (format!("{} and {last}", before.join(", ")), "remove them"),
    };
    Some(format!("{names}, which this configuration has no node for: {remove}"))
}

/// Whether a file's name is that of a node's pin, such as `stage-3.toml` or `stage-3-backward.toml`.
fn is_pin(name: &str) -> bool {
    let node = name.strip_prefix("stage-").and_then(|name| name.strip_suffix(".toml"));
    let stage = node.map(|node| node.strip_suffix("-backward").unwrap_or(node));
    stage.is_some_and(|stage| !stage.is_empty() && stage.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::spec::graph::{Init, LayerSpec, Op, Value};
    use proto::spec::rule::{Coefficients, RuleSpec};
    use proto::spec::stage::Half;

    #[test]
    fn each_half_of_a_split_stage_has_a_file_that_pins_that_half_alone() {
        let rule = RuleSpec::learned("feedback_alignment", false, Coefficients::default());
        let op = Op::Linear { out: 2, bias: false, init: Init::FanIn };
        let layer = LayerSpec { rule, split: true, ..LayerSpec::new("fc", &["below"], op) };
        let inputs = vec![Value { name: "below".into(), shape: vec![3] }];
        let whole = StageSpec { stages: 2, ..StageSpec::alone(vec![layer], inputs) };
        let mut together = StageSpec { index: 1, ..whole.clone() };
        together.layers[0].split = false;
        let folder = tempfile::tempdir().unwrap();
        write(&[whole.clone(), together], folder.path()).unwrap();
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["stage-0-backward.toml", "stage-0.toml", "stage-1.toml"]);
        let pin =
            |name: &str| StagePin::parse(&fs::read_to_string(folder.path().join(name)).unwrap()).unwrap();
        let half = whole.backward_half().unwrap();
        assert_eq!(half.half, Half::Backward);
        assert_eq!(pin("stage-0.toml").check(&whole), Ok(()));
        assert_eq!(pin("stage-0-backward.toml").check(&half), Ok(()));
        assert!(pin("stage-0.toml").check(&half).unwrap_err().contains("'half'"));
        assert!(pin("stage-0-backward.toml").check(&whole).unwrap_err().contains("'half'"));
    }

    #[test]
    fn pins_of_an_earlier_configuration_are_named() {
        let written = ["stage-0.toml".to_owned()];
        let said = |found: &str| left(found.split(' ').map(str::to_owned), &written);
        assert_eq!(said("stage-0.toml notes.toml stage-a.toml stage-0-forward.toml stage-.toml"), None);
        let one = said("stage-0.toml stage-0-backward.toml").unwrap();
        assert_eq!(one, "stage-0-backward.toml, which this configuration has no node for: remove it");
        let three = said("stage-2.toml stage-1.toml stage-1-backward.toml stage-0.toml").unwrap();
        assert!(three.starts_with("stage-1-backward.toml, stage-1.toml and stage-2.toml, which"), "{three}");
        assert!(three.ends_with(": remove them"), "{three}");
        assert_eq!(counted(1, 2), "1 stage and 1 backward half");
        assert_eq!(
            (counted(3, 3), counted(3, 5)),
            ("3 stages".into(), "3 stages and 2 backward halves".into())
        );
    }
}
