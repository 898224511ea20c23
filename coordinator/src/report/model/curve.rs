//! A curve: its points, smoothed, and thinned so that a spike stays visible.

use serde::Serialize;

/// A step and a finite value.
pub type Point = (u64, f64);

/// One curve of a chart, as `report.js` draws it.
#[derive(Debug, Serialize)]
pub struct Curve {
    /// The name.
    pub name: String,
    /// The source of the curve's colour.
    pub hue: Hue,
    /// The style of the line.
    pub style: Style,
    pub x: Vec<u64>,
    pub y: Vec<f64>,
    /// The least and the largest value of several runs at each point, of which `y` is the mean; empty without a band.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub low: Vec<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub high: Vec<f64>,
}

/// The source of a curve's colour; the page's theme decides the colour itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hue {
    /// The colour with this index: of one of few curves, or of a case.
    Run(usize),
    /// A position on the scale from the first layer (0) to the last (1).
    Depth(f64),
}

/// The style of a curve's line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// A firm line.
    Line,
    /// A thin, pale line behind the others.
    Faint,
    /// A marker at every point, joined by a thin line.
    Marked,
}

impl Curve {
    /// The curve through `points`, thinned to at most `limit` of them.
    pub fn new(name: &str, hue: Hue, style: Style, points: &[Point], limit: usize) -> Self {
        let (x, y) = thin(points, limit).into_iter().map(|(x, y)| (x, short(y))).unzip();
        Self { name: name.to_owned(), hue, style, x, y, low: Vec::new(), high: Vec::new() }
    }

    /// The same curve with a band: the least and the largest value at each of its steps.
    pub fn band(self, range: impl Fn(u64) -> [f64; 2]) -> Self {
        let range = self.x.iter().map(|step| range(*step).map(short));
        let (low, high) = range.map(|[low, high]| (low, high)).unzip();
        Self { low, high, ..self }
    }

    /// The curve's values in order.
    pub fn values(&self) -> &[f64] {
        &self.y
    }
}

/// The points that are present and finite.
pub fn finite(points: impl Iterator<Item = (u64, Option<f64>)>) -> Vec<Point> {
    points.filter_map(|(x, y)| y.filter(|y| y.is_finite()).map(|y| (x, y))).collect()
}

/// The number of steps in the exponential average, by the length of the curve.
pub fn window(points: usize) -> usize {
    (points / 50).clamp(1, 500)
}

/// The exponential average with weight 2/(window + 1) on the newest value. The weights are divided by their sum, so
/// the average is not drawn to zero at the start.
pub fn smooth(points: &[Point], window: usize) -> Vec<Point> {
    let keep = 1.0 - 2.0 / (window as f64 + 1.0);
    let (mut sum, mut weight) = (0.0, 0.0);
    let average = |&(x, y): &Point| {
        (sum, weight) = (keep * sum + (1.0 - keep) * y, keep * weight + (1.0 - keep));
        (x, sum / weight)
    };
    points.iter().map(average).collect()
}

/// Thins a curve to at most `limit` points (4 or more); the first point, the last and both extremes are never lost.
///
/// Between the first and the last point, equal runs of points keep their lowest and their highest: a spike of one
/// step in a hundred thousand stays visible.
pub fn thin(points: &[Point], limit: usize) -> Vec<Point> {
    let [first, middle @ .., last] = points else { return points.to_vec() };
    if points.len() <= limit {
        return points.to_vec();
    }
    let size = middle.len().div_ceil((limit.max(4) - 2) / 2);
    let mut kept = vec![*first];
    for bucket in middle.chunks(size) {
        let (mut low, mut high) = (0, 0);
        for (i, point) in bucket.iter().enumerate() {
            low = if point.1 < bucket[low].1 { i } else { low };
            high = if point.1 > bucket[high].1 { i } else { high };
        }
        kept.push(bucket[low.min(high)]);
        if low != high {
            kept.push(bucket[low.max(high)]);
        }
    }
    kept.push(*last);
    kept
}

/// A value with five significant digits: more than a screen shows, and a third of the bytes.
fn short(value: f64) -> f64 {
    format!("{value:.4e}").parse().unwrap_or(value)
}
