//! `cargo xtask results`: trains every rule, searches the matrix of primitives, and writes both tables into
//! `docs/results.md`. What has been trained already is not trained again.

use crate::release;
use crate::run::{Failure, Root, say, step};
use std::fmt::Display;
use std::fs;
use std::path::Path;

/// The page that the tables stand in.
const PAGE: &str = "docs/results.md";

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
        let found = root.join(&folder).join("results.md");
        if found.exists() {
            put(&root.join(PAGE), name, &found)?;
        }
        ended?;
    }
    say(&format!("both tables stand in {PAGE}"));
    Ok(())
}

/// Replaces what stands between the marks of a table.
fn put(page: &Path, name: &str, table: &Path) -> Result<(), Failure> {
    let fault = |path: &Path, error: &dyn Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(page).map_err(|error| fault(page, &error))?;
    let table = fs::read_to_string(table).map_err(|error| fault(table, &error))?;
    let text = between(&text, name, &table)
        .ok_or_else(|| fault(page, &format!("there are no marks of a table called '{name}'")))?;
    Ok(fs::write(page, text).map_err(|error| fault(page, &error))?)
}

/// `text` with `table` between the marks of `name`; `None` where there are none.
fn between(text: &str, name: &str, table: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let (head, rest) = text.split_once(&begin)?;
    let (_, tail) = rest.split_once(&end)?;
    Some(format!("{head}{begin}\n{}\n\n{end}{tail}", table.trim()))
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let page = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb";
        let once = between(page, "x", "| new |\n").unwrap();
        assert_eq!(once, "a\n<!-- x: begin -->\n\n| new |\n\n<!-- x: end -->\nb");
        assert_eq!(between(&once, "x", "| new |\n").unwrap(), once);
        assert_eq!(between(page, "y", ""), None);
    }
}
