//! Removing namespaces and their processes at the end, however this process ends.

use crate::run::{Failure, ending, unstartable};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Waits for the end of its standard input, then ends the processes of each namespace and removes it.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
cat > /dev/null
for namespace in "$@"; do
    for process in $(ip netns pids "$namespace" 2> /dev/null); do kill -KILL "$process" 2> /dev/null; done
    ip netns delete "$namespace" 2> /dev/null
done
for namespace in "$@"; do
    ! ip netns list | grep -q "^$namespace\b" || { echo "$namespace is still there" >&2; exit 1; }
done
"#;

/// A shell that holds a pipe from this process. The kernel closes the pipe when this process ends, also by a signal: a
/// handler of signals would not run after every one of them.
pub struct Janitor(Child);

impl Janitor {
    /// Starts the shell, which will remove these namespaces.
    pub fn start<'a>(namespaces: impl Iterator<Item = &'a String>) -> Result<Self, Failure> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "janitor"]).args(namespaces).stdin(Stdio::piped());
        // An interrupt from the terminal goes to the group of processes in front.
        shell.process_group(0);
        shell.spawn().map(Self).map_err(|error| unstartable(&shell, &error))
    }

    /// Removes the namespaces now.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Failure> {
        drop(self.0.stdin.take());
        match self.0.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the removal of network namespaces {}", ending(status)).into()),
            Err(error) => {
                Err(format!("the removal of network namespaces cannot be watched ({error})").into())
            }
        }
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        // After `finish`, the shell has ended already. After a failure, that failure is what is told.
        _ = self.end();
    }
}
