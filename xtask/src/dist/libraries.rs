//! The libraries that a program loads and that no Debian has, by what the loader says of it.

use crate::run::{Failure, ending, line, unstartable};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders of the system's own libraries.
const SYSTEM: [&str; 3] = ["/lib/", "/lib64/", "/usr/lib/"];

/// The libraries of a program beyond the system's.
pub fn of(program: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut ldd = Command::new("ldd");
    // The caller's search path is not that of the place where the program is to run.
    let ldd = ldd.env_remove("LD_LIBRARY_PATH").arg(program);
    let output = ldd.output().map_err(|error| unstartable(ldd, &error))?;
    if !output.status.success() {
        return Err(format!("`{}` {}", line(ldd), ending(output.status)).into());
    }
    let found = beyond_system(&String::from_utf8_lossy(&output.stdout));
    Ok(found.map_err(|name| format!("{} needs {name}, which is not found", program.display()))?)
}

/// Checks that a program takes all of these libraries from one folder.
pub fn within(program: &Path, folder: &Path) -> Result<(), Failure> {
    let own = folder.canonicalize().ok();
    match of(program)?.iter().find(|library| library.parent() != own.as_deref()) {
        None => Ok(()),
        Some(other) => {
            Err(format!("{} loads {}, which is not packed", program.display(), other.display()).into())
        }
    }
}

/// The paths in ldd's list beyond the system's, or the name that has none. The list has lines of `name => path
/// (address)`, and lines without an arrow for the loader and for what the kernel brings.
fn beyond_system(list: &str) -> Result<Vec<PathBuf>, String> {
    let mut paths = Vec::new();
    for (name, place) in list.lines().filter_map(|line| line.trim().split_once(" => ")) {
        let path = place.rsplit_once(" (").map_or(place, |(path, _)| path);
        if path == "not found" {
            return Err(name.into());
        }
        if !SYSTEM.iter().any(|folder| path.starts_with(folder)) {
            paths.push(folder_resolved(path));
        }
    }
    Ok(paths)
}

/// The path without the steps up and down of a run path, as in `bin/../lib/x.so`. Of a library that is a link, the name
/// stays that of the link.
fn folder_resolved(path: &str) -> PathBuf {
    let path = PathBuf::from(path);
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    folder.map_or(path.clone(), |folder| folder.join(path.file_name().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::beyond_system;
    use std::path::PathBuf;

    #[test]
    fn the_list_of_the_loader_is_read() {
        let system = "\tlinux-vdso.so.1 (0x7f)\n\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x7f)\n";
        let own = "\tlibx.so => /opt (x)/lib/libx.so (0x7f)\n";
        assert_eq!(
            beyond_system(&format!("{system}{own}\t/lib64/ld-linux-x86-64.so.2 (0x7f)\n")),
            Ok(vec![PathBuf::from("/opt (x)/lib/libx.so")])
        );
        assert_eq!(beyond_system(&format!("{own}\tliby.so => not found\n")), Err("liby.so".into()));
    }
}
