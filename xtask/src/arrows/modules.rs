//! The modules of a crate by their files, and their imports of each other.

use super::code::{code, without_tests};
use super::paths::{Path, paths};
use super::{Arrow, Place};

/// A crate without its tests.
#[derive(Debug)]
pub struct Crate {
    name: String,
    files: Vec<File>,
}

/// A file with a module.
#[derive(Debug)]
struct File {
    /// The file's path within the repository.
    path: String,
    /// The names that lead to the module; none for `lib.rs` and `main.rs`.
    module: Vec<String>,
    paths: Vec<Path>,
    /// The modules below this file that hold tests.
    tests: Vec<String>,
}

/// The first import of a file by another.
#[derive(Debug, PartialEq)]
pub struct Import {
    /// The file's number.
    pub from: usize,
    /// The other file's number.
    pub to: usize,
    /// The line of the import.
    pub place: Place,
}

impl Crate {
    /// A crate whose files, with their texts, lie in this folder.
    pub fn of_texts(name: &str, folder: &str, texts: &[(impl AsRef<str>, impl AsRef<str>)]) -> Self {
        let file = |(path, text): &(_, _)| File::new(folder, AsRef::as_ref(path), AsRef::as_ref(text));
        let mut files: Vec<File> = texts.iter().map(file).collect();
        let tests: Vec<Vec<String>> = files.iter().flat_map(File::test_modules).collect();
        files.retain(|file| !tests.iter().any(|test| file.module.starts_with(test)));
        Self { name: name.into(), files }
    }

    /// The imports between files, without those of modules above or below the importing file.
    pub fn imports(&self) -> Vec<Import> {
        let mut imports: Vec<Import> = Vec::new();
        for (from, file) in self.files.iter().enumerate() {
            for path in &file.paths {
                let Some(to) = self.target(file, path) else { continue };
                let own = file.module.starts_with(&self.files[to].module)
                    || self.files[to].module.starts_with(&file.module);
                if !own && !imports.iter().any(|import| (import.from, import.to) == (from, to)) {
                    imports.push(Import { from, to, place: file.place(path.line) });
                }
            }
        }
        imports
    }

    /// The imports between top-level modules.
    pub fn arrows(&self) -> impl Iterator<Item = Arrow> {
        self.imports().into_iter().filter_map(|Import { from, to, place }| {
            let top = |file: usize| self.files[file].module.first().cloned();
            let (from, to) = (top(from)?, top(to)?);
            (from != to).then(|| Arrow { scope: self.name.clone(), from, to, place })
        })
    }

    /// The file of the deepest module that a path leads through.
    fn target(&self, file: &File, path: &Path) -> Option<usize> {
        let own_name = self.name.replace('-', "_");
        let (first, mut rest) = path.names.split_first()?;
        let mut module = match first.as_str() {
            "crate" => vec![],
            name if name == own_name => vec![],
            "self" => file.module.clone(),
            "super" => file.module.split_last()?.1.to_vec(),
            _ => return None,
        };
        while let Some((_, after)) = rest.split_first().filter(|(name, _)| *name == "super") {
            module.pop();
            rest = after;
        }
        let mut found = self.file(&module);
        for name in rest {
            module.push(name.clone());
            match self.file(&module) {
                None => break,
                deeper => found = deeper,
            }
        }
        found
    }

    fn file(&self, module: &[String]) -> Option<usize> {
        self.files.iter().position(|file| file.module == module)
    }
}

impl File {
    fn new(folder: &str, path: &str, text: &str) -> Self {
        let names = path.trim_start_matches("src/").trim_end_matches(".rs").split('/');
        let mut module: Vec<String> = names.map(str::to_string).collect();
        if module.last().is_some_and(|name| name == "mod") || module == ["lib"] || module == ["main"] {
            module.pop();
        }
        let (code, tests) = without_tests(&code(text));
        Self { path: format!("{folder}/{path}"), module, paths: paths(&code), tests }
    }

    fn place(&self, line: usize) -> Place {
        Place { file: self.path.clone(), line }
    }

    fn test_modules(&self) -> Vec<Vec<String>> {
        self.tests.iter().map(|name| [self.module.as_slice(), std::slice::from_ref(name)].concat()).collect()
    }
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
        let of = Crate::of_texts("my-crate", "my", &files);
        let found: Vec<_> = of.imports().iter().map(|one| (one.from, one.to, one.place.line)).collect();
        assert_eq!(found, [(2, 3, 1), (3, 1, 3), (3, 2, 3)]);
        let arrows: Vec<_> = of.arrows().map(|arrow| format!("{} -> {}", arrow.from, arrow.to)).collect();
        assert_eq!(arrows, ["a -> c", "c -> a", "c -> a"]);
    }
}
