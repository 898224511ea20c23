//! The score of a trial, by which trials are compared.

use super::ledger::{Record, Status};
use serde::{Deserialize, Serialize};

/// The objective of a sweep: the number whose best value the sweep looks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Test accuracy.
    #[default]
    TestTop1,
    /// Test accuracy among the first five.
    TestTop5,
    /// The final training loss.
    Loss,
}

impl Objective {
    /// The score of a trial, where more is better; `None` for a trial that did not complete.
    pub fn score(self, record: &Record) -> Option<f64> {
        let score = match self {
            Objective::TestTop1 => record.test_top1,
            Objective::TestTop5 => record.test_top5,
            Objective::Loss => record.loss.map(|loss| -loss),
        };
        score.filter(|_| record.status == Status::Done)
    }

    /// The objective's number for people.
    pub fn show(self, record: &Record) -> String {
        match self {
            Objective::TestTop1 => format!("test_top1 {}", percent(record.test_top1)),
            Objective::TestTop5 => format!("test_top5 {}", percent(record.test_top5)),
            Objective::Loss => {
                format!("loss {}", record.loss.map_or("–".to_owned(), |loss| format!("{loss:.4}")))
            }
        }
    }

    /// The best of the records, the earliest among equals.
    pub fn best<'a>(self, records: impl Iterator<Item = &'a Record>) -> Option<&'a Record> {
        let scored = records.filter_map(|record| Some((self.score(record)?, record)));
        let better = |best: (f64, &'a Record), next: (f64, &'a Record)| {
            if next.0 > best.0 || (next.0 == best.0 && next.1.trial < best.1.trial) { next } else { best }
        };
        scored.reduce(better).map(|(_, record)| record)
    }
}

/// The mean of the numbers; `None` without numbers.
pub fn mean(numbers: &[f64]) -> Option<f64> {
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}

/// A fraction in percent, or a dash.
pub fn percent(fraction: Option<f64>) -> String {
    fraction.map_or_else(|| "–".to_owned(), |fraction| format!("{:.2} %", 100.0 * fraction))
}
