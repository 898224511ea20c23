//! A link, from a message in to a checked message out, beside the same bytes without one: over loopback beside TCP, in
//! plaintext and over TLS; and through shared memory between two processes beside one thread that copies.

use super::process::finish;
use super::{Bounds, Row, turns};
use crate::json::numbers;
use crate::release;
use crate::run::{Failure, Root, line, say};
use std::fs;
use std::time::Duration;

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(1800);

/// A bench of links, whose program measures by turns.
pub struct Links {
    /// The word for the bench.
    word: &'static str,
    /// The program, an example of the package `proto`.
    program: &'static str,
    /// The reference, and the key of its rates.
    reference: (&'static str, &'static str),
    /// Floor and goal of a link's rate, as a multiple of the reference's.
    bounds: Bounds,
}

/// The bench of links over loopback.
pub const WIRE: Links =
    Links { word: "wire", program: "bench_wire", reference: ("TCP", "tcp_mb_per_s"), bounds: (0.6, 0.8) };
/// The bench of links through shared memory.
pub const SHARED_MEMORY: Links = Links {
    word: "shared_memory",
    program: "bench_shared_memory",
    reference: ("memcpy", "memcpy_mb_per_s"),
    bounds: (0.5, 0.8),
};

impl Links {
    /// Runs the program, and reads its rates.
    pub fn measure(&self, root: &Root, rounds: usize) -> Result<Vec<Row>, Failure> {
        let program = release::example_of(root, "proto", self.program)?;
        let folder = program.with_file_name(self.program.replace('_', "-"));
        fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let mut bench = root.command(program);
        bench.arg(rounds.to_string());
        say(&line(&bench));
        let printed = finish(&mut bench, LIMIT, &folder.join("bench.log"), |_| ())?;
        let rows = self.rows(&printed);
        _ = fs::remove_dir_all(folder);
        if rows.is_empty() {
            return Err(format!("`{}` printed no rates", line(&bench)).into());
        }
        Ok(rows)
    }

    /// The rows of the cases, in the order in which the program measured them.
    fn rows(&self, printed: &str) -> Vec<Row> {
        let case = |line: &str| Some(line.strip_prefix(r#"{"case":""#)?.split_once('"')?.0.to_owned());
        let mut cases: Vec<String> = printed.lines().filter_map(case).collect();
        cases.dedup();
        let (reference, key) = self.reference;
        let row = |name: String| {
            let own: String = printed.lines().filter(|line| case(line).as_ref() == Some(&name)).collect();
            let [link, other] = ["link_mb_per_s", key].map(|key| numbers(&own, key));
            let compared = format!("{name}: {reference}");
            Row { unit: "MB/s", ..turns::rates(self.word, compared, &link, &other, self.bounds) }
        };
        cases.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rounds_of_a_case_make_one_row() {
        for (links, second) in [(WIRE, "4 MiB, TLS"), (SHARED_MEMORY, "4 MiB")] {
            let (reference, key) = links.reference;
            let line = |case, link, other| {
                format!("{{\"case\":\"{case}\",\"link_mb_per_s\":{link},\"{key}\":{other}}}\n")
            };
            let printed = [line("1 MiB", 80, 100), line("1 MiB", 50, 100), line(second, 30, 40)].concat();
            let rows = links.rows(&(printed + "\ncase ratio\n1 MiB 0.6\n"));
            let read: Vec<_> = rows.iter().map(|row| (row.case.as_str(), row.ratio, row.spread)).collect();
            let [first, second] = ["1 MiB", second].map(|case| format!("{case}: {reference}"));
            assert_eq!(read, [(first.as_str(), 0.65, (0.5, 0.8)), (second.as_str(), 0.75, (0.75, 0.75))]);
        }
    }
}
