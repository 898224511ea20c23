//! The speed of a link, in the usual notation: a rate, and perhaps a latency, as in `100Mbit/s,5ms`.

use std::str::FromStr;

use super::{LinkRate, LinkRateError, Rates};

/// The longest latency: a satellite's is a quarter of a second.
const LONGEST: f64 = 10.0;

/// The rate of a link, and its latency for each way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkSpeed {
    rate: LinkRate,
    /// Seconds by which a message arrives after its last byte was sent, if they are known.
    latency: Option<f64>,
}

/// The error for a text that is no speed of a link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkSpeedError {
    /// The first part is no rate.
    #[error(transparent)]
    Rate(#[from] LinkRateError),
    /// The second part is no latency.
    #[error(
        "'{0}' is no latency of a link: give one such as 5ms, 250us or 0.02s, up to {LONGEST} s, for one way"
    )]
    Latency(String),
}

impl LinkSpeed {
    /// The assumed rates, with this speed of links.
    pub fn within(self, rates: Rates) -> Rates {
        Rates { link: self.rate, latency: self.latency.unwrap_or(rates.latency), ..rates }
    }
}

/// Parses a [`LinkRate`], or a rate and a latency with a comma between.
impl FromStr for LinkSpeed {
    type Err = LinkSpeedError;

    fn from_str(text: &str) -> Result<Self, LinkSpeedError> {
        let Some((rate, latency)) = text.split_once(',') else {
            return Ok(Self { rate: text.parse()?, latency: None });
        };
        let unknown = || LinkSpeedError::Latency(latency.trim().to_owned());
        Ok(Self { rate: rate.trim().parse()?, latency: Some(seconds(latency.trim()).ok_or_else(unknown)?) })
    }
}

/// The seconds of a number with a unit.
fn seconds(text: &str) -> Option<f64> {
    let units = [("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("s", 1.0)];
    let (number, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let digits = number.trim_end();
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    let seconds = digits.parse::<f64>().ok().filter(|_| plain)? * unit;
    (seconds <= LONGEST).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<LinkSpeed>().map(|speed| speed.within(Rates::default()));
        let is = |text: &str, rate: &str, latency: f64| {
            let rates = read(text).unwrap();
            assert_eq!((rates.link.to_string().as_str(), rates.latency), (rate, latency), "{text}");
        };
        is("10Gbit/s", "10 Gbit/s", Rates::default().latency);
        is("100Mbit/s,5ms", "100 Mbit/s", 5e-3);
        is("1GB/s, 0.25 s", "8 Gbit/s", 0.25);
        is("1GB/s,250us", "8 Gbit/s", 250.0 * 1e-6);
        is("1GB/s,0ms", "8 Gbit/s", 0.0);
        for bad in [
            "5ms",
            "1GB/s,",
            "1GB/s,5",
            "1GB/s,-5ms",
            "1GB/s,11s",
            "1GB/s,1e1ms",
            "1GB/s,5ms,6ms",
            "1GB/s,.ms",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let said = read("1GB/s,5 minutes").unwrap_err().to_string();
        assert!(
            said.starts_with("'5 minutes' is no latency of a link: give one such as 5ms, 250us"),
            "{said}"
        );
    }
}
