//! Measures a link through shared memory between two processes, from a message in to a checked message out, beside one
//! thread that copies the same bytes. Words: `bench_shared_memory [ROUNDS]`.
//!
//! A second process of this program is the node (`bench_shared_memory node SOCKET MIB`).

mod link;
mod node;

use link::Load;
use mimalloc::MiMalloc;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

/// As in the programs.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What a part of this program returns.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The sizes of a message's tensor, in MiB.
const SIZES: [usize; 3] = [1, 4, 16];
/// Measurements of each case, if the words name no other number.
const ROUNDS: usize = 5;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["node", socket, mib] => node::serve(socket, Load::of(mib.parse()?)),
        [] => measure(ROUNDS),
        [rounds] => measure(rounds.parse()?),
        _ => Err("the words are: bench_shared_memory [ROUNDS]".into()),
    }
}

fn measure(rounds: usize) -> Outcome<()> {
    let runtime = proto::process::runtime()?;
    let mut table =
        format!("{:<16} {:>7} {:>13} {:>9} {:>9}  MB/s\n", "case", "ratio", "by round", "link", "memcpy");
    for mib in SIZES {
        let (load, case) = (Load::of(mib), format!("{mib} MiB"));
        let measured = by_turns(&case, rounds, [&|| link::measure(&runtime, load), &|| memcpy(load)])?;
        table += &row(&case, &measured);
    }
    println!("\n{table}");
    println!("{}", link::round_trips(&runtime)?);
    Ok(())
}

/// MB/s of one thread that copies the bytes of each message into one buffer.
fn memcpy(load: Load) -> Outcome<f64> {
    let (from, mut to) = (vec![7_u8; load.bytes], vec![0_u8; load.bytes]);
    let mut start = Instant::now();
    for index in 0..load.messages() {
        if index == link::WARM {
            start = Instant::now();
        }
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
    }
    Ok(load.rate(start.elapsed()))
}

/// The rates of both, once a round each; every round begins with the other one.
fn by_turns(case: &str, rounds: usize, rates: [&dyn Fn() -> Outcome<f64>; 2]) -> Outcome<Vec<[f64; 2]>> {
    let mut measured = Vec::new();
    for round in 0..rounds {
        let mut pair = [0.0; 2];
        for of in [round % 2, 1 - round % 2] {
            pair[of] = rates[of]()?;
        }
        let [link, memcpy] = pair;
        println!(r#"{{"case":{case:?},"link_mb_per_s":{link:.1},"memcpy_mb_per_s":{memcpy:.1}}}"#);
        measured.push(pair);
    }
    Ok(measured)
}

fn row(case: &str, measured: &[[f64; 2]]) -> String {
    let [link, memcpy] = [0, 1].map(|of| median(measured.iter().map(|pair| pair[of]).collect()));
    let ratios: Vec<f64> = measured.iter().map(|[link, memcpy]| link / memcpy).collect();
    let ends = (f64::INFINITY, f64::NEG_INFINITY);
    let (least, most) = ratios.iter().fold(ends, |(least, most), ratio| (ratio.min(least), ratio.max(most)));
    let spread = format!("{least:.3}-{most:.3}");
    format!("{case:<16} {:>7.3} {spread:>13} {link:>9.0} {memcpy:>9.0}\n", median(ratios))
}

/// The middle number.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
