//! The sentence for a file or folder that a program cannot read or write, with advice that fits the system's error.

use std::io::{self, ErrorKind};
use std::path::Path;

/// Linux's numbers of errors for which [`ErrorKind`] has no stable name.
const EIO: i32 = 5;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ELOOP: i32 = 40;

/// `DOING PATH (ERROR): ADVICE`, where `doing` is such as `cannot write`.
///
/// `elsewhere` says how the user names another place, as in `choose another --run-dir`. It is empty where the command
/// takes no other place.
///
/// # Examples
/// ```
/// use proto::disk::cannot;
/// let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
/// let sentence = cannot("cannot write", "run.json".as_ref(), &full, "choose another --run-dir");
/// assert_eq!(sentence, "cannot write run.json (no storage space): make room there, or choose another --run-dir");
/// ```
pub fn cannot(doing: &str, path: &Path, error: &io::Error, elsewhere: &str) -> String {
    let (here, elsewhere_helps) = advice(error);
    let or =
        if elsewhere_helps && !elsewhere.is_empty() { format!(", or {elsewhere}") } else { String::new() };
    format!("{doing} {} ({error}): {here}{or}", path.display())
}

/// The remedy for an error, and whether another place may help as well.
fn advice(error: &io::Error) -> (&'static str, bool) {
    match (error.kind(), error.raw_os_error()) {
        (_, Some(EMFILE)) => ("raise the limit on open files (ulimit -n)", false),
        (_, Some(ENFILE)) => ("end other programs on this host, which has too many open files", false),
        (ErrorKind::OutOfMemory, _) => ("free memory on this host", false),
        (_, Some(ELOOP)) => ("check the symbolic links in the path, which lead in a circle", true),
        (_, Some(EIO)) => ("check the disk", true),
        (ErrorKind::StorageFull, _) => ("make room there", true),
        (ErrorKind::QuotaExceeded, _) => ("make room there, where this user's quota is used up", true),
        (ErrorKind::FileTooLarge, _) => {
            ("make room there or raise the limit on the size of files (ulimit -f)", true)
        }
        (ErrorKind::ReadOnlyFilesystem, _) => ("mount that file system for writing", true),
        (ErrorKind::PermissionDenied, _) => ("give this user the permission", true),
        (ErrorKind::NotFound, _) => ("check that the path exists", true),
        (ErrorKind::NotADirectory, _) => ("check the path, of which a part is a file and no folder", true),
        (ErrorKind::IsADirectory, _) => ("move away the folder that has this name", true),
        (ErrorKind::AlreadyExists, _) => ("move away what has this name", true),
        (ErrorKind::InvalidData | ErrorKind::Other, _) => ("check what the file holds", true),
        (ErrorKind::InvalidFilename, _) => ("choose a shorter path", true),
        _ => ("check its permissions and its disk", true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_fits_the_error_and_names_no_flag_of_its_own() {
        // The numbers of EACCES, ENOTDIR, EFBIG, ENOSPC, EROFS, ENAMETOOLONG, EDQUOT and EXDEV.
        for (number, here) in [
            (13, "give this user the permission"),
            (20, "of which a part is a file"),
            (27, "make room there or raise"),
            (28, "make room there"),
            (30, "mount that file system for writing"),
            (36, "choose a shorter path"),
            (122, "quota is used up"),
            (EIO, "check the disk"),
            (18, "check its permissions and its disk"),
        ] {
            let said = |elsewhere| {
                cannot("cannot write", Path::new("a/b"), &io::Error::from_raw_os_error(number), elsewhere)
            };
            let sentence = said("give --out another file");
            assert!(sentence.starts_with("cannot write a/b ("), "{sentence}");
            assert!(
                sentence.contains(here) && sentence.ends_with(", or give --out another file"),
                "{sentence}"
            );
            assert!(!said("").contains("--"), "{}", said(""));
        }
        let files = io::Error::from_raw_os_error(EMFILE);
        let sentence = cannot("cannot read", Path::new("a"), &files, "give --run the folder of a run");
        assert!(
            sentence.ends_with(": raise the limit on open files (ulimit -n)"),
            "no other folder helps: {sentence}"
        );
    }
}
