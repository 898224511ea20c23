//! A row of a bench: as a line of its table, and as JSON.

/// One thing measured.
pub struct Row {
    pub bench: &'static str,
    /// The things compared.
    pub case: String,
    /// How good `ours` is, as a multiple of `reference`: the more, the better.
    pub ratio: f64,
    /// The smallest and the largest ratio of a round.
    pub spread: (f64, f64),
    /// A ratio below this one fails the bench.
    pub floor: f64,
    /// The ratio that should be reached.
    pub goal: f64,
    /// The median over the rounds, as that of `reference`.
    pub ours: f64,
    pub reference: f64,
    pub unit: &'static str,
    pub rounds: usize,
}

impl Row {
    /// The row as JSON; its words are plain ASCII, which Rust quotes as JSON does.
    pub fn json(&self, machine: &str) -> String {
        let Self { bench, case, ratio, spread: (least, most), floor, goal, ours, reference, unit, rounds } =
            self;
        format!(
            r#"{{"bench":{bench:?},"case":{case:?},"ratio":{ratio:.4},"floor":{floor},"goal":{goal},"ours":{ours:.2},"reference":{reference:.2},"unit":{unit:?},"rounds":{rounds},"ratio_min":{least:.4},"ratio_max":{most:.4},"machine":{machine:?}}}"#
        )
    }
}

/// All rows as a table for people.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.case.len()).max().unwrap_or(0);
    let mut text = format!(
        "{:<width$} {:>7} {:>13} {:>7} {:>7} {:>9} {:>10}  unit\n",
        "case", "ratio", "by round", "floor", "goal", "ours", "reference"
    );
    for Row { case, ratio, spread: (least, most), floor, goal, ours, reference, unit, .. } in rows {
        let spread = format!("{least:.3}-{most:.3}");
        text += &format!(
            "{case:<width$} {ratio:>7.3} {spread:>13} {floor:>7.2} {goal:>7.2} {ours:>9.1} {reference:>10.1}  {unit}\n"
        );
    }
    text
}
