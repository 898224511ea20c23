//! The directions of imports: no two files of a crate import each other in a circle, and crates and their top-level
//! modules import only what ARCHITECTURE.md lists.
//!
//! Sources are read as text. Tests may import any module. An import of a module above the file or below it is no
//! arrow, because a child belongs to its parent.

mod circles;
mod code;
mod listed;
mod modules;
mod paths;
mod workspace;

use crate::run::{Failure, INTERNAL, Root, say};
use listed::Listed;
use modules::Crate;
use std::fmt::{self, Display};
use std::fs;

/// The page that lists the arrows.
const PAGE: &str = "ARCHITECTURE.md";

/// An import, from one module of a crate to another, or from one crate to another.
#[derive(Clone, Debug, PartialEq)]
struct Arrow {
    /// The crate, or `workspace`.
    scope: String,
    from: String,
    to: String,
    /// The first import of this kind.
    place: Place,
}

/// A line of a file, in the form that editors open.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    file: String,
    line: usize,
}

impl Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file, self.line)
    }
}

/// Checks the imports of all crates.
///
/// # Errors
/// When sources cannot be read, or an import is not allowed; every such import is printed as a sentence first.
pub fn check(root: &Root) -> Result<(), Failure> {
    say("the directions of imports");
    let crates = workspace::crates(root)?;
    let page = fs::read_to_string(root.join(PAGE))
        .map_err(|error| Failure::new(INTERNAL, format!("{PAGE} could not be read: {error}")))?;
    let arrows = arrows(root, &crates)?;
    let mut faults: Vec<String> = crates.iter().flat_map(file_circles).collect();
    faults.extend(module_circles(&arrows));
    match Listed::parse(&page) {
        Ok(listed) => faults.extend(listed.compare(&arrows)),
        Err(fault) => faults.push(fault),
    }
    faults.iter().for_each(|fault| println!("{fault}"));
    match faults.len() {
        0 => Ok(()),
        number => {
            let sentence = format!(
                "{number} faults in the directions of imports; `cargo xtask arrows` prints all of them"
            );
            Err(Failure::new(INTERNAL, sentence))
        }
    }
}

/// Prints all arrows as ARCHITECTURE.md lists them.
///
/// # Errors
/// When sources cannot be read.
pub fn print(root: &Root) -> Result<(), Failure> {
    let crates = workspace::crates(root)?;
    print!("{}", Listed::of(&arrows(root, &crates)?));
    Ok(())
}

/// The arrows between crates, and those between the top-level modules of each.
fn arrows(root: &Root, crates: &[Crate]) -> Result<Vec<Arrow>, Failure> {
    let mut arrows = workspace::arrows(root)?;
    arrows.extend(crates.iter().flat_map(Crate::arrows));
    Ok(arrows)
}

/// A sentence for each circle of files.
fn file_circles(of: &Crate) -> Vec<String> {
    let imports = of.imports();
    let edges: Vec<_> = imports.iter().map(|import| (import.from, import.to)).collect();
    let sentence = |circle: Vec<usize>| {
        let places: Vec<_> = circle.iter().map(|&edge| imports[edge].place.to_string()).collect();
        format!("files import each other in a circle: {}", places.join(" -> "))
    };
    circles::circles(&edges).into_iter().map(sentence).collect()
}

/// A sentence for each circle of crates or of top-level modules.
fn module_circles(arrows: &[Arrow]) -> Vec<String> {
    let edges: Vec<_> =
        arrows.iter().map(|arrow| ((&arrow.scope, &arrow.from), (&arrow.scope, &arrow.to))).collect();
    let sentence = |circle: Vec<usize>| {
        let steps = circle.iter().map(|&edge| &arrows[edge]);
        let steps: Vec<_> = steps.map(|arrow| format!("{} ({})", arrow.from, arrow.place)).collect();
        format!("{}: modules import each other in a circle: {}", arrows[circle[0]].scope, steps.join(" -> "))
    };
    circles::circles(&edges).into_iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_of_files_is_found_and_said_with_its_lines() {
        let files = [
            ("src/lib.rs", "pub mod a;\nmod b;"),
            ("src/a.rs", "\nuse crate::b::Thing;"),
            ("src/b/c.rs", "use super::Thing;"),
            ("src/b.rs", "mod c; fn f() { super::a::g() }"),
        ];
        let of = Crate::of_texts("x", "x", &files);
        assert_eq!(file_circles(&of), ["files import each other in a circle: x/src/a.rs:2 -> x/src/b.rs:1"]);
        let modules = module_circles(&of.arrows().collect::<Vec<_>>());
        assert_eq!(
            modules,
            ["x: modules import each other in a circle: a (x/src/a.rs:2) -> b (x/src/b.rs:1)"]
        );
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
        assert!(file_circles(&Crate::of_texts("x", "x", &files)).is_empty());
    }
}
