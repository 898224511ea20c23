//! The list of arrows in ARCHITECTURE.md, against which the imports are checked.
//!
//! ~~~text
//! ```arrows
//! workspace: coordinator -> proto
//! coordinator: cli -> run sweep
//! ```
//! ~~~

use super::{Arrow, PAGE};
use std::collections::{BTreeMap, BTreeSet};

/// The words that open the list.
const OPENING: &str = "```arrows";

/// The list that would allow just these arrows.
pub fn list(arrows: &[Arrow]) -> String {
    let mut modules: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for Arrow { scope, from, to, .. } in arrows {
        modules.entry((scope, from)).or_default().insert(to.as_str());
    }
    let line = |((scope, from), all): (_, BTreeSet<&str>)| {
        format!("{scope}: {from} -> {}\n", Vec::from_iter(all).join(" "))
    };
    format!("{OPENING}\n{}```\n", modules.into_iter().map(line).collect::<String>())
}

/// A sentence for each arrow that the page does not list, and for each that is only listed; or what is wrong with
/// its list.
pub fn compare(page: &str, arrows: &[Arrow]) -> Vec<String> {
    let listed = match parse(page) {
        Ok(listed) => listed,
        Err(fault) => return vec![fault],
    };
    let made: BTreeSet<_> = arrows.iter().map(Arrow::to_string).collect();
    let forbidden = arrows.iter().filter(|arrow| !listed.contains_key(&arrow.to_string()));
    let forbidden = forbidden.map(|arrow| format!("{}: {PAGE} lists no arrow {arrow}", arrow.place));
    let stale = listed.iter().filter(|(arrow, _)| !made.contains(*arrow));
    let stale = stale.map(|(arrow, line)| format!("{PAGE}:{line}: no import makes the arrow {arrow}"));
    forbidden.chain(stale).collect()
}

/// The arrows that a page lists, as they are displayed, with their lines; or why they cannot be read.
fn parse(page: &str) -> Result<BTreeMap<String, usize>, String> {
    let lines = page.lines().zip(1..).skip_while(|(text, _)| *text != OPENING).skip(1);
    let mut modules = BTreeSet::new();
    let mut listed = BTreeMap::new();
    for (text, line) in lines.take_while(|(text, _)| *text != "```") {
        let (module, all) = text
            .split_once(" -> ")
            .filter(|(module, _)| module.contains(": "))
            .ok_or(format!("{PAGE}:{line}: an arrow is written `crate: module -> module module`"))?;
        if !modules.insert(module) {
            return Err(format!("{PAGE}:{line}: this module has a line already"));
        }
        listed.extend(all.split_whitespace().map(|to| (format!("{module} -> {to}"), line)));
    }
    match listed.is_empty() {
        true => Err(format!("{PAGE} lists no arrows: `cargo xtask arrows` prints them")),
        false => Ok(listed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(from: &str, to: &str) -> Arrow {
        Arrow { scope: "x".into(), from: from.into(), to: to.into(), place: "x/src/a.rs:7".into() }
    }

    #[test]
    fn what_is_printed_is_read_and_allows_just_that() {
        let arrows = [arrow("a", "c"), arrow("a", "b"), arrow("b", "c")];
        let page = format!("# Page\n\n{}\nmore", list(&arrows));
        assert_eq!(page.lines().nth(3), Some("x: a -> b c"));
        assert!(compare(&page, &arrows).is_empty());
    }

    #[test]
    fn a_forbidden_arrow_and_a_stale_one_are_sentences() {
        let faults = compare("```arrows\nx: a -> b\n```", &[arrow("b", "a")]);
        let expected = [
            "x/src/a.rs:7: ARCHITECTURE.md lists no arrow x: b -> a",
            "ARCHITECTURE.md:2: no import makes the arrow x: a -> b",
        ];
        assert_eq!(faults, expected);
    }

    #[test]
    fn a_page_without_a_list_is_refused() {
        assert!(parse("# Page").unwrap_err().contains("lists no arrows"));
        let fault = parse("\n```arrows\na -> b\n```").unwrap_err();
        assert!(fault.starts_with("ARCHITECTURE.md:3: an arrow is written"), "{fault}");
    }
}
