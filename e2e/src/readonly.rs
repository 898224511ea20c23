//! Folders that a program can read and not write, where the machine allows a test to have them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder that is mounted at a second place, read-only there, until the value is dropped.
pub struct Mounted {
    /// The second place.
    pub path: PathBuf,
}

impl Mounted {
    /// Mounts `folder` at `path`; `None` where the machine does not allow it.
    pub fn read_only(folder: &Path, path: &Path) -> Option<Self> {
        fs::create_dir(path).expect("a new folder");
        let mount = |arguments: &[&str], paths: &[&Path]| {
            let output = Command::new("mount").args(arguments).args(paths).output();
            output.is_ok_and(|output| output.status.success())
        };
        if !mount(&["--bind"], &[folder, path]) {
            return None;
        }
        // From here on, dropping `mounted` takes the mount away.
        let mounted = Self { path: path.to_owned() };
        mount(&["-o", "remount,bind,ro"], &[path]).then_some(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).output();
    }
}

/// The words before a command line that run it as another user, for whom all of `folder` can be read; `None` where the
/// machine does not allow it.
pub fn stranger(folder: &Path) -> Option<Vec<String>> {
    // Snapshots are their owner's alone until the owner shares them.
    Command::new("chmod").args(["-R", "a+rX"]).arg(folder).status().expect("the folder is the test's own");
    let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"].map(str::to_owned);
    let program = crate::binary("coordinator");
    let output = Command::new(&words[0]).args(&words[1..]).arg(program).arg("--version").output();
    output.is_ok_and(|output| output.status.success()).then(|| words.to_vec())
}
