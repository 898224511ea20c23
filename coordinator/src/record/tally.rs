//! The counts of an evaluation by class: how many samples of each class were right, and what the others were taken for.

use crate::loss::Guess;
use std::collections::BTreeMap;

/// The counts of an evaluation under way.
///
/// It holds an entry per class that has samples, and one per pair of classes that were confused: no more than there
/// are samples, however many classes the network has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// By class.
    pub classes: BTreeMap<u32, Counts>,
    /// How often a sample of the first class was taken for the second.
    pub confused: BTreeMap<(u32, u32), u64>,
}

/// The counts of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of samples with this label.
    pub samples: u64,
    /// How many of them the network took for this class.
    pub top1: u64,
    /// How many had this class among the likeliest five.
    pub top5: u64,
}

impl Tally {
    /// Adds the guesses of a minibatch.
    pub fn add(&mut self, guesses: &[Guess]) {
        for guess in guesses {
            let right = guess.first() == Some(guess.label);
            let counts = self.classes.entry(guess.label).or_default();
            counts.samples += 1;
            counts.top1 += u64::from(right);
            counts.top5 += u64::from(guess.among());
            if let Some(class) = guess.first().filter(|_| !right) {
                *self.confused.entry((guess.label, class)).or_default() += 1;
            }
        }
    }
}
