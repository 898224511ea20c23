//! A panel: one chart with its axes, as places in a picture.

use super::axis::{Axis, labels};
use super::printable;
use crate::compare::palette;
use crate::report::model::chart::Chart;
use crate::report::model::curve::{Curve, Hue, Style};
use std::fmt::Write;

/// The room around the curves of a panel: left, above, right, below.
const ROOM: [f64; 4] = [52.0, 24.0, 8.0, 36.0];
const SMALL_ROOM: [f64; 4] = [36.0, 18.0, 4.0, 18.0];
/// The marks of an axis of angles.
const ANGLES: [f64; 6] = [1.0, 5.0, 10.0, 15.0, 30.0, 45.0];

/// A chart as its template draws it; all places are relative to the figure.
pub struct Panel {
    /// Tells the panel's region from those of others.
    pub index: usize,
    pub title: String,
    pub note: String,
    pub small: bool,
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub bottom: f64,
    pub middle: f64,
    pub below: Vec<Tick>,
    pub beside: Vec<Tick>,
    pub guide: Option<f64>,
    pub bands: Vec<Line>,
    /// The ranges of curves with a single point.
    pub whiskers: Vec<Line>,
    pub lines: Vec<Line>,
    pub marks: Vec<Mark>,
}

/// A mark of an axis.
pub struct Tick {
    pub at: f64,
    pub label: String,
}

/// A line, or the outline of a band.
pub struct Line {
    pub path: String,
    pub colour: &'static str,
    pub dashes: &'static str,
    pub thin: bool,
}

/// A point that is marked.
pub struct Mark {
    pub x: f64,
    pub y: f64,
    pub colour: &'static str,
}

/// The axes of a panel with their places.
struct Frame {
    x: Axis,
    y: Axis,
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Frame {
    fn of(chart: &Chart, steps: [u64; 2], [x, y]: [f64; 2], [width, height]: [f64; 2]) -> Self {
        let [left, above, right, beneath] = if chart.small { SMALL_ROOM } else { ROOM };
        Self {
            x: Axis::of_steps(steps),
            y: Axis::of_values(chart),
            left: rounded(x + left),
            top: rounded(y + above),
            width: rounded(width - left - right),
            height: rounded(height - above - beneath),
        }
    }

    fn across(&self, step: f64) -> f64 {
        rounded(self.left + self.x.place(step) * self.width)
    }

    /// The height of a value. A value far outside stays near enough for any program to read its number.
    fn down(&self, value: f64) -> f64 {
        rounded(self.top + (1.0 - self.y.place(value).clamp(-9.0, 9.0)) * self.height)
    }
}

impl Panel {
    /// The panel of a chart over `steps`, whose corner and size are given.
    pub fn of(chart: &Chart, steps: [u64; 2], index: usize, corner: [f64; 2], size: [f64; 2]) -> Self {
        let frame = Frame::of(chart, steps, corner, size);
        let (across, down) = if chart.small { (2, 3) } else { (5, 5) };
        let angles: &[f64] = if chart.unit == "°" { &ANGLES } else { &[] };
        let beside = frame.y.ticks(down, angles);
        let below: Vec<f64> =
            frame.x.ticks(across, &[1.0]).into_iter().filter(|step| step.fract() == 0.0).collect();
        let drawn = |curve: &&Curve| curve.style != Style::Marked || curve.x.len() > 1;
        let banded = || chart.curves.iter().filter(|curve| !curve.low.is_empty());
        Self {
            index,
            title: printable(&chart.title),
            note: chart.note.clone(),
            small: chart.small,
            left: frame.left,
            top: frame.top,
            width: frame.width,
            height: frame.height,
            bottom: rounded(frame.top + frame.height),
            middle: rounded(frame.left + frame.width / 2.0),
            below: ticks(&below, "", |step| frame.across(step)),
            beside: ticks(&beside, chart.unit, |value| frame.down(value)),
            guide: chart
                .guide
                .filter(|guide| (0.0..=1.0).contains(&frame.y.place(*guide)))
                .map(|at| frame.down(at)),
            bands: banded().map(|curve| band(&frame, curve)).collect(),
            whiskers: banded().filter(|curve| curve.x.len() == 1).map(|curve| band(&frame, curve)).collect(),
            lines: chart.curves.iter().filter(drawn).map(|curve| line(&frame, curve)).collect(),
            marks: chart.curves.iter().flat_map(|curve| marks(&frame, curve)).collect(),
        }
    }
}

fn ticks(at: &[f64], unit: &str, place: impl Fn(f64) -> f64) -> Vec<Tick> {
    at.iter().zip(labels(at, unit)).map(|(at, label)| Tick { at: place(*at), label }).collect()
}

fn case(curve: &Curve) -> usize {
    match curve.hue {
        Hue::Run(case) => case,
        Hue::Depth(_) => 0,
    }
}

fn line(frame: &Frame, curve: &Curve) -> Line {
    let (colour, dashes) = (palette::colour(case(curve)), palette::dashes(case(curve)));
    Line { path: path(frame, curve.x.iter().zip(&curve.y)), colour, dashes, thin: curve.style != Style::Line }
}

/// The band: along the largest values, and back along the least.
fn band(frame: &Frame, curve: &Curve) -> Line {
    let there = curve.x.iter().zip(&curve.high);
    let back = curve.x.iter().zip(&curve.low).rev();
    let path = path(frame, there.chain(back)) + "Z";
    Line { path, colour: palette::colour(case(curve)), dashes: "", thin: true }
}

fn path<'a>(frame: &Frame, points: impl Iterator<Item = (&'a u64, &'a f64)>) -> String {
    let mut path = String::new();
    for (index, (step, value)) in points.enumerate() {
        let letter = if index == 0 { "M" } else { "L" };
        let _ = write!(path, "{letter}{} {}", frame.across(*step as f64), frame.down(*value));
    }
    path
}

/// The marks of a curve whose points are few and count each.
fn marks(frame: &Frame, curve: &Curve) -> Vec<Mark> {
    if curve.x.len() > 1 && (curve.style != Style::Marked || curve.x.len() > 40) {
        return Vec::new();
    }
    let colour = palette::colour(case(curve));
    let inside = |value: &f64| (0.0..=1.0).contains(&frame.y.place(*value));
    let points = curve.x.iter().zip(&curve.y).filter(|(_, value)| inside(value));
    points
        .map(|(step, value)| Mark { x: frame.across(*step as f64), y: frame.down(*value), colour })
        .collect()
}

/// A hundredth of a pixel is enough.
pub fn rounded(place: f64) -> f64 {
    (place * 100.0).round() / 100.0
}
