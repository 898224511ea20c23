//! The rate of a link, in the usual notations: `10Gbit/s`, `1 GB/s`, `100MiB/s`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The share of a link that carries the programs' bytes: a segment of 1448 bytes is 1514 on Ethernet.
const PAYLOAD: f64 = 1448.0 / 1514.0;
/// The bytes that a connection may send before the first acknowledgement: ten segments.
const WINDOW: f64 = 14480.0;

/// A link's rate, above 0 and finite; each direction has the whole rate.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct LinkRate {
    bytes_per_second: f64,
}

/// The error for a text that is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no rate of a link: give one such as 10Gbit/s, 1GB/s or 100MiB/s")]
pub struct LinkRateError(String);

impl LinkRate {
    /// A rate in Gbit/s (10⁹ bits); `None` unless it is above 0 and finite.
    pub fn gbit(rate: f64) -> Option<Self> {
        let bytes_per_second = rate * 1e9 / 8.0;
        (bytes_per_second > 0.0 && bytes_per_second.is_finite()).then_some(Self { bytes_per_second })
    }

    /// The number of seconds for which `bytes` of a connection occupy the link, with TCP's and lower headers.
    pub fn seconds(self, bytes: u64) -> f64 {
        bytes as f64 / self.bytes_per_second / PAYLOAD
    }

    /// The number of seconds for which a connection's first window occupies the link.
    pub fn window(self) -> f64 {
        WINDOW / self.bytes_per_second / PAYLOAD
    }
}

/// The default of 10 Gbit/s.
impl Default for LinkRate {
    fn default() -> Self {
        Self { bytes_per_second: 1.25e9 }
    }
}

/// Parses a number, a prefix (k, M, G, T; Ki, Mi, Gi, Ti), and `bit/s`, `bps` or `B/s`. The case of `b` and `B`
/// matters only where it alone distinguishes bits from bytes.
impl FromStr for LinkRate {
    type Err = LinkRateError;

    fn from_str(text: &str) -> Result<Self, LinkRateError> {
        let unknown = || LinkRateError(text.to_string());
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(unknown)?;
        let number: f64 = text[..split].parse().map_err(|_| unknown())?;
        let unit = text[split..].trim();
        let endings = [("bit/s", 1.0), ("bits/s", 1.0), ("bps", 1.0), ("b/s", 1.0), ("B/s", 8.0)];
        let bits = endings.iter().find_map(|(ending, bits)| Some((unit.strip_suffix(ending)?, bits)));
        let (prefix, bits) = bits.ok_or_else(unknown)?;
        let factor = match prefix {
            "" => 1.0,
            "k" | "K" => 1e3,
            "M" => 1e6,
            "G" => 1e9,
            "T" => 1e12,
            "Ki" => 1024.0,
            "Mi" => 1024.0 * 1024.0,
            "Gi" => 1024.0 * 1024.0 * 1024.0,
            "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            _ => return Err(unknown()),
        };
        LinkRate::gbit(number * factor * bits / 1e9).ok_or_else(unknown)
    }
}

/// Prints the rate in Gbit/s, or in Mbit/s below 1 Gbit/s.
impl fmt::Display for LinkRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mbit = (self.bytes_per_second * 8.0 / 1e3).round() / 1e3;
        if mbit < 1e3 { write!(f, "{mbit} Mbit/s") } else { write!(f, "{} Gbit/s", (mbit).round() / 1e3) }
    }
}

impl Serialize for LinkRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<LinkRate>().map(|rate| rate.to_string());
        let is = |text: &str, rate: &str| assert_eq!(read(text).as_deref(), Ok(rate), "{text}");
        is("10Gbit/s", "10 Gbit/s");
        is("2.5 Gbps", "2.5 Gbit/s");
        is("1GB/s", "8 Gbit/s");
        is("125MB/s", "1 Gbit/s");
        is("100Mb/s", "100 Mbit/s");
        is("1MiB/s", "8.389 Mbit/s");
        assert_eq!(LinkRate::default(), "10Gbit/s".parse().unwrap());
        assert_eq!(LinkRate::default().seconds(1_250_000), 1e-3 / PAYLOAD);
        for bad in [
            "",
            "10",
            "Gbit/s",
            "0Gbit/s",
            "-1Gbit/s",
            "1e9Gbit/s",
            "1Xbit/s",
            "10 Gbit",
            "1.2.3GB/s",
            "infB/s",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
