//! Programs under limits of the system: threads, open files, memory.

use crate::Ended;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A user without processes, so that a limit on the threads of a user counts those of a test alone.
pub struct User(u32);

impl User {
    /// A user of its own for `test`, a number below 100; `None`, with a printed line, where this process cannot start
    /// `program` as another user.
    pub fn of_test(test: u32, program: &Path) -> Option<Self> {
        let user = Self(50_000 + std::process::id() % 100 * 100 + test);
        let mut command = user.command("true", program);
        let can = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let can = can.is_ok_and(|status| status.success());
        if !can {
            println!("skipped: this user cannot start {} as another user", program.display());
        }
        can.then_some(user)
    }

    /// `program` as this user, under the limits that `limits` sets, a line of a shell.
    pub fn command(&self, limits: &str, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        let user = self.0.to_string();
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        shell(&mut command, limits, program);
        command
    }

    /// Gives a folder and what is in it to this user.
    pub fn own(&self, folder: &Path) {
        let user = Some(self.0);
        std::os::unix::fs::chown(folder, user, user).expect("root gives files away");
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            std::os::unix::fs::chown(entry.path(), user, user).expect("root gives files away");
        }
    }
}

/// `program` under the limits that `limits` sets, a line of a shell.
pub fn command(limits: &str, program: &Path) -> Command {
    let mut command = Command::new("env");
    shell(&mut command, limits, program);
    command
}

fn shell(command: &mut Command, limits: &str, program: &Path) {
    command.args(["bash", "-c", &format!(r#"{limits} && exec "$0" "$@""#)]).arg(program);
}

/// A control group of its own that bounds the number of threads; it is removed with the value.
pub struct Group(PathBuf);

impl Group {
    /// A group of at most `threads` threads; `None`, with a printed line, where this process cannot make one.
    pub fn of_threads(threads: usize) -> Option<Self> {
        let name = format!("neuropil-test-{}-{threads}", std::process::id());
        let trees = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(|tree| Path::new(tree).join(&name));
        let made = trees.into_iter().find_map(|folder| {
            fs::create_dir(&folder).ok()?;
            let group = Self(folder);
            fs::write(group.0.join("pids.max"), threads.to_string()).ok().map(|()| group)
        });
        if made.is_none() {
            println!("skipped: this user cannot make a control group for threads");
        }
        made
    }

    /// The line of a shell that enters the group.
    pub fn enter(&self) -> String {
        format!("echo $$ > {}/cgroup.procs", self.0.display())
    }

    /// The file with the limit.
    pub fn file(&self) -> String {
        self.0.join("pids.max").display().to_string()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// The end of `command`, which comes within a minute or with exit code 124.
pub fn ended(command: &mut Command) -> Ended {
    let mut bounded = Command::new("timeout");
    bounded.arg("60").arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        bounded.current_dir(folder);
    }
    bounded.env_remove("NEUROPIL_DATA").env_remove("RUST_LOG").stdin(Stdio::null());
    bounded.output().expect("timeout starts").into()
}
