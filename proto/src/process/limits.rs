//! The limits of the system, by the names under which people set them.
//!
//! An error of the system does not say which limit refused: a thread may be refused by the limit on the threads of a
//! user, by the limit of a control group, or by a limit on memory. The files in `/proc` say more.

use crate::host::{Texts, bytes_of, cgroup, number};
use std::fs;
use std::io;
use std::path::Path;

/// EAGAIN: the system makes no more threads or processes.
const AGAIN: i32 = 11;
/// ENOMEM: the system gives no more memory.
const NO_MEMORY: i32 = 12;
/// ENFILE: all processes together have too many files open.
const FILES_OF_ALL: i32 = 23;
/// EMFILE: this process has too many files open.
const FILES: i32 = 24;
/// The address space that a thread takes, with its stack and its heap.
const THREAD: u64 = 16 << 20;

/// An error in brackets, and after a colon the limit behind it with the remedy, if it comes from a limit. The answer
/// holds for this moment, so call this before threads or memory are given back. But close some files first, since
/// reading a limit needs a file.
pub fn behind(error: &io::Error) -> String {
    let limit = explain(error.raw_os_error(), &|path| fs::read_to_string(path).ok());
    limit.map_or_else(|| format!("({error})"), |limit| format!("({error}): {limit}"))
}

/// The limit that forbids more memory, and the remedy.
pub fn of_memory() -> String {
    explain(Some(NO_MEMORY), &|path| fs::read_to_string(path).ok()).unwrap_or_default()
}

/// As [`behind`], where a thread was not made and no error says so.
pub(super) fn behind_threads() -> String {
    behind(&io::Error::from_raw_os_error(AGAIN))
}

/// The limit behind an error of the system, and the remedy; `None` if the error comes from no limit.
fn explain(error: Option<i32>, texts: Texts<'_>) -> Option<String> {
    let limit = |key| number(&texts(Path::new("/proc/self/limits")).unwrap_or_default(), key);
    Some(match error {
        Some(FILES) => match limit("Max open files") {
            Some(files) => format!("`ulimit -n` is {files}: raise it"),
            None => "raise `ulimit -n`".into(),
        },
        Some(FILES_OF_ALL) => {
            "all processes together have too many files open (/proc/sys/fs/file-max)".into()
        }
        Some(AGAIN) => {
            let status = texts(Path::new("/proc/self/status")).unwrap_or_default();
            let taken = bytes_of(&status, "VmSize:").unwrap_or(0);
            let space = limit("Max address space").filter(|space| taken + THREAD > *space);
            match (full_group(texts), space, limit("Max processes")) {
                (Some((file, most)), ..) => {
                    format!("{file} is {most}, for all threads of the control group: raise it")
                }
                (_, Some(space), _) => of_space(space),
                (.., Some(most)) => {
                    format!("`ulimit -u` is {most}, for all threads of this user: raise it")
                }
                _ => "the host makes no more (/proc/sys/kernel/threads-max): end other processes".into(),
            }
        }
        Some(NO_MEMORY) => match limit("Max address space") {
            Some(space) => of_space(space),
            None => "the host has no more memory: end other processes".into(),
        },
        _ => return None,
    })
}

fn of_space(bytes: u64) -> String {
    format!("`ulimit -v` is {} kB: raise it", bytes / 1024)
}

/// The first control group, from that of this process up, that has as many threads as it may: the file with its
/// limit, and the limit.
fn full_group(texts: Texts<'_>) -> Option<(String, u64)> {
    let read = |path: &Path| texts(path)?.trim().parse::<u64>().ok();
    cgroup::of_process(texts, "pids").into_iter().find_map(|(_, folder)| {
        let file = folder.join("pids.max");
        let most = read(&file)?;
        (read(&folder.join("pids.current"))? >= most).then(|| (file.display().to_string(), most))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(error: i32, files: &[(&str, &str)]) -> Option<String> {
        explain(Some(error), &|path| {
            let file = files.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, text)| (*text).to_owned())
        })
    }

    const LIMITS: (&str, &str) = (
        "/proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max processes             12                   40                   processes \n\
         Max open files            9                    20                   files     \n\
         Max address space         409600000            unlimited            bytes     \n",
    );

    #[test]
    fn the_limit_that_is_reached_is_named_as_people_set_it() {
        let small = ("/proc/self/status", "VmSize:\t  200000 kB\n");
        let large = ("/proc/self/status", "VmSize:\t  399000 kB\n");
        let member = ("/proc/self/cgroup", "8:pids:/a/b\n4:memory:/c\n0::/d\n");
        let mounts = (
            "/proc/self/mountinfo",
            "31 23 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
             41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        );
        let of_version_1 = [
            ("/sys/fs/cgroup/pids/a/b/pids.max", "max\n"),
            ("/sys/fs/cgroup/pids/a/pids.max", "30\n"),
            ("/sys/fs/cgroup/pids/a/pids.current", "30\n"),
        ];
        let of_version_2 = [("/sys/fs/cgroup/d/pids.max", "7\n"), ("/sys/fs/cgroup/d/pids.current", "6\n")];
        let user = "`ulimit -u` is 12, for all threads of this user: raise it";
        type Files<'a> = &'a [(&'a str, &'a str)];
        let cases: [(i32, Files<'_>, &str); 9] = [
            (AGAIN, &[LIMITS, small], user),
            (AGAIN, &[LIMITS, large], "`ulimit -v` is 400000 kB: raise it"),
            (NO_MEMORY, &[LIMITS, small], "`ulimit -v` is 400000 kB: raise it"),
            (
                AGAIN,
                &[LIMITS, small, member, mounts, of_version_1[0], of_version_1[1], of_version_1[2]],
                "/sys/fs/cgroup/pids/a/pids.max is 30, for all threads of the control group: raise it",
            ),
            (AGAIN, &[LIMITS, small, member, mounts, of_version_2[0], of_version_2[1]], user),
            (AGAIN, &[small], "the host makes no more (/proc/sys/kernel/threads-max): end other processes"),
            (NO_MEMORY, &[small], "the host has no more memory: end other processes"),
            (FILES, &[LIMITS], "`ulimit -n` is 9: raise it"),
            (FILES, &[], "raise `ulimit -n`"),
        ];
        for (error, files, due) in cases {
            assert_eq!(said(error, files).as_deref(), Some(due), "{error} {files:?}");
        }
        assert_eq!(said(2, &[LIMITS, large]), None, "a file that is not there");
    }
}
