//! The speed of a stage's device, in the usual notation: multiply-adds, and perhaps memory, as in `20TMAC/s,1TB/s`.

use std::str::FromStr;

use super::Rates;

/// The speed of the device on which a stage computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ComputeSpeed {
    macs_per_second: f64,
    /// Bytes per second of its memory, if they are known.
    bytes_per_second: Option<f64>,
}

/// The error for a text that does not give a device's speed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no speed of a device: give one such as 20TMAC/s or 20GMAC/s,5GB/s, multiply-adds and bytes of memory per second"
)]
pub struct ComputeSpeedError(String);

impl ComputeSpeed {
    /// The assumed rates, with this speed of devices.
    pub fn within(self, rates: Rates) -> Rates {
        let bytes_per_second = self.bytes_per_second.unwrap_or(rates.bytes_per_second);
        Rates { macs_per_second: self.macs_per_second, bytes_per_second, ..rates }
    }
}

/// Parses a number of `MAC/s` with a prefix (k, M, G, T), or that and a number of `B/s` with a comma between.
impl FromStr for ComputeSpeed {
    type Err = ComputeSpeedError;

    fn from_str(text: &str) -> Result<Self, ComputeSpeedError> {
        let unknown = || ComputeSpeedError(text.to_owned());
        let (macs, bytes) = text.split_once(',').map_or((text, None), |(macs, bytes)| (macs, Some(bytes)));
        let bytes = bytes.map(|bytes| rate(bytes, "B/s").ok_or_else(unknown)).transpose()?;
        Ok(Self { macs_per_second: rate(macs, "MAC/s").ok_or_else(unknown)?, bytes_per_second: bytes })
    }
}

/// A number above 0 of `unit`, which may have a prefix.
fn rate(text: &str, unit: &str) -> Option<f64> {
    let text = text.trim().strip_suffix(unit)?;
    let prefixes = [("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)];
    let prefix = prefixes.iter().find_map(|(prefix, factor)| Some((text.strip_suffix(prefix)?, *factor)));
    let (digits, factor) = prefix.unwrap_or((text, 1.0));
    let digits = digits.trim_end();
    let plain = digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    digits
        .parse::<f64>()
        .ok()
        .filter(|number| plain && *number > 0.0 && number.is_finite())
        .map(|n| n * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read_as_people_write_them() {
        let usual = Rates::default();
        let is = |text: &str, macs, bytes| {
            let rates = text.parse::<ComputeSpeed>().unwrap().within(usual);
            assert_eq!((rates.macs_per_second, rates.bytes_per_second), (macs, bytes), "{text}");
            assert_eq!((rates.link, rates.latency), (usual.link, usual.latency));
        };
        is("20TMAC/s", 20e12, usual.bytes_per_second);
        is("2.5 GMAC/s, 5GB/s", 2.5e9, 5e9);
        is("1000MAC/s,1kB/s", 1e3, 1e3);
        for bad in
            ["", "20", "TMAC/s", "0TMAC/s", "-1TMAC/s", "1e3MAC/s", "20TMAC/s,", "20TMAC/s,5", "1PMAC/s"]
        {
            assert!(bad.parse::<ComputeSpeed>().is_err(), "{bad}");
        }
    }
}
