//! The range of a key in a sweep: a list of values, or all numbers between two bounds.

use serde::{Deserialize, Serialize};
use toml::Value;

/// The values that a sweep tries for one key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Range {
    /// One of the listed values.
    Values(Vec<Value>),
    /// A number from `low` to `high`.
    Span {
        /// The lower bound.
        low: f64,
        /// The upper bound.
        high: f64,
        /// The scale on which numbers are spread evenly.
        scale: Scale,
        /// The number of points of a grid, both bounds included.
        points: Option<u32>,
    },
}

/// The quantity that is spread evenly over a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// The number itself.
    #[default]
    Linear,
    /// Its logarithm.
    Log,
}

/// A range in the form of the file.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    values: Option<Vec<Value>>,
    low: Option<f64>,
    high: Option<f64>,
    scale: Option<Scale>,
    points: Option<u32>,
}

impl TryFrom<Written> for Range {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written { values: Some(values), low: None, high: None, scale: None, points: None } => {
                if values.is_empty() { Err("values is empty".into()) } else { Ok(Range::Values(values)) }
            }
            Written { values: None, low: Some(low), high: Some(high), scale, points } => {
                let scale = scale.unwrap_or_default();
                if !(low.is_finite() && high.is_finite() && low < high) {
                    return Err(format!("low = {low} must be below high = {high}"));
                }
                if scale == Scale::Log && low <= 0.0 {
                    return Err(format!("low = {low} must be above 0 on the scale \"log\""));
                }
                if points.is_some_and(|points| !(2..=1000).contains(&points)) {
                    return Err("points must be from 2 to 1000".into());
                }
                Ok(Range::Span { low, high, scale, points })
            }
            _ => Err("a range is { values = […] } or { low = …, high = … }, the latter with scale (\"linear\" or \"log\") and points where you like".into()),
        }
    }
}

impl From<Range> for Written {
    fn from(range: Range) -> Self {
        match range {
            Range::Values(values) => Written { values: Some(values), ..Written::default() },
            Range::Span { low, high, scale, points } => {
                Written { low: Some(low), high: Some(high), scale: Some(scale), points, ..Written::default() }
            }
        }
    }
}

impl Range {
    /// The reason why a key cannot be tried on this range: the range holds no value, or a `grid` would try a value
    /// twice. If `whole` is set, the key takes whole numbers only.
    pub fn fault(&self, whole: bool, grid: bool) -> Option<String> {
        match self {
            Range::Span { low, high, .. } if whole && low.ceil() > high.floor() => {
                return Some(format!("takes whole numbers, and there is none from {low} to {high}"));
            }
            _ => {}
        }
        let points = self.grid_size().filter(|_| grid)?;
        let values: Vec<Value> = (0..points).map(|index| self.value(self.grid_point(index), whole)).collect();
        let (_, twice) = values.iter().enumerate().find(|(index, value)| values[..*index].contains(value))?;
        Some(format!("would be tried twice as {twice} on a grid: list each value once, or give fewer points"))
    }

    /// The number of values in a grid; `None` for a span without points.
    pub fn grid_size(&self) -> Option<usize> {
        match self {
            Range::Values(values) => Some(values.len()),
            Range::Span { points, .. } => points.map(|points| points as usize),
        }
    }

    /// The value at `index` of the grid, as a coordinate.
    pub fn grid_point(&self, index: usize) -> f64 {
        match self {
            Range::Values(_) => index as f64,
            Range::Span { points, .. } => {
                index as f64 / f64::from(points.unwrap_or(2).saturating_sub(1).max(1))
            }
        }
    }

    /// The coordinate for an even draw `u` from [0, 1): an index into the list, or a position on the span from 0 to
    /// 1.
    pub fn coordinate(&self, u: f64) -> f64 {
        match self {
            Range::Values(values) => (u * values.len() as f64).floor(),
            Range::Span { .. } => u,
        }
    }

