//! A network between two nodes that can fall silent: a node's ports a second time, on another address of loopback.

use crate::Node;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The host of every relay. The nodes themselves listen on 127.0.0.1.
const ELSEWHERE: &str = "127.0.0.2";

/// The bytes that callers sent, and those that they received.
type Recorded = Arc<[Mutex<Vec<u8>>; 2]>;

/// Passes bytes between a node's port and its callers until it falls silent.
pub struct Relay {
    /// The address at which the relay listens.
    pub address: String,
    silent: Arc<AtomicBool>,
    /// `None` where the relay does not record.
    recorded: Option<Recorded>,
}

impl Relay {
    /// A relay to the port of `node` on `plane`, under the same number.
    pub fn to(node: &Node, plane: &str) -> Self {
        Self::open(node, plane, None)
    }

    /// As [`Relay::to`], and records all that passes.
    pub fn recording(node: &Node, plane: &str) -> Self {
        Self::open(node, plane, Some(Arc::default()))
    }

    fn open(node: &Node, plane: &str, recorded: Option<Recorded>) -> Self {
        let target = node.address(plane).to_owned();
        let address = target.replace("127.0.0.1", ELSEWHERE);
        let listener = TcpListener::bind(&address).expect("another address of loopback");
        let silent = Arc::new(AtomicBool::new(false));
        let relay = Self { address, silent: silent.clone(), recorded: recorded.clone() };
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                let Ok(callee) = TcpStream::connect(&target) else { continue };
                let again = |stream: &TcpStream| stream.try_clone().expect("a second handle");
                for (way, (from, to)) in
                    [(again(&caller), again(&callee)), (callee, caller)].into_iter().enumerate()
                {
                    let (silent, recorded) = (silent.clone(), recorded.clone());
                    std::thread::spawn(move || {
                        pass(from, to, &silent, recorded.as_ref().map(|both| &both[way]));
                    });
                }
            }
        });
        relay
    }

    /// From now on no byte comes through, and no connection is closed.
    pub fn fall_silent(&self) {
        self.silent.store(true, Relaxed);
    }

    /// What has passed so far: the bytes that callers sent, and those that they received.
    pub fn recorded(&self) -> [Vec<u8>; 2] {
        let recorded = self.recorded.as_ref().expect("a relay that records");
        recorded.each_ref().map(|bytes| bytes.lock().expect("no thread panics").clone())
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, silent: &AtomicBool, record: Option<&Mutex<Vec<u8>>>) {
    let mut bytes = [0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        while_silent(silent);
        if let Some(record) = record {
            record.lock().expect("no thread panics").extend(&bytes[..count]);
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // A silent network does not tell one end that the other end has closed the connection.
    while_silent(silent);
    let _ = to.shutdown(Shutdown::Both);
}

/// Returns when bytes come through.
fn while_silent(silent: &AtomicBool) {
    while silent.load(Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
    }
}
