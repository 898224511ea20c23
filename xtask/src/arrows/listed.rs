//! The list of arrows in ARCHITECTURE.md, against which the imports are checked.
//!
//! ~~~text
//! ```arrows
//! workspace: coordinator -> proto
//! coordinator: cli -> run sweep
//! ```
//! ~~~

use super::{Arrow, PAGE, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

/// The words that open the list.
const OPENING: &str = "```arrows";

/// The modules that each module of each scope may import, and the line of the list that allows them.
#[derive(Debug, Default, PartialEq)]
pub struct Listed(BTreeMap<(String, String), (usize, BTreeSet<String>)>);

impl Listed {
    /// Reads the list of a page.
    ///
    /// # Errors
    /// When there is no list, or a line of it cannot be read; the error is a sentence.
    pub fn parse(page: &str) -> Result<Self, String> {
        let lines = page.lines().zip(1..).skip_while(|(line, _)| *line != OPENING).skip(1);
        let mut listed = BTreeMap::new();
        for (text, line) in lines.take_while(|(line, _)| *line != "```") {
            let refuse = |why| format!("{PAGE}:{line}: {why}");
            let parts =
                text.split_once(": ").and_then(|(scope, rest)| Some((scope, rest.split_once(" -> ")?)));
            let (scope, (from, to)) =
                parts.ok_or_else(|| refuse("an arrow is written `crate: module -> module module`"))?;
            let to = to.split_whitespace().map(str::to_string).collect();
            if listed.insert((scope.to_string(), from.to_string()), (line, to)).is_some() {
                return Err(refuse("this module has a line already"));
            }
        }
        if listed.is_empty() {
            return Err(format!("{PAGE} lists no arrows: `cargo xtask arrows` prints them"));
        }
        Ok(Self(listed))
    }

    /// The list that allows exactly these arrows.
    pub fn of(arrows: &[Arrow]) -> Self {
        let mut listed = Self::default();
        for Arrow { scope, from, to, .. } in arrows {
            let (_, all) = listed.0.entry((scope.clone(), from.clone())).or_default();
            all.insert(to.clone());
        }
        listed
    }

    /// A sentence for each arrow that is not listed, and for each listed arrow that does not exist.
    pub fn compare(&self, arrows: &[Arrow]) -> Vec<String> {
        let mut rest = self.0.clone();
        let mut faults = Vec::new();
        for Arrow { scope, from, to, place } in arrows {
            let key = (scope.clone(), from.clone());
            if !self.0.get(&key).is_some_and(|(_, all)| all.contains(to)) {
                faults.push(format!("{place}: {PAGE} lists no arrow {scope}: {from} -> {to}"));
            }
            if let Some((_, all)) = rest.get_mut(&key) {
                all.remove(to);
            }
        }
        for ((scope, from), (line, all)) in rest {
            let place = Place { file: PAGE.into(), line };
            let stale = |to| format!("{place}: no import makes the arrow {scope}: {from} -> {to}");
            faults.extend(all.iter().map(stale));
        }
        faults
    }
}

impl Display for Listed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{OPENING}")?;
        for ((scope, from), (_, all)) in &self.0 {
            let all: Vec<_> = all.iter().map(String::as_str).collect();
            writeln!(out, "{scope}: {from} -> {}", all.join(" "))?;
        }
        writeln!(out, "```")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(from: &str, to: &str) -> Arrow {
        let place = Place { file: "x/src/a.rs".into(), line: 7 };
        Arrow { scope: "x".into(), from: from.into(), to: to.into(), place }
    }

    #[test]
    fn what_is_printed_is_read_and_allows_just_that() {
        let arrows = [arrow("a", "c"), arrow("a", "b"), arrow("b", "c")];
        let page = format!("# Page\n\n{}\nmore", Listed::of(&arrows));
        let listed = Listed::parse(&page).unwrap();
        assert_eq!(page.lines().nth(3), Some("x: a -> b c"));
        assert!(listed.compare(&arrows).is_empty());
    }

    #[test]
    fn a_forbidden_arrow_and_a_stale_one_are_sentences() {
        let listed = Listed::parse("```arrows\nx: a -> b\n```").unwrap();
        let faults = listed.compare(&[arrow("b", "a")]);
        let expected = [
            "x/src/a.rs:7: ARCHITECTURE.md lists no arrow x: b -> a",
            "ARCHITECTURE.md:2: no import makes the arrow x: a -> b",
        ];
        assert_eq!(faults, expected);
    }

    #[test]
    fn a_page_without_a_list_is_refused() {
        assert!(Listed::parse("# Page").unwrap_err().contains("lists no arrows"));
        let fault = Listed::parse("\n```arrows\na -> b\n```").unwrap_err();
        assert!(fault.starts_with("ARCHITECTURE.md:3: an arrow is written"), "{fault}");
    }
}
