//! The crates of the workspace: their sources, and how they depend on each other.

use super::{Arrow, modules};
use crate::run::{Failure, Root};
use std::path::Path;
use std::{fs, io};

/// The crates that link libtorch; a dependency on them is an arrow as well.
const TORCH: [&str; 2] = ["tch", "torch-sys"];

/// The imports between the files of every crate; and the dependencies of crates, outside their tests, on each other
/// and on libtorch. Each crate lies in the folder of its name.
pub fn read(root: &Root) -> Result<(Vec<Arrow>, Vec<Arrow>), Failure> {
    let manifest = root.read("Cargo.toml")?;
    let list = manifest.lines().find_map(|line| line.strip_prefix("members = [")?.strip_suffix(']'));
    let list = list.ok_or_else(|| "Cargo.toml has no line `members = [\"…\"]`".to_string())?;
    let members: Vec<_> = list.split(',').map(|name| name.trim().trim_matches('"')).collect();

    let (mut imports, mut dependencies) = (Vec::new(), Vec::new());
    for from in &members {
        let mut texts = Vec::new();
        sources(&root.join(from), Path::new("src"), &mut texts)
            .map_err(|error| format!("{from} could not be read: {error}"))?;
        imports.extend(modules::imports(from, &texts));
        let file = format!("{from}/Cargo.toml");
        let manifest = root.read(&file)?;
        let known = named(&manifest).filter(|(to, _)| members.contains(to) || TORCH.contains(to));
        dependencies.extend(known.map(|(to, line)| Arrow {
            scope: "workspace".into(),
            from: from.to_string(),
            to: to.into(),
            place: format!("{file}:{line}"),
        }));
    }
    Ok((imports, dependencies))
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

/// The names in `[dependencies]`, with their lines.
fn named(manifest: &str) -> impl Iterator<Item = (&str, usize)> {
    let lines = manifest.lines().zip(1..).skip_while(|(text, _)| *text != "[dependencies]").skip(1);
    let lines = lines.take_while(|(text, _)| !text.starts_with('['));
    let names = lines.filter_map(|(text, line)| Some((text.split(['.', ' ', '=']).next()?, line)));
    names.filter(|(name, _)| !name.is_empty() && !name.starts_with('#'))
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
