//! Formatting: words and numbers for people.
//!
//! The templates call these functions, and a template passes a field by reference.

use std::fmt;

/// The text in place of a missing number.
pub const NONE: &str = "–";

/// A name in the configuration as words: `symmetric_alignment` becomes "symmetric alignment".
pub fn words(name: &str) -> String {
    match name {
        "one_f_one_b" => "1F1B".to_owned(),
        name => name.replace('_', " "),
    }
}

/// A number with this many decimals and a unit behind it, or a dash.
pub fn number(value: &Option<f64>, decimals: usize, unit: &str) -> String {
    match value {
        Some(value) if value.is_finite() => format!("{value:.decimals$}{unit}"),
        _ => NONE.to_owned(),
    }
}

/// A fraction in per cent.
pub fn percent(fraction: &Option<f64>) -> String {
    number(&fraction.map(|f| f * 100.0), 1, "%")
}

/// A whole number, with its thousands apart.
pub fn count(value: &u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.char_indices() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A rate, without decimals from 10 on.
pub fn rate(value: &Option<f64>) -> String {
    match value {
        Some(value) if value.is_finite() && *value >= 10.0 => count(&(value.round() as u64)),
        value => number(value, 1, ""),
    }
}

/// Bytes in the unit that leaves one to three digits before the point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub Option<u64>);

impl Bytes {
    /// The bytes in per cent of `most`, for a bar.
    pub fn share(self, most: Self) -> f64 {
        self.0.unwrap_or(0) as f64 / most.0.unwrap_or(0).max(1) as f64 * 100.0
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(value) = self.0 else { return f.write_str(NONE) };
        let (mut scaled, mut units) = (value as f64, ["B", "kB", "MB", "GB", "TB", "PB"].iter());
        let mut unit = units.next().unwrap_or(&"");
        while scaled >= 999.5 {
            let Some(larger) = units.next() else { break };
            (scaled, unit) = (scaled / 1000.0, larger);
        }
        let decimals = usize::from(*unit != "B" && scaled < 99.95);
        write!(f, "{scaled:.decimals$} {unit}")
    }
}

/// A duration in its two largest units.
pub fn duration(seconds: &Option<f64>) -> String {
    let Some(seconds) = seconds.filter(|s| s.is_finite() && *s >= 0.0) else { return NONE.to_owned() };
    let whole = seconds.round() as u64;
    let (hours, minutes) = (whole / 3600, whole / 60 % 60);
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{minutes} min {} s", whole % 60),
        _ => format!("{} h {minutes} min", count(&hours)),
    }
}

/// The number with its noun in the singular or plural: `3 steps`, `1 step`.
pub fn plural(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(&n), if n == 1 { "" } else { "s" })
}
