//! The crates of the workspace: their sources, and how they depend on each other.

use super::{Arrow, modules};
use crate::run::{Failure, Root};
use std::path::Path;
use std::{fs, io};

/// The crates that link libtorch; a dependency on them is an arrow as well.
const TORCH: [&str; 2] = ["tch", "torch-sys"];

/// The imports between the files of every crate.
///
/// # Errors
/// Files that cannot be read.
pub fn imports(root: &Root) -> Result<Vec<Arrow>, Failure> {
    let mut imports = Vec::new();
    for name in members(root)? {
        let mut texts = Vec::new();
        sources(&root.join(&name), Path::new("src"), &mut texts)
            .map_err(|error| format!("{name} could not be read: {error}"))?;
        imports.extend(modules::imports(&name, &texts));
    }
    Ok(imports)
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
pub fn dependencies(root: &Root) -> Result<Vec<Arrow>, Failure> {
    let members = members(root)?;
    let mut arrows = Vec::new();
    for from in &members {
        let file = format!("{from}/Cargo.toml");
        let manifest = root.read(&file)?;
        let known = |(to, _): &(&str, _)| members.iter().any(|member| member == to) || TORCH.contains(to);
        arrows.extend(named(&manifest).filter(known).map(|(to, line)| Arrow {
            scope: "workspace".into(),
            from: from.clone(),
            to: to.into(),
            place: format!("{file}:{line}"),
        }));
    }
    Ok(arrows)
}

/// The names in `[dependencies]`, with their lines.
fn named(manifest: &str) -> impl Iterator<Item = (&str, usize)> {
    let lines = manifest.lines().zip(1..).skip_while(|(text, _)| *text != "[dependencies]").skip(1);
    let lines = lines.take_while(|(text, _)| !text.starts_with('['));
    let names = lines.filter_map(|(text, line)| Some((text.split(['.', ' ', '=']).next()?, line)));
    names.filter(|(name, _)| !name.is_empty() && !name.starts_with('#'))
}

/// The crates, each in the folder of its name.
fn members(root: &Root) -> Result<Vec<String>, Failure> {
    let manifest = root.read("Cargo.toml")?;
    let list = manifest.lines().find_map(|line| line.strip_prefix("members = [")?.strip_suffix(']'));
    let list = list.ok_or_else(|| "Cargo.toml has no line `members = [\"…\"]`".to_string())?;
    Ok(list.split(',').map(|name| name.trim().trim_matches('"').to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_those_of_the_program() {
        let manifest = "[package]\nname = \"a\"\n[dependencies]\n# why\nproto.workspace = true\n\n\
                        tch = { version = \"1\" }\n[dev-dependencies]\ne2e = \"1\"";
        assert_eq!(named(manifest).collect::<Vec<_>>(), [("proto", 5), ("tch", 7)]);
    }
}
