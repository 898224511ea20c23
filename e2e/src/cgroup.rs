//! Control groups that limit the memory of the programs under test.

use crate::binary;
use crate::harm::eventually;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A control group with a limit on its memory, which is removed when the test ends.
pub struct Cgroup {
    folder: PathBuf,
}

impl Cgroup {
    /// A group that may use so many bytes; `None`, with a printed line, where the machine lets nobody make one.
    pub fn limited(bytes: u64) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("neuropil-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let trees = [("memory", "memory.limit_in_bytes"), ("", "memory.max")];
        let of_tree = |(tree, file): (&str, &str)| {
            let folder = Path::new("/sys/fs/cgroup").join(tree).join(&name);
            fs::create_dir(&folder).ok()?;
            let group = Self { folder };
            fs::OpenOptions::new().write(true).open(group.folder.join(file)).ok()?;
            fs::write(group.folder.join(file), bytes.to_string()).ok()?;
            Some(group)
        };
        let group = trees.into_iter().find_map(of_tree);
        if group.is_none() {
            println!("skipped: no control group with a limit on memory can be made here");
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
