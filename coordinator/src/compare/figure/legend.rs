//! The legend: a sample of each case's line beside its name, in as many rows as it takes.

use super::panel::rounded;
use super::printable;
use crate::compare::palette;

/// The height of a row, and the width of a line's sample with its spaces.
const ROW: f64 = 17.0;
const SAMPLE: f64 = 32.0;
const SPACE: f64 = 18.0;

/// The entries of a legend, and the height that they take.
pub struct Legend {
    pub entries: Vec<Entry>,
    pub height: f64,
}

/// A case in the legend.
pub struct Entry {
    pub x: f64,
    pub y: f64,
    pub name: String,
    pub colour: &'static str,
    pub dashes: &'static str,
}

impl Legend {
    /// The legend of these cases in rows of this width.
    pub fn of(names: &[String], width: f64) -> Self {
        let (mut x, mut y) = (0.0, 12.0);
        let mut entries = Vec::new();
        for (case, name) in names.iter().enumerate() {
            let own = SAMPLE + wide(name);
            if x > 0.0 && x + own > width {
                (x, y) = (0.0, y + ROW);
            }
            let (colour, dashes) = (palette::colour(case), palette::dashes(case));
            entries.push(Entry { x: rounded(x), y, name: printable(name), colour, dashes });
            x += own + SPACE;
        }
        Self { entries, height: y + ROW }
    }
}

/// The width of a text in pixels, estimated: no font is known here.
fn wide(text: &str) -> f64 {
    let of = |c: char| match c {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | ' ' | '.' | ',' | '(' | ')' => 4.2,
        'm' | 'w' | 'M' | 'W' | '…' => 10.5,
        c if c.is_ascii() => 7.2,
        _ => 12.0,
    };
    text.chars().map(of).sum()
}
