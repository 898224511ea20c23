//! The directions of imports: no two files of a crate import each other in a circle, and crates and their top-level
//! modules import only what ARCHITECTURE.md lists.
//!
//! Sources are read as text. Tests may import any module. An import of a module above the file or below it is no
//! arrow: a child belongs to its parent.

mod code;
mod listed;
mod modules;
mod paths;
mod workspace;

use crate::run::{Failure, Root, say};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Display};

/// The page that lists the arrows.
const PAGE: &str = "ARCHITECTURE.md";

/// An import, from one module of a crate to another, or from one crate to another.
#[derive(Debug)]
struct Arrow {
    /// The crate, or `workspace`.
    scope: String,
    from: String,
    to: String,
    /// File and line of the first import of this kind, as editors take them.
    place: String,
}

impl Display for Arrow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} -> {}", self.scope, self.from, self.to)
    }
}

/// Checks the imports of all crates; each that should not be is printed as a sentence.
pub fn check(root: &Root) -> Result<(), Failure> {
    say("the directions of imports");
    let (imports, arrows) = arrows(root)?;
    let mut faults = file_circles(&imports);
    faults.extend(module_circles(&arrows));
    faults.extend(listed::compare(&root.read(PAGE)?, &arrows));
    faults.iter().for_each(|fault| println!("{fault}"));
    match faults.len() {
        0 => Ok(()),
        number => {
            let sentence = "faults in the directions of imports; `cargo xtask arrows` prints all of them";
            Err(format!("{number} {sentence}").into())
        }
    }
}

/// Prints all arrows as ARCHITECTURE.md lists them.
pub fn print(root: &Root) -> Result<(), Failure> {
    print!("{}", listed::list(&arrows(root)?.1));
    Ok(())
}

/// The imports between files; and as arrows the dependencies of crates, and the imports between top-level modules.
fn arrows(root: &Root) -> Result<(Vec<Arrow>, Vec<Arrow>), Failure> {
    let (imports, mut arrows) = workspace::read(root)?;
    arrows.extend(imports.iter().filter_map(modules::between_tops));
    Ok((imports, arrows))
}

/// A sentence for each circle of files.
fn file_circles(imports: &[Arrow]) -> Vec<String> {
    let sentence = |circle: Vec<&Arrow>| {
        let places: Vec<_> = circle.iter().map(|arrow| arrow.place.as_str()).collect();
        format!("files import each other in a circle: {}", places.join(" -> "))
    };
    circles(imports).into_iter().map(sentence).collect()
}

/// A sentence for each circle of crates or of top-level modules.
fn module_circles(arrows: &[Arrow]) -> Vec<String> {
    let sentence = |circle: Vec<&Arrow>| {
        let steps: Vec<_> = circle.iter().map(|arrow| format!("{} ({})", arrow.from, arrow.place)).collect();
        format!("{}: modules import each other in a circle: {}", circle[0].scope, steps.join(" -> "))
    };
    circles(arrows).into_iter().map(sentence).collect()
}

/// The circles, each the shortest of those through its modules; of circles through the same modules there is one.
fn circles(arrows: &[Arrow]) -> Vec<Vec<&Arrow>> {
    let starts: BTreeSet<_> = arrows.iter().map(|arrow| (&arrow.scope, &arrow.from)).collect();
    let mut found = BTreeMap::new();
    for circle in starts.into_iter().filter_map(|(scope, start)| shortest(scope, start, arrows)) {
        let modules: BTreeSet<_> = circle.iter().map(|arrow| (&arrow.scope, &arrow.from)).collect();
        found.entry(modules).or_insert(circle);
    }
    found.into_values().collect()
}

/// The shortest way from a module back to it.
fn shortest<'a>(scope: &str, start: &str, arrows: &'a [Arrow]) -> Option<Vec<&'a Arrow>> {
    let mut ways = VecDeque::from([(start, Vec::new())]);
    let mut seen = BTreeSet::new();
    while let Some((module, way)) = ways.pop_front() {
        for arrow in arrows.iter().filter(|arrow| arrow.scope == scope && arrow.from == module) {
            let way = [way.as_slice(), &[arrow]].concat();
            if arrow.to == start {
                return Some(way);
            }
            if seen.insert(&arrow.to) {
                ways.push_back((arrow.to.as_str(), way));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use modules::{between_tops, imports};

    #[test]
    fn every_circle_is_found_once() {
        let found = |edges: &[(&str, &str)]| -> Vec<Vec<usize>> {
            let arrow = |(at, &(from, to)): (usize, &(&str, &str))| Arrow {
                scope: "x".into(),
                from: from.into(),
                to: to.into(),
                place: at.to_string(),
            };
            let arrows: Vec<_> = edges.iter().enumerate().map(arrow).collect();
            let places =
                |circle: Vec<&Arrow>| circle.iter().map(|arrow| arrow.place.parse().unwrap()).collect();
            circles(&arrows).into_iter().map(places).collect()
        };
        assert!(found(&[("a", "b"), ("b", "c"), ("a", "c")]).is_empty());
        let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("b", "a"), ("d", "e"), ("e", "d"), ("d", "d")];
        assert_eq!(found(&edges), [vec![0, 3], vec![2, 0, 1], vec![6], vec![5, 4]]);
    }

    #[test]
    fn a_circle_of_files_is_found_and_said_with_its_lines() {
        let files = [
            ("src/lib.rs", "pub mod a;\nmod b;"),
            ("src/a.rs", "\nuse crate::b::Thing;"),
            ("src/b/c.rs", "use super::Thing;"),
            ("src/b.rs", "mod c; fn f() { super::a::g() }"),
        ];
        let imports = imports("x", &files);
        let expected = ["files import each other in a circle: x/src/a.rs:2 -> x/src/b.rs:1"];
        assert_eq!(file_circles(&imports), expected);
        let arrows: Vec<_> = imports.iter().filter_map(between_tops).collect();
        let expected = ["x: modules import each other in a circle: a (x/src/a.rs:2) -> b (x/src/b.rs:1)"];
        assert_eq!(module_circles(&arrows), expected);
    }

    #[test]
    fn parents_children_and_tests_make_no_circle() {
        let files = [
            ("src/lib.rs", "mod a; use a::b::B;"),
            ("src/a/mod.rs", "mod b; mod c; use self::b::B; #[cfg(test)] mod tests;"),
            ("src/a/b.rs", "use super::A; use super::c::C;"),
            ("src/a/c.rs", "#[cfg(test)]\nmod tests { use super::super::b::B; }"),
            ("src/a/tests.rs", "use super::{b, c}; use crate::a::b::B;"),
        ];
        assert!(file_circles(&imports("x", &files)).is_empty());
    }
}
