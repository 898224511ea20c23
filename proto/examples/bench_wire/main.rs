//! Measures a link over loopback, from a message in to a checked message out, beside TCP that carries the same bytes;
//! both in plaintext, or both over TLS with the same cipher. Words: `bench_wire [ROUNDS]`.
//!
//! Both ends of everything run in this process, each end on a runtime of its own, as programs of Neuropil have it.

mod certificates;
mod link;
mod stream;

use std::error::Error;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// What a part of this program returns.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The sizes of a message's tensor, in MiB.
const SIZES: [usize; 3] = [1, 4, 16];
/// The bytes of one measurement, in MiB.
const TOTAL: usize = 256;
/// The messages before those that count: buffers and windows fill.
const WARM: usize = 4;
/// Measurements of each case, if the words name no other number.
const ROUNDS: usize = 5;

/// Both ends.
struct Ends {
    sender: Runtime,
    receiver: Runtime,
}

/// One measurement: messages of this many bytes, first to warm up and then to count.
#[derive(Clone, Copy)]
struct Load {
    bytes: usize,
    count: usize,
}

impl Load {
    fn of(mib: usize) -> Self {
        Self { bytes: mib << 20, count: TOTAL / mib }
    }

    fn messages(self) -> usize {
        WARM + self.count
    }

    /// MB/s, where the messages that count took this long.
    fn rate(self, took: Duration) -> f64 {
        (self.bytes * self.count) as f64 / took.as_secs_f64() / 1e6
    }
}

/// The time from the last message that warms up to the last message.
struct Clock {
    left: usize,
    start: Instant,
}

impl Clock {
    fn new() -> Self {
        Self { left: WARM, start: Instant::now() }
    }

    /// Notes that a message has arrived.
    fn arrived(&mut self) {
        if self.left > 0 {
            self.left -= 1;
            self.start = Instant::now();
        }
    }

    fn took(&self) -> Duration {
        self.start.elapsed()
    }
}

fn main() -> Outcome<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(ROUNDS), |word| word.parse())?;
    let ends = Ends { sender: proto::process::runtime()?, receiver: proto::process::runtime()? };
    let files = certificates::Files::new()?;
    let mut table =
        format!("{:<16} {:>7} {:>13} {:>9} {:>9}  MB/s\n", "case", "ratio", "by round", "link", "TCP");
    for tls in [false, true] {
        for mib in SIZES {
            let case = format!("{mib} MiB{}", if tls { ", TLS" } else { "" });
            let measured = by_turns(&ends, &files, &case, tls, Load::of(mib), rounds)?;
            table += &row(&case, &measured);
        }
    }
    println!("\n{table}");
    Ok(())
}

/// The rates of the link and of TCP, once a round each; every round begins with the other one.
fn by_turns(
    ends: &Ends,
    files: &certificates::Files,
    case: &str,
    tls: bool,
    load: Load,
    rounds: usize,
) -> Outcome<Vec<[f64; 2]>> {
    let link = || link::measure(ends, files.security(tls)?, load);
    let tcp = || stream::measure(ends, tls.then_some(files), load);
    let mut measured = Vec::new();
    for round in 0..rounds {
        let [ours, reference] = match round % 2 {
            0 => [link()?, tcp()?],
            _ => {
                let reference = tcp()?;
                [link()?, reference]
            }
        };
        println!(r#"{{"case":{case:?},"link_mb_per_s":{ours:.1},"tcp_mb_per_s":{reference:.1}}}"#);
        measured.push([ours, reference]);
    }
    Ok(measured)
}

fn row(case: &str, measured: &[[f64; 2]]) -> String {
    let [link, tcp] = [0, 1].map(|of| median(measured.iter().map(|pair| pair[of]).collect()));
    let ratios: Vec<f64> = measured.iter().map(|[link, tcp]| link / tcp).collect();
    let ends = (f64::INFINITY, f64::NEG_INFINITY);
    let (least, most) = ratios.iter().fold(ends, |(least, most), ratio| (ratio.min(least), ratio.max(most)));
    let spread = format!("{least:.3}-{most:.3}");
    format!("{case:<16} {:>7.3} {spread:>13} {link:>9.0} {tcp:>9.0}\n", median(ratios))
}

/// The middle number.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
