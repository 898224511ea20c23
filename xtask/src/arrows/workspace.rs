//! The crates of the workspace, with their sources and their dependencies on each other.

use super::modules::Crate;
use super::{Arrow, Place};
use crate::run::{Failure, INTERNAL, Root};
use std::fs;
use std::io;
use std::path::Path;

/// The crates that link libtorch; a dependency on them is an arrow as well.
const TORCH: [&str; 2] = ["tch", "torch-sys"];

/// The sources of all crates.
///
/// # Errors
/// Files that cannot be read.
pub fn crates(root: &Root) -> Result<Vec<Crate>, Failure> {
    let read = |name: &String| {
        let mut texts = Vec::new();
        sources(&root.join(name), Path::new("src"), &mut texts).map_err(|error| unreadable(name, &error))?;
        Ok(Crate::of_texts(name, name, &texts))
    };
    members(root)?.iter().map(read).collect()
}

/// All Rust files below a folder of a crate, in the order of their names.
fn sources(package: &Path, below: &Path, texts: &mut Vec<(String, String)>) -> io::Result<()> {
    let mut entries = fs::read_dir(package.join(below))?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            sources(package, &path, texts)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            texts.push((path.to_string_lossy().into_owned(), fs::read_to_string(entry.path())?));
        }
    }
    Ok(())
}

/// The dependencies of crates, outside their tests, on the workspace's crates and on libtorch.
///
/// # Errors
/// Files that cannot be read.
pub fn arrows(root: &Root) -> Result<Vec<Arrow>, Failure> {
    let members = members(root)?;
    let mut arrows = Vec::new();
    for from in &members {
        let file = format!("{from}/Cargo.toml");
        let manifest = fs::read_to_string(root.join(&file)).map_err(|error| unreadable(&file, &error))?;
        for (to, line) in dependencies(&manifest) {
            if members.iter().any(|member| member == to) || TORCH.contains(&to) {
                let place = Place { file: file.clone(), line };
                arrows.push(Arrow { scope: "workspace".into(), from: from.clone(), to: to.into(), place });
            }
        }
    }
    Ok(arrows)
}

/// The names in `[dependencies]`, with their lines.
fn dependencies(manifest: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut section = "";
    manifest.lines().zip(1..).filter_map(move |(text, line)| {
        if text.starts_with('[') {
            section = text;
        }
        let name = text.split(['.', ' ', '=']).next().filter(|name| !name.is_empty())?;
        (section == "[dependencies]" && !text.starts_with(['[', '#'])).then_some((name, line))
    })
}

/// The crates, each in the folder of its name.
fn members(root: &Root) -> Result<Vec<String>, Failure> {
    let manifest =
        fs::read_to_string(root.join("Cargo.toml")).map_err(|error| unreadable("Cargo.toml", &error))?;
    let list = manifest.lines().find_map(|line| line.strip_prefix("members = [")?.strip_suffix(']'));
    let list = list.ok_or_else(|| Failure::new(INTERNAL, "Cargo.toml has no line `members = [\"…\"]`"))?;
    Ok(list.split(',').map(|name| name.trim().trim_matches('"').to_string()).collect())
}

fn unreadable(what: &str, error: &io::Error) -> Failure {
    Failure::new(INTERNAL, format!("{what} could not be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_those_of_the_program() {
        let manifest = "[package]\nname = \"a\"\n[dependencies]\n# why\nproto.workspace = true\n\n\
                        tch = { version = \"1\" }\n[dev-dependencies]\ne2e = \"1\"";
        assert_eq!(dependencies(manifest).collect::<Vec<_>>(), [("proto", 5), ("tch", 7)]);
    }
}
