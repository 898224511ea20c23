//! Pages with texts that commands put between their marks, above all the tables of `docs/results.md`.

use crate::run::{Failure, Root};
use std::fmt::Display;
use std::fs;
use std::path::Path;

/// The page that the tables stand in.
pub const PAGE: &str = "docs/results.md";

/// Replaces what stands between the marks of a table of [`PAGE`].
pub fn put(root: &Root, name: &str, table: &str) -> Result<(), Failure> {
    put_into(root, PAGE, name, table)
}

/// Replaces what stands between the marks called `name` of a page.
pub fn put_into(root: &Root, page: &str, name: &str, table: &str) -> Result<(), Failure> {
    let page = root.join(page);
    let fault = |path: &Path, error: &dyn Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(&page).map_err(|error| fault(&page, &error))?;
    let text = between(&text, name, table)
        .ok_or_else(|| fault(&page, &format!("there are no marks of a table called '{name}'")))?;
    Ok(fs::write(&page, text).map_err(|error| fault(&page, &error))?)
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
