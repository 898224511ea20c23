//! The classes section: the accuracy of every class, and the classes that were confused.

use super::text;
use crate::record::{Assessment, ClassScore, Confusion};

/// Of many classes, how many stand in the open: the least accurate.
const WORST: usize = 20;
/// The most confusions that are shown.
const CONFUSIONS: usize = 20;

/// The accuracy by class of one evaluation.
pub struct Classes {
    /// Updates of the state that was evaluated.
    pub step: u64,
    /// The classes in the open: all of them in order if they are few, and else the least accurate.
    pub open: Vec<ClassRow>,
    /// Every class, if not all are in the open.
    pub all: Vec<ClassRow>,
    /// The number of classes, in words, where they are many.
    pub count: String,
    pub confusions: Vec<ConfusionRow>,
}

/// A class as a row.
pub struct ClassRow {
    pub name: String,
    pub samples: u64,
    pub top1: Option<f64>,
    pub top5: Option<f64>,
}

/// Two classes that were confused, as a row.
pub struct ConfusionRow {
    pub class: String,
    pub taken_for: String,
    pub count: u64,
    /// The share of the class's images.
    pub share: Option<f64>,
}

impl Classes {
    /// The section of an evaluation; `None` where it was not counted by class.
    pub fn of(found: &Assessment) -> Option<Self> {
        let rows =
            |classes: &mut dyn Iterator<Item = &ClassScore>| classes.map(ClassRow::of).collect::<Vec<_>>();
        let count = found.classes.len();
        let (open, all) = match count {
            0 => return None,
            1..=WORST => (rows(&mut found.classes.iter()), Vec::new()),
            _ => (rows(&mut found.worst_first().into_iter().take(WORST)), rows(&mut found.classes.iter())),
        };
        let confusion = |pair: &Confusion| ConfusionRow {
            class: found.label(pair.class),
            taken_for: found.label(pair.taken_for),
            count: pair.count,
            share: found.share(pair),
        };
        let confusions = found.confusions.iter().take(CONFUSIONS).map(confusion).collect();
        Some(Self {
            step: found.step,
            open,
            all,
            count: format!("{} classes", text::count(&(count as u64))),
            confusions,
        })
    }
}

impl ClassRow {
    fn of(class: &ClassScore) -> Self {
        Self { name: class.label(), samples: class.samples, top1: class.top1, top5: class.top5 }
    }

    /// The accuracy in per cent, for a bar.
    pub fn width(&self) -> f64 {
        100.0 * self.top1.unwrap_or(0.0)
    }
}
