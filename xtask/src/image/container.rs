//! A program in the image's root file system, started as a container runtime starts it.

use super::dockerfile::Settings;
use crate::hosts::programs::Program;
use crate::run::{Failure, unstartable};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// Mounts the root, read-only, with the devices that every container has, and the folder for state, if there is one; then
/// becomes the program, without leaving its place as PID 1: with the image's environment alone, its user and its folder.
const START: &str = r#"
set -e
root=$1 state=$2 user=$3 folder=$4
shift 4
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 dev "$root/dev"
for device in null zero random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
[ -z "$state" ] || mount --bind "$state" "$root$folder"
mount -o remount,bind,ro "$root"
settings=
while [ "$1" != -- ]; do settings="$settings $1"; shift; done
shift
exec setpriv --no-new-privs env -i $settings chroot --userspec="$user" --groups= "$root" env --chdir="$folder" "$@"
"#;

/// A root file system, and what its image sets.
pub struct Image {
    pub root: PathBuf,
    pub settings: Settings,
}

impl Image {
    /// Starts a program of the image as PID 1, with `state` as its only place to write. Its output goes to the files
    /// `NAME.out` and `NAME.log` in `folder`.
    pub fn start(
        &self,
        words: &[&str],
        state: Option<&Path>,
        folder: &Path,
        name: &str,
    ) -> Result<Container, Failure> {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--pid", "--ipc", "--uts", "--fork", "sh", "-c", START, "start"]);
        unshare.arg(&self.root).arg(state.unwrap_or(Path::new("")));
        unshare.args([&self.settings.user, &self.settings.folder]);
        unshare.args(self.settings.environment.iter().map(|(name, value)| format!("{name}={value}")));
        unshare.arg("--").args(words);
        Ok(Container { program: Program::start(&mut unshare, folder, name)? })
    }
}

/// A program of the image under way, or ended.
pub struct Container {
    /// The process that waits for the container's first one, and ends as that ends.
    pub program: Program,
}

impl Container {
    /// Waits for the end of a program that should succeed, and returns what it printed.
    pub fn succeed(&mut self, limit: Duration) -> Result<String, Failure> {
        self.program.succeed(limit)?;
        self.printed()
    }

    /// What the program has printed.
    pub fn printed(&self) -> Result<String, Failure> {
        let file = &self.program.printed;
        Ok(fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?)
    }

    /// Sends PID 1 SIGTERM, and waits for its end.
    pub fn stop(&mut self, limit: Duration) -> Result<ExitStatus, Failure> {
        self.signal("TERM")?;
        self.program.end(limit)
    }

    /// Sends a signal to the child of `unshare`, which the kernel names among the processes of this machine.
    fn signal(&self, name: &str) -> Result<(), Failure> {
        let file = format!("/proc/{0}/task/{0}/children", self.program.id());
        let children = fs::read_to_string(&file).map_err(|error| format!("cannot read {file}: {error}"))?;
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).args(children.split_whitespace());
        let status = kill.status().map_err(|error| unstartable(&kill, &error))?;
        status.success().then_some(()).ok_or_else(|| format!("there is no process in {file}").into())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // The namespace ends with its first process. After the program's own end there is none.
        if self.program.goes_on().is_ok() {
            _ = self.signal("KILL");
        }
    }
}
