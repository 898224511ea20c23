//! The ranking of classes: what the network takes a sample for, and how sure it is.

/// The most classes that a ranking holds.
pub const RANKED: usize = 5;

/// A class, and how likely the network finds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likely {
    /// The class, from 0.
    pub class: u32,
    /// Its share of the softmax over all classes, from 0 to 1.
    pub probability: f64,
}

/// The network's answer for one sample, beside the truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Guess {
    /// The sample's label.
    pub label: u32,
    /// The likeliest classes, at most five, the likeliest first. Of equal logits the lower class comes first.
    /// Where a logit is NaN the ranking is empty, because NaN has no order.
    pub ranked: Vec<Likely>,
}

impl Guess {
    /// The class that the network takes the sample for.
    pub fn first(&self) -> Option<u32> {
        self.ranked.first().map(|likely| likely.class)
    }

    /// Whether the label is among the ranked classes.
    pub fn among(&self) -> bool {
        self.ranked.iter().any(|likely| likely.class == self.label)
    }
}

/// The network's answers for a microbatch: `logits` are samples × classes, row after row, `labels` one per sample.
///
/// Lengths that do not fit give fewer guesses; [`super::softmax_cross_entropy`] refuses them.
pub fn guesses(logits: &[f32], classes: usize, labels: &[u32]) -> Vec<Guess> {
    let rows = logits.chunks_exact(classes.max(1));
    rows.zip(labels).map(|(row, &label)| Guess { label, ranked: ranked(row) }).collect()
}

fn ranked(row: &[f32]) -> Vec<Likely> {
    if row.iter().any(|logit| logit.is_nan()) {
        return Vec::new();
    }
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(RANKED + 1);
    for (class, &logit) in (0..).zip(row) {
        let place = best.partition_point(|&(_, held)| held >= logit);
        if place < RANKED {
            best.insert(place, (class, logit));
            best.truncate(RANKED);
        }
    }
    let max = best.first().map_or(0.0, |&(_, logit)| f64::from(logit));
    let power = |logit: f32| (f64::from(logit) - max).exp();
    let sum: f64 = row.iter().map(|&logit| power(logit)).sum();
    best.into_iter().map(|(class, logit)| Likely { class, probability: power(logit) / sum }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::softmax_cross_entropy;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_case_by_hand() {
        // Powers 1, 4, 2 of 7.
        let logits = [0.0, 4f32.ln(), 2f32.ln()];
        let [guess] = &guesses(&logits, 3, &[0])[..] else { panic!("one sample, one guess") };
        assert_eq!(guess.ranked.iter().map(|likely| likely.class).collect::<Vec<_>>(), [1, 2, 0]);
        for (likely, expected) in guess.ranked.iter().zip([4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0]) {
            assert!((likely.probability - expected).abs() < 1e-7);
        }
        assert_eq!((guess.first(), guess.among()), (Some(1), true));
    }

    #[test]
    fn without_an_order_nothing_is_ranked() {
        let [guess] = &guesses(&[0.0, f32::NAN], 2, &[0])[..] else { panic!("one sample, one guess") };
        assert_eq!((guess.first(), guess.among()), (None, false));
        assert_eq!(guesses(&[], 0, &[]), []);
    }

    proptest! {
        /// Few values make many ties.
        #[test]
        fn rankings_and_the_loss_count_the_same(
            row in prop::collection::vec(0u8..6, 1..12), label in any::<prop::sample::Index>(),
        ) {
            let logits: Vec<f32> = row.iter().map(|&value| f32::from(value)).collect();
            let label = label.index(logits.len()) as u32;
            let outcome = softmax_cross_entropy(&logits, logits.len(), &[label], 0.0, 1).unwrap();
            let guess = &guesses(&logits, logits.len(), &[label])[0];
            prop_assert_eq!(outcome.top1 == 1, guess.first() == Some(label));
            prop_assert_eq!(outcome.top5 == 1, guess.among());
            prop_assert!(guess.ranked.len() == logits.len().min(RANKED));
            prop_assert!(guess.ranked.windows(2).all(|pair| pair[0].probability >= pair[1].probability));
            let of_label = guess.ranked.iter().find(|likely| likely.class == label);
            let loss = of_label.map_or(outcome.loss_sum(), |likely| -likely.probability.ln());
            prop_assert!((loss - outcome.loss_sum()).abs() < 1e-9);
        }
    }
}
