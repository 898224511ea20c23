//! A link over loopback, from a message in to a checked message out, beside TCP with the same bytes; then both over TLS.

use super::process::finish;
use super::{Bounds, Row, turns};
use crate::json::numbers;
use crate::release;
use crate::run::{Failure, Root, line, say};
use std::fs;
use std::time::Duration;

/// How long the program may take.
const LIMIT: Duration = Duration::from_secs(1800);
/// Floor and goal of a link's rate, as a multiple of TCP's.
const RATE: Bounds = (0.6, 0.8);

/// Runs the program that measures by turns, and reads its rates.
pub fn wire(root: &Root, rounds: usize) -> Result<Vec<Row>, Failure> {
    let program = release::example_of(root, "proto", "bench_wire")?;
    let folder = program.with_file_name("bench-wire");
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let mut bench = root.command(program);
    bench.arg(rounds.to_string());
    say(&line(&bench));
    let printed = finish(&mut bench, LIMIT, &folder.join("bench.log"), |_| ())?;
    let rows = rows(&printed);
    _ = fs::remove_dir_all(folder);
    if rows.is_empty() {
        return Err(format!("`{}` printed no rates", line(&bench)).into());
    }
    Ok(rows)
}

/// The rows of the cases, in the order in which the program measured them.
fn rows(printed: &str) -> Vec<Row> {
    let case = |line: &str| Some(line.strip_prefix(r#"{"case":""#)?.split_once('"')?.0.to_owned());
    let mut cases: Vec<String> = printed.lines().filter_map(case).collect();
    cases.dedup();
    let row = |name: String| {
        let own: String = printed.lines().filter(|line| case(line).as_ref() == Some(&name)).collect();
        let (link, tcp) = (numbers(&own, "link_mb_per_s"), numbers(&own, "tcp_mb_per_s"));
        Row { unit: "MB/s", ..turns::rates("wire", format!("{name}: TCP"), &link, &tcp, RATE) }
    };
    cases.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn the_rounds_of_a_case_make_one_row() {
        let line = |case, link, tcp| {
            format!("{{\"case\":\"{case}\",\"link_mb_per_s\":{link},\"tcp_mb_per_s\":{tcp}}}\n")
        };
        let printed = [line("1 MiB", 80, 100), line("1 MiB", 50, 100), line("4 MiB, TLS", 30, 40)].concat();
        let rows = rows(&(printed + "\ncase ratio\n1 MiB 0.6\n"));
        let read: Vec<_> = rows.iter().map(|row| (row.case.as_str(), row.ratio, row.spread)).collect();
        assert_eq!(read, [("1 MiB: TCP", 0.65, (0.5, 0.8)), ("4 MiB, TLS: TCP", 0.75, (0.75, 0.75))]);
    }
}
