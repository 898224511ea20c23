//! A network between two nodes that can fall silent: a node's ports a second time, on another address of loopback.

use crate::Node;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// The host of every relay. The nodes themselves listen on 127.0.0.1.
const ELSEWHERE: &str = "127.0.0.2";

/// Passes bytes between a node's port and its callers until it falls silent.
pub struct Relay {
    /// The address at which the relay listens.
    pub address: String,
    silent: Arc<AtomicBool>,
}

impl Relay {
    /// A relay to the port of `node` on `plane`, under the same number.
    pub fn to(node: &Node, plane: &str) -> Self {
        let target = node.address(plane).to_owned();
        let address = target.replace("127.0.0.1", ELSEWHERE);
        let listener = TcpListener::bind(&address).expect("another address of loopback");
        let silent = Arc::new(AtomicBool::new(false));
        let relay = Self { address, silent: silent.clone() };
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                let Ok(callee) = TcpStream::connect(&target) else { continue };
                let again = |stream: &TcpStream| stream.try_clone().expect("a second handle");
                for (from, to) in [(again(&caller), again(&callee)), (callee, caller)] {
                    let silent = silent.clone();
                    std::thread::spawn(move || pass(from, to, &silent));
                }
            }
        });
        relay
    }

    /// From now on no byte comes through, and no connection is closed.
    pub fn fall_silent(&self) {
        self.silent.store(true, Relaxed);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, silent: &AtomicBool) {
    let mut bytes = [0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        while silent.load(Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
