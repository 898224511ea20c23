//! Nodes that are started by hand.

use crate::{binary, leaking_node};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A free port of loopback.
const ANY: &str = "127.0.0.1:0";

/// A layer-node that is started by hand, and killed when the test ends.
pub struct Node {
    /// The process.
    pub child: Child,
    /// The process's first line on stdout.
    pub ready: Value,
}

impl Node {
    /// Starts a node on free ports of loopback.
    pub fn start(state_dir: &Path) -> Self {
        Self::launch(Command::new(binary("layer-node")), state_dir)
    }

    /// As [`Node::start`], with a metrics port.
    pub fn metered(state_dir: &Path) -> Self {
        Self::serve(Command::new(binary("layer-node")), state_dir, [ANY; 3], &["--metrics", ANY])
    }

    /// As [`Node::start`], with so many compute threads.
    pub fn computing(state_dir: &Path, threads: u32) -> Self {
        let threads = threads.to_string();
        Self::serve(Command::new(binary("layer-node")), state_dir, [ANY; 3], &["--threads", &threads])
    }

    /// As [`Node::start`], of a node that becomes only the stage in `file`.
    pub fn pinned(state_dir: &Path, file: &Path) -> Self {
        let file = file.to_str().expect("a path in UTF-8");
        Self::serve(Command::new(binary("layer-node")), state_dir, [ANY; 3], &["--stage-spec", file])
    }

    /// As [`Node::metered`], with a node that leaks a weight in the way `leak`; `to` is the address of a second socket.
    pub fn leaking(state_dir: &Path, leak: &str, to: &str) -> Self {
        let mut command = Command::new(leaking_node());
        command.env("NEUROPIL_LEAK", leak).env("NEUROPIL_LEAK_TO", to);
        Self::serve(command, state_dir, [ANY; 3], &["--metrics", ANY])
    }

    /// As [`Node::start`], with a node that leaks a weight to its backward node, in the way `leak`.
    pub fn leaking_to_backward(state_dir: &Path, leak: &str) -> Self {
        let mut command = Command::new(leaking_node());
        command.env("NEUROPIL_LEAK", leak).env("NEUROPIL_LEAK_OVER", "layer_values");
        Self::launch(command, state_dir)
    }

    /// As [`Node::start`], with `command` in place of the program.
    pub fn launch(command: Command, state_dir: &Path) -> Self {
        Self::serve(command, state_dir, [ANY; 3], &[])
    }

    /// As [`Node::launch`], with as many compute threads as the node takes by itself.
    pub fn by_itself(command: Command, state_dir: &Path) -> Self {
        Self::serve_to(command, state_dir, [ANY; 3], &[], Stdio::null())
    }

    /// Starts a node at the addresses `data`, `control` and `health`.
    pub fn at(state_dir: &Path, addresses: [&str; 3]) -> Self {
        Self::serve(Command::new(binary("layer-node")), state_dir, addresses, &[])
    }

    /// As [`Node::at`], with `command` in place of the program.
    pub fn launch_at(command: Command, state_dir: &Path, addresses: [&str; 3]) -> Self {
        Self::serve(command, state_dir, addresses, &[])
    }

    /// As [`Node::start`], with further flags, and its log in a file beside its state.
    pub fn logged(state_dir: &Path, flags: &[String]) -> Self {
        let log = File::create(Self::log_of(state_dir)).expect("a log");
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let flags = with_threads(&flags);
        Self::serve_to(Command::new(binary("layer-node")), state_dir, [ANY; 3], &flags, log.into())
    }

    /// The file with the log of a node that keeps its state in `state_dir`.
    pub fn log_of(state_dir: &Path) -> PathBuf {
        state_dir.with_extension("log")
    }

    fn serve(command: Command, state_dir: &Path, addresses: [&str; 3], more: &[&str]) -> Self {
        Self::serve_to(command, state_dir, addresses, &with_threads(more), Stdio::null())
    }

    fn serve_to(
        mut command: Command,
        state_dir: &Path,
        addresses: [&str; 3],
        more: &[&str],
        log: Stdio,
    ) -> Self {
        let [data, control, health] = addresses;
        command
            .args(["serve", "--listen", data, "--control", control, "--health", health, "--state-dir"])
            .arg(state_dir)
            .args(more);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("layer-node starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a first line");
        let ready = serde_json::from_str(&line);
        Self {
            child,
            ready: ready.unwrap_or_else(|error| panic!("no JSON on the first line: {error}: {line}")),
        }
    }

    /// The node's address on `plane`: `data`, `control`, `health` or, for a node with a metrics port, `metrics`.
    pub fn address(&self, plane: &str) -> &str {
        self.ready[plane].as_str().expect("an address")
    }
}

/// The flags `more`, and one compute thread if they name no number: the threads decide bits, and local nodes have one.
fn with_threads<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let one = if more.contains(&"--threads") { &[][..] } else { &["--threads", "1"] };
    [more, one].concat()
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
