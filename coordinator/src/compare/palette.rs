//! The colours of cases: those of Okabe and Ito, which people with any kind of colour vision tell apart.

/// The colours in their order. Yellow is left out, which is not seen on white paper. The page has the same colours in
/// its style, but for black on a dark page.
pub const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/// The dashes of a line; each time that the colours begin again, the next of them is used.
const DASHES: [&str; 5] = ["", "7 3", "2 2", "7 2 2 2", "12 3"];

/// The colour of the case with this index.
pub fn colour(case: usize) -> &'static str {
    COLOURS[case % COLOURS.len()]
}

/// The dashes of the case with this index.
pub fn dashes(case: usize) -> &'static str {
    DASHES[case / COLOURS.len() % DASHES.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::STYLE;

    #[test]
    fn the_page_has_the_same_colours() {
        for (index, colour) in COLOURS.iter().enumerate() {
            assert!(STYLE.contains(&format!("--c{index}: {colour};")), "{index}");
        }
        assert!(!STYLE.contains("--c7:"));
    }
}
