//! A node's process, for as long as a test needs it.

use proto::link::Peer;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A `layer-node serve` on free ports of loopback.
pub struct Served {
    child: Child,
    /// Its first line on stdout.
    pub ready: serde_json::Value,
    _state: tempfile::TempDir,
}

impl Served {
    /// Starts one.
    pub fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let any = "127.0.0.1:0";
        let mut command = Command::new(env!("CARGO_BIN_EXE_layer-node"));
        command
            .args(["serve", "--listen", any, "--control", any, "--health", any, "--state-dir"])
            .arg(state.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap(), _state: state }
    }

    /// Its address on one of `data`, `control` and `health`.
    pub fn address(&self, plane: &str) -> String {
        self.ready[plane].as_str().unwrap().to_owned()
    }

    /// The same for a call.
    pub fn peer(&self, plane: &str) -> Peer {
        Peer::node(self.address(plane))
    }

    /// The same as a URL.
    pub fn url(&self, plane: &str) -> String {
        format!("http://{}", self.address(plane))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
