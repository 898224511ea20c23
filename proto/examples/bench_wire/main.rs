//! Measures a link over loopback, from a message in to a checked message out, beside TCP that carries the same bytes;
//! both in plaintext, or both over TLS with the same cipher. Words: `bench_wire [ROUNDS]`.
//!
//! Both ends of everything run in this process, each end on a runtime of its own, as programs of Neuropil have it.

mod certificates;
mod clock;
mod link;
mod stream;

use clock::Measured;
use mimalloc::MiMalloc;
use std::error::Error;
use tokio::runtime::Runtime;

/// As in the programs.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

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

    /// The bytes that count.
    fn counted(self) -> usize {
        self.bytes * self.count
    }
}

fn main() -> Outcome<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(ROUNDS), |word| word.parse())?.max(1);
    let ends = Ends { sender: proto::process::runtime()?, receiver: proto::process::runtime()? };
    let files = certificates::Files::new()?;
    let mut table =
        format!("{:<16} {:>7} {:>13} {:>9} {:>9}  unit\n", "case", "ratio", "by round", "link", "TCP");
    for tls in [false, true] {
        for mib in SIZES {
            let case = format!("{mib} MiB{}", if tls { ", TLS" } else { "" });
            let measured = by_turns(&ends, &files, &case, tls, Load::of(mib), rounds)?;
            table += &rows(&case, &measured);
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
) -> Outcome<Vec<[Measured; 2]>> {
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
        let [a, b] = [ours, reference];
        println!(
            r#"{{"case":{case:?},"link_mb_per_s":{:.1},"tcp_mb_per_s":{:.1},"link_cpu_s_per_gb":{:.3},"tcp_cpu_s_per_gb":{:.3}}}"#,
            a.rate, b.rate, a.cpu, b.cpu
        );
        measured.push([ours, reference]);
    }
    Ok(measured)
}

/// The two lines of a case: by the clock, and by what the processors did.
fn rows(case: &str, measured: &[[Measured; 2]]) -> String {
    let rates: Vec<_> =
        measured.iter().map(|[link, tcp]| [link.rate, tcp.rate, link.rate / tcp.rate]).collect();
    let work: Vec<_> = measured.iter().map(|[link, tcp]| [link.cpu, tcp.cpu, tcp.cpu / link.cpu]).collect();
    row(case, &rates, "MB/s") + &row(case, &work, "CPU s/GB")
}

fn row(case: &str, rounds: &[[f64; 3]], unit: &str) -> String {
    let [link, tcp, ratio] = [0, 1, 2].map(|of| {
        let mut numbers: Vec<f64> = rounds.iter().map(|round| round[of]).collect();
        numbers.sort_by(f64::total_cmp);
        numbers
    });
    let spread = format!("{:.3}-{:.3}", ratio[0], ratio[ratio.len() - 1]);
    let [link, tcp, ratio] = [link, tcp, ratio].map(|numbers| numbers[numbers.len() / 2]);
    format!("{case:<16} {ratio:>7.3} {spread:>13} {link:>9.2} {tcp:>9.2}  {unit}\n")
}
