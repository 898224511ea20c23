//! The modules of a crate, by their files, and their imports of each other.

use super::Arrow;
use super::code::{code, without_tests};
use super::paths::paths;

/// The root of a crate's modules, in `lib.rs` and `main.rs`.
const TOP: &str = "crate";

/// A file that is no test.
struct File {
    /// Within the repository.
    place: String,
    /// The module that it holds, `crate::a::b`.
    module: String,
    /// The paths in it, with their lines.
    paths: Vec<(String, usize)>,
}

/// The imports between the files of a crate, as arrows from module to module, but for those of modules above or
/// below the file. The files lie in the folder of the crate's name, and come with their texts.
pub fn imports<S: AsRef<str>>(name: &str, texts: &[(S, S)]) -> Vec<Arrow> {
    let (mut files, mut tests) = (Vec::new(), Vec::new());
    for (path, text) in texts {
        let module = module(path.as_ref());
        let (code, test_modules) = without_tests(&code(text.as_ref()));
        tests.extend(test_modules.iter().map(|test| format!("{module}::{test}")));
        files.push(File { place: format!("{name}/{}", path.as_ref()), module, paths: paths(&code) });
    }
    files.retain(|file| !tests.iter().any(|test| holds(test, &file.module)));

    let own_name = name.replace('-', "_");
    let mut imports: Vec<Arrow> = Vec::new();
    for File { place, module: from, paths } in &files {
        for (path, line) in paths {
            let Some(to) = target(path, from, &own_name, &files) else { continue };
            let family = holds(from, to) || holds(to, from);
            if !family && !imports.iter().any(|import| import.from == *from && import.to == to) {
                let (scope, place) = (name.into(), format!("{place}:{line}"));
                imports.push(Arrow { scope, from: from.clone(), to: to.into(), place });
            }
        }
    }
    imports
}

/// An import as an arrow between top-level modules, unless both of its ends lie in the same one.
pub fn between_tops(Arrow { scope, from, to, place }: &Arrow) -> Option<Arrow> {
    let top = |module: &str| module.split("::").nth(1).map(str::to_string);
    let (from, to) = (top(from)?, top(to)?);
    (from != to).then(|| Arrow { scope: scope.clone(), from, to, place: place.clone() })
}

/// The module that a file holds.
fn module(path: &str) -> String {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    match path.strip_suffix("/mod").unwrap_or(path) {
        "lib" | "main" => TOP.into(),
        path => format!("{TOP}::{}", path.replace('/', "::")),
    }
}

/// Whether a module is the other one or lies above it.
fn holds(above: &str, below: &str) -> bool {
    below.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The deepest module that a path in the module `from` leads through.
fn target<'a>(path: &str, from: &str, own_name: &str, files: &'a [File]) -> Option<&'a str> {
    let (first, rest) = path.split_once("::").unwrap_or((path, ""));
    let path = match first {
        "self" | "super" => format!("{from}::{path}"),
        _ if first == TOP || first == own_name => format!("{TOP}::{rest}"),
        _ => return None,
    };
    let mut names = Vec::new();
    for name in path.split("::") {
        match name {
            "super" => _ = names.pop(),
            "self" => {}
            name => names.push(name),
        }
    }
    let modules = (1..=names.len()).rev().map(|length| names[..length].join("::"));
    let mut found = modules.filter_map(|module| files.iter().find(|file| file.module == module));
    found.next().map(|file| file.module.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_lead_to_files() {
        let files = [
            ("src/main.rs", "use my_crate::a;"),
            ("src/a/mod.rs", "pub mod b; pub struct A;"),
            ("src/a/b.rs", "use crate::c::f; fn g() { super::super::c::f() }"),
            ("src/c.rs", "\n\nuse crate::{a::{A, b::B}, d}; use other::a;"),
        ];
        let imports = imports("my-crate", &files);
        let found = |import: &Arrow| format!("{} -> {} in {}", import.from, import.to, import.place);
        let expected = [
            "crate::a::b -> crate::c in my-crate/src/a/b.rs:1",
            "crate::c -> crate::a in my-crate/src/c.rs:3",
            "crate::c -> crate::a::b in my-crate/src/c.rs:3",
        ];
        assert_eq!(imports.iter().map(found).collect::<Vec<_>>(), expected);
        let arrows: Vec<_> = imports.iter().filter_map(between_tops).map(|arrow| arrow.to_string()).collect();
        assert_eq!(arrows, ["my-crate: a -> c", "my-crate: c -> a", "my-crate: c -> a"]);
    }
}
