//! Scrapes of a metrics port, with a check of every line of the answer.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The samples of one scrape by name and labels, as in `neuropil_node_steps_total{phase="train"}`.
#[derive(Debug, Default)]
pub struct Scrape(BTreeMap<String, f64>);

/// Sends `request` to `address` and returns the whole answer.
pub fn ask(address: &str, request: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Scrapes `address`; an error where the answer is not whole, for example from a process that ends.
pub fn scrape(address: &str) -> std::io::Result<Scrape> {
    let answer = ask(address, b"GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n")?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    Ok(parse(body))
}

/// Reads OpenMetrics text. Every sample belongs to the last announced family, has a suffix of the family's type, and
/// appears once.
fn parse(body: &str) -> Scrape {
    let mut scrape = Scrape::default();
    let (mut family, mut kind) = (String::new(), String::new());
    let body = body.strip_suffix("# EOF\n").expect("the end is marked");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (what, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            match what {
                "HELP" => family = name.to_owned(),
                "TYPE" => kind = rest.to_owned(),
                "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{line}"),
                _ => panic!("{line}"),
            }
            assert_eq!(family, name, "{line}");
            assert!(name.starts_with("neuropil_") || name.starts_with("process_"), "{line}");
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let name = sample.split('{').next().unwrap();
        let suffix = match kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            "gauge" => "",
            _ => panic!("{kind}: {line}"),
        };
        assert_eq!(name, format!("{family}{suffix}"), "{line}");
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert_eq!(scrape.0.insert(sample.to_owned(), value), None, "{line}");
    }
    scrape
}

impl Scrape {
    /// The value of a sample; 0 where the sample is absent, like a counter that has not counted yet.
    pub fn value(&self, sample: &str) -> f64 {
        self.0.get(sample).copied().unwrap_or(0.0)
    }

    /// Whether the scrape has the sample.
    pub fn has(&self, sample: &str) -> bool {
        self.0.contains_key(sample)
    }

    /// The names of all samples, without their labels.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|sample| sample.split('{').next().unwrap_or(sample))
    }

    /// Checks that no counter of `earlier` is greater than in this scrape.
    pub fn follows(&self, earlier: &Scrape) {
        for (sample, value) in earlier.0.iter().filter(|(sample, _)| sample.contains("_total")) {
            assert!(self.value(sample) >= *value, "{sample} went from {value} to {}", self.value(sample));
        }
    }
}
