//! Processes as the containers of a cluster run them, and addresses that outlive a process.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// A user and group without a name, as a cluster chooses them.
const USER: &str = "54321";

/// Addresses of the data, control and health port on `host`, which no connection takes while no process listens there:
/// their numbers are below those that the system gives to connections.
pub fn addresses(host: &str) -> [String; 3] {
    [(); 3].map(|()| {
        loop {
            let number = 10_000 + RandomState::new().hash_one(()) % 20_000;
            let address = format!("{host}:{number}");
            if TcpListener::bind(&address).is_ok() {
                return address;
            }
        }
    })
}

/// `program` with `hosts` in place of the machine's `/etc/hosts`, so that a test decides which names resolve.
pub fn with_hosts(hosts: &Path, program: &Command) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", r#"mount --bind "$0" /etc/hosts && exec "$@""#]).arg(hosts);
    continued(command, program)
}

/// `program` as a container runs it: as the first process of its namespace, and as a user without a name and a home. Of
/// all files it can write those in `folder` only. The process itself is the child of the command's process, and ends with
/// it: the kernel forgets that when the user changes, unless `setpriv` is told to keep it.
pub fn contained(folder: &Path, program: &Command) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"]);
    let mounts = r#"
        mount --bind "$0" "$0" &&
        for place in $(cut -d " " -f 2 /proc/mounts | grep -v -e ^/proc -e ^/sys -e ^/dev -e "^$0"); do
            mount -o remount,bind,ro "$place" || true
        done
        cd "$0" && exec setpriv --reuid UID --regid UID --clear-groups --pdeathsig keep env -i LD_LIBRARY_PATH="$LD_LIBRARY_PATH" "$@"
    "#;
    command.arg(mounts.replace("UID", USER)).arg(folder);
    continued(command, program)
}

/// Gives `folder` to the user of [`contained`] processes.
pub fn give(folder: &Path) {
    let user = USER.parse().ok();
    std::os::unix::fs::chown(folder, user, user).expect("root gives files away");
}

/// Whether this machine runs `wrapped`, a program that ends at once; prints a line if it does not.
pub fn is_possible(mut wrapped: Command) -> bool {
    let ended = wrapped.stdout(Stdio::null()).output();
    let can = ended.as_ref().is_ok_and(|ended| ended.status.success());
    if !can {
        println!("skipped: this machine gives no namespaces to a test: {ended:?}");
    }
    can
}

fn continued(mut command: Command, program: &Command) -> Command {
    command.arg(program.get_program()).args(program.get_args());
    if let Some(folder) = program.get_current_dir() {
        command.current_dir(folder);
    }
    for variable in ["NEUROPIL_DATA", "NEUROPIL_LAYER_NODE", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
