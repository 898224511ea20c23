//! Control groups that limit the memory or the cores of the programs under test.

use crate::binary;
use crate::harm::eventually;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A control group with a limit, which is removed when the test ends.
pub struct Cgroup {
    folder: PathBuf,
}

impl Cgroup {
    /// A group that may use so many bytes; `None`, with a printed line, where the machine lets nobody make one.
    pub fn limited(bytes: u64) -> Option<Self> {
        let bytes = bytes.to_string();
        Self::made("memory", [("memory", "memory.limit_in_bytes", &bytes), ("", "memory.max", &bytes)])
    }

    /// A group that may use the time of one core; `None`, with a printed line, where the machine lets nobody make one.
    pub fn of_one_core() -> Option<Self> {
        Self::made("cores", [("cpu", "cpu.cfs_quota_us", "100000"), ("", "cpu.max", "100000 100000")])
    }

    /// A group with the first limit that can be set, each being a tree, a file and its text.
    fn made(what: &str, limits: [(&str, &str, &str); 2]) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("neuropil-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let of_tree = |(tree, file, text): (&str, &str, &str)| {
            let folder = Path::new("/sys/fs/cgroup").join(tree).join(&name);
            fs::create_dir(&folder).ok()?;
            let group = Self { folder };
            fs::OpenOptions::new().write(true).open(group.folder.join(file)).ok()?;
            fs::write(group.folder.join(file), text).ok()?;
            Some(group)
        };
        let group = limits.into_iter().find_map(of_tree);
        if group.is_none() {
            println!("skipped: no control group with a limit on {what} can be made here");
        }
        group
    }

    /// The program `name`, which is going to run within the group.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo $$ > "$0" && exec "$@""#]);
        command.arg(self.folder.join("cgroup.procs")).arg(binary(name));
        command
    }

    /// The name of the group's folder.
    pub fn name(&self) -> String {
        self.folder.file_name().expect("a group has a name").to_string_lossy().into_owned()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A group is busy until its last process is gone.
        if !std::thread::panicking() {
            eventually("the end of the group's processes", || fs::remove_dir(&self.folder).is_ok());
        }
        let _ = fs::remove_dir(&self.folder);
    }
}