    /// The value at a coordinate. On a span it is a number of four digits, which people can read, and a whole
    /// number if `whole` is set.
    pub fn value(&self, coordinate: f64, whole: bool) -> Value {
        match self {
            Range::Values(values) => {
                let last = values.len() - 1;
                values[(coordinate as usize).min(last)].clone()
            }
            Range::Span { low, high, scale, .. } => {
                let number = match scale {
                    Scale::Linear => low + coordinate * (high - low),
                    Scale::Log => (low.ln() + coordinate * (high.ln() - low.ln())).exp(),
                };
                if whole {
                    // The rounded number must stay within the bounds, which may not be whole themselves.
                    let within = number.round().max(low.ceil()).min(high.floor());
                    return Value::Integer(within as i64);
                }
                let short: f64 = format!("{number:.3e}").parse().unwrap_or(number);
                Value::Float(short.clamp(*low, *high))
            }
        }
    }

    /// The coordinate of a value of [`Range::value`]; `None` for a value outside of the range.
    pub fn locate(&self, value: &Value) -> Option<f64> {
        match self {
            Range::Values(values) => values.iter().position(|known| known == value).map(|at| at as f64),
            Range::Span { low, high, scale, .. } => {
                let number = value.as_float().or(value.as_integer().map(|whole| whole as f64))?;
                let at = match scale {
                    Scale::Linear => (number - low) / (high - low),
                    Scale::Log => (number.ln() - low.ln()) / (high.ln() - low.ln()),
                };
                at.is_finite().then(|| at.clamp(0.0, 1.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Range, String> {
        toml::from_str::<Range>(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn spans_and_lists_give_values_within_them_and_find_them_again() {
        let log = read("low = 1e-5\nhigh = 1e-1\nscale = \"log\"\npoints = 5").unwrap();
        let grid: Vec<Value> = (0..5).map(|index| log.value(log.grid_point(index), false)).collect();
        assert_eq!(grid, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1].map(Value::Float));
        assert!((log.locate(&Value::Float(1e-3)).unwrap() - 0.5).abs() < 1e-12);

        let whole = read("low = 16\nhigh = 64.5").unwrap();
        for step in 0..=100 {
            let value = whole.value(f64::from(step) / 100.0, true).as_integer().unwrap();
            assert!((16..=64).contains(&value), "{value}");
        }
        let words = read("values = [\"sgd\", \"adam\", 3]").unwrap();
        let drawn: Vec<Value> = [0.0, 0.4, 0.999].map(|u| words.value(words.coordinate(u), false)).to_vec();
        assert_eq!(drawn, ["sgd".into(), "adam".into(), Value::Integer(3)]);
        assert_eq!(words.locate(&Value::from("adam")), Some(1.0));
    }

    #[test]
    fn a_key_is_not_tried_where_it_has_no_value_nor_twice_as_the_same() {
        let fault = |text: &str, whole, grid| read(text).unwrap().fault(whole, grid);
        let (narrow, crowded, twice) =
            ("low = 8.2\nhigh = 8.8", "low = 8\nhigh = 10\npoints = 4", "values = [1, 2, 1]");
        assert!(fault(narrow, true, false).unwrap().contains("none from 8.2 to 8.8"));
        assert!(fault(crowded, true, true).unwrap().contains("twice as 9"));
        assert!(fault(twice, false, true).unwrap().contains("twice as 1"));
        for (text, whole, grid) in
            [(narrow, false, false), (crowded, false, true), (crowded, true, false), (twice, false, false)]
        {
            assert_eq!(fault(text, whole, grid), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for (text, said) in [
            ("values = []", "is empty"),
            ("low = 1", "a range is"),
            ("low = 2\nhigh = 1", "must be below"),
            ("low = 0\nhigh = 1\nscale = \"log\"", "above 0"),
            ("low = 0\nhigh = 1\npoints = 1", "points"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(said), "{text}: {why}");
        }
    }
}
