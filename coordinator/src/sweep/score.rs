//! What makes one trial better than another.

use super::ledger::{Record, Status};
use serde::{Deserialize, Serialize};

/// The number that a sweep looks for the best of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Test accuracy.
    #[default]
    TestTop1,
    /// Test accuracy among the first five.
    TestTop5,
    /// The training loss at the end.
    Loss,
}

impl Objective {
    /// How good a trial is, more being better; `None` where it did not come to its end.
    pub fn score(self, record: &Record) -> Option<f64> {
        let score = match self {
            Objective::TestTop1 => record.test_top1,
            Objective::TestTop5 => record.test_top5,
            Objective::Loss => record.loss.map(|loss| -loss),
        };
        score.filter(|_| record.status == Status::Done)
    }

    /// The number itself, for people.
    pub fn show(self, record: &Record) -> String {
        match self {
            Objective::TestTop1 => format!("test_top1 {}", percent(record.test_top1)),
            Objective::TestTop5 => format!("test_top5 {}", percent(record.test_top5)),
            Objective::Loss => {
                format!("loss {}", record.loss.map_or("–".to_owned(), |loss| format!("{loss:.4}")))
            }
        }
    }

    /// The best of some trials, the earliest among equals.
    pub fn best<'a>(self, records: impl Iterator<Item = &'a Record>) -> Option<&'a Record> {
        let scored = records.filter_map(|record| Some((self.score(record)?, record)));
        let better = |best: (f64, &'a Record), next: (f64, &'a Record)| {
            if next.0 > best.0 || (next.0 == best.0 && next.1.trial < best.1.trial) { next } else { best }
        };
        scored.reduce(better).map(|(_, record)| record)
    }
}

/// The mean of some numbers; `None` of none.
pub fn mean(numbers: &[f64]) -> Option<f64> {
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}

/// A fraction in percent, or a dash.
pub fn percent(fraction: Option<f64>) -> String {
    fraction.map_or_else(|| "–".to_owned(), |fraction| format!("{:.2} %", 100.0 * fraction))
}
