//! Drawings of lanes: one line per stage, or a chart in which each column is one tick.
//!
//! The chart shows the bubble. gpipe and one_f_one_b, 3 stages, 4 microbatches, every action one tick:
//!
//! ```text
//! s0  F0 F1 F2 F3 .  .  .  .  E0 G0 E1 G1 E2 G2 E3 G3 U
//! s1  .  F0 F1 F2 F3 .  .  E0 G0 E1 G1 E2 G2 E3 G3 U  .
//! s2  .  .  F0 F1 F2 F3 E0 G0 E1 G1 E2 G2 E3 G3 U  .  .
//!
//! s0  F0 F1 F2 F3 .  .  E0 G0 .  E1 G1 .  E2 G2 E3 G3 U
//! s1  .  F0 F1 F2 .  E0 G0 F3 E1 G1 .  E2 G2 E3 G3 U  .
//! s2  .  .  F0 F1 E0 G0 F2 E1 G1 F3 E2 G2 E3 G3 U  .  .
//! ```

use proto::lane::Lane;

use super::timing::{Costs, LinkCost, StageCost, Timed, TimingError, predict};

/// One line per stage, its actions in order: `s0  F0 F1 E0 G0 E1 G1 U`.
pub fn lanes(lanes: &[Lane]) -> String {
    rows(lanes.iter().map(Lane::to_string))
}

/// The cost of each action in ticks, the columns of a [`chart`]. An action without a cost isn't drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks {
    /// F of one microbatch.
    pub forward: u8,
    /// E of one microbatch.
    pub error: u8,
    /// G of one microbatch.
    pub gradient: u8,
    /// U, once per step.
    pub update: u8,
    /// From the end of an action to the arrival of its message, on every link.
    pub link: u8,
    /// The coordinator's loss of one microbatch.
    pub loss: u8,
}

/// Every action takes one tick; links and the loss take none.
impl Default for Ticks {
    fn default() -> Self {
        Self { forward: 1, error: 1, gradient: 1, update: 1, link: 0, loss: 0 }
    }
}

impl Ticks {
    fn costs(self, stages: usize) -> Costs {
        let [forward, error, gradient, update] =
            [self.forward, self.error, self.gradient, self.update].map(f64::from);
        let link = LinkCost { latency: f64::from(self.link), ..LinkCost::default() };
        let stage = StageCost { forward, error, gradient, update, ..StageCost::default() };
        Costs::uniform(stages, stage, link, f64::from(self.loss))
    }
}

/// A chart on a unit clock: one row per stage, one column per tick, the columns aligned.
///
/// An action stands at the tick at which it starts, `-` at its further ticks, `.` where the stage idles.
///
/// # Errors
/// Lanes that wait for each other for ever.
pub fn chart(lanes: &[Lane], ticks: Ticks) -> Result<String, TimingError> {
    let timeline = predict(lanes, &ticks.costs(lanes.len()))?;
    let end = tick(timeline.makespan());
    let cells: Vec<_> = timeline.stages().iter().map(|stage| cells(stage, end)).collect();
    let width = cells.iter().flatten().map(String::len).max().unwrap_or(0);
    let row = |cells: &Vec<String>| cells.iter().map(|cell| format!("{cell:<width$} ")).collect::<String>();
    Ok(rows(cells.iter().map(row)))
}

/// The cells of one stage's row, one per tick.
fn cells(stage: &[Timed], end: usize) -> Vec<String> {
    let mut cells = vec![".".to_string(); end];
    for timed in stage.iter().filter(|timed| timed.end > timed.start) {
        let (start, end) = (tick(timed.start), tick(timed.end));
        cells[start..end].fill("-".to_string());
        cells[start] = timed.action.to_string();
    }
    cells
}

/// The tick of a time; whole ticks are exact in an f64.
fn tick(time: f64) -> usize {
    time as usize
}

/// Puts `s0`, `s1`, … in front of the rows, and removes trailing blanks.
fn rows(rows: impl ExactSizeIterator<Item = String>) -> String {
    let width = format!("s{}", rows.len().saturating_sub(1)).len();
    let line = |(s, row): (usize, String)| {
        let label = format!("s{s}");
        format!("{label:<width$}  {}\n", row.trim_end())
    };
    rows.enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Schedule, Shape};

    fn charted(schedule: Schedule, stages: u32, microbatches: u32, ticks: Ticks) -> String {
        let shape = Shape::new(stages, microbatches, 1).unwrap();
        chart(&crate::pipeline::lanes(schedule, shape), ticks).unwrap()
    }

    /// The bubbles are equal, but 1F1B's last stage begins with the errors two ticks earlier.
    #[test]
    fn the_charts_of_both_schedules_are_their_drawings() {
        let gpipe = "\
s0  F0 F1 F2 F3 .  .  .  .  E0 G0 E1 G1 E2 G2 E3 G3 U
s1  .  F0 F1 F2 F3 .  .  E0 G0 E1 G1 E2 G2 E3 G3 U  .
s2  .  .  F0 F1 F2 F3 E0 G0 E1 G1 E2 G2 E3 G3 U  .  .
";
        let one_f_one_b = "\
s0  F0 F1 F2 F3 .  .  E0 G0 .  E1 G1 .  E2 G2 E3 G3 U
s1  .  F0 F1 F2 .  E0 G0 F3 E1 G1 .  E2 G2 E3 G3 U  .
s2  .  .  F0 F1 E0 G0 F2 E1 G1 F3 E2 G2 E3 G3 U  .  .
";
        assert_eq!(charted(Schedule::Gpipe, 3, 4, Ticks::default()), gpipe);
        assert_eq!(charted(Schedule::OneFOneB, 3, 4, Ticks::default()), one_f_one_b);
    }

    #[test]
    fn what_takes_longer_is_drawn_longer_and_what_takes_no_time_is_not_drawn() {
        let chart = "\
s0  .  F0 F1 .  .  .  .  .  .  .  E0 -  G0 E1 -  G1
s1  .  .  .  F0 F1 .  .  E0 -  G0 E1 -  G1 .  .  .
";
        let ticks = Ticks { error: 2, update: 0, link: 1, loss: 1, ..Ticks::default() };
        assert_eq!(charted(Schedule::OneFOneB, 2, 2, ticks), chart);
    }

    #[test]
    fn labels_and_columns_stay_aligned_when_numbers_grow() {
        let chart = charted(Schedule::Gpipe, 11, 11, Ticks::default());
        assert!(chart.starts_with("s0   F0  F1  F2 "), "{chart}");
        assert!(chart.lines().nth(10).unwrap().starts_with("s10  .   .   . "), "{chart}");
        assert_eq!(lanes(&[]), "");
    }
}
