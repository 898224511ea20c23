//! `cargo xtask results`: trains every rule, searches the matrix of primitives, and writes both tables into
//! `docs/results.md`. What has been trained already is not trained again.

mod asynchronous;
mod plan;

pub use asynchronous::asynchronous;
pub use plan::plan;

use crate::page::{self, PAGE};
use crate::release;
use crate::run::{Failure, Root, say, step};

/// Fills the page; in the `full` form the table of the demo's whole training, and else that of a short one.
pub fn results(root: &Root, full: bool) -> Result<(), Failure> {
    let (coordinator, data) = release::ready(root)?;
    let (rules, set): (_, &[&str]) = match full {
        true => ("rules-full", &[]),
        false => ("rules-short", &["train.epochs=1", "data.limit=30000"]),
    };
    // The name of a table on the page and of its folder, the sweep that fills it, and what all of its trials set.
    let tables = [(rules, "examples/rules.toml", set), ("primitives", "examples/primitives.toml", &[])];
    for (name, config, set) in tables {
        let folder = format!("runs/results-{name}");
        let mut sweep = root.command(&coordinator);
        sweep.env("NEUROPIL_DATA", &data);
        sweep.args(["sweep", "--local", "--resume", "--config", config, "--run-dir", &folder]);
        set.iter().for_each(|set| _ = sweep.args(["--set", set]));
        let ended = step(&mut sweep);
        let found = format!("{folder}/results.md");
        if root.join(&found).exists() {
            page::put(root, name, &root.read(&found)?)?;
        }
        ended?;
    }
    say(&format!("both tables stand in {PAGE}"));
    Ok(())
}
