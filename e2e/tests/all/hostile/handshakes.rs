//! Attacks by handshakes: those that stop halfway, and those whose certificate nobody believes.

use e2e::certificates::{Authority, Leaf};
use proto::client;
use proto::link::Peer;
use proto::transport::tls::{Credentials, Security};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

/// Half handshakes that are held at a time.
const HELD: usize = 500;

/// The hello of a client of TLS 1.3.
fn hello() -> Vec<u8> {
    let config = ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let name = ServerName::try_from("host.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// Says hello, has the server make its half of the handshake, and stays silent.
pub fn halve(ports: &[String], until: Instant, count: &AtomicUsize) {
    let mut held = VecDeque::new();
    let hello = hello();
    for port in ports.iter().cycle() {
        if Instant::now() >= until {
            return;
        }
        let Ok(mut socket) = TcpStream::connect(port) else { continue };
        let _ = socket.set_read_timeout(Some(Duration::from_millis(20)));
        if socket.write_all(&hello).is_ok() {
            let _ = socket.read(&mut [0; 4096]);
            count.fetch_add(1, Relaxed);
        }
        held.push_back(socket);
        if held.len() > HELD {
            held.pop_front();
        }
    }
}

/// Makes whole handshakes with a certificate of another CA.
pub fn show_foreign(ports: &[String], until: Instant, count: &AtomicUsize) {
    let folder = tempfile::tempdir().unwrap();
    let files = Authority::new(folder.path()).issue("coordinator", &Leaf::coordinator());
    let (ca, certificate, key) = (files.ca, files.certificate, files.key);
    let security = Security::open(&Credentials { ca, certificate, key }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for port in ports.iter().cycle() {
            if Instant::now() >= until {
                return;
            }
            let dialed = client::Node::dial(&security, &Peer::node(port), Duration::from_millis(500)).await;
            assert!(dialed.is_err(), "nobody believes this certificate");
            count.fetch_add(1, Relaxed);
        }
    });
}
