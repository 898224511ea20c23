//! Softmax cross-entropy: the loss of the network's output, and the error signal that flows back.
//!
//! For logits z of K classes, the label y and smoothing ε, with target t = (1 − ε)·onehot(y) + ε/K
//! (Szegedy et al., arXiv 1512.00567, section 7) and p = softmax(z):
//!
//! ```text
//! loss  = −Σ t·log p = log Σ exp(z − max z) − Σ t·(z − max z)
//! error = (p − t) / N                         N: samples in the whole minibatch
//! ```
//!
//! Logits come in and errors go out as f32. Everything between is f64, in the order of classes and samples, so a
//! result is a function of its arguments alone. The module has no state, no I/O and no libtorch.

mod ranking;

pub use ranking::{Guess, Likely, guesses};

/// The loss of a microbatch's output.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Each sample's loss, in nats, not divided by anything. [`Totals`] adds the losses so that the sum doesn't
    /// depend on the cut of the minibatch.
    pub losses: Vec<f64>,
    /// The error at the logits, (softmax − target) / N: samples × classes, row after row.
    pub error: Vec<f32>,
    /// The number of samples whose label has the highest logit. Of equal logits the lower class ranks first.
    pub top1: usize,
    /// The number of samples whose label is among the five highest logits, or among all if there are fewer classes.
    pub top5: usize,
    /// Whether every logit and every loss is a finite number.
    pub finite: bool,
}

impl Outcome {
    /// The sum of the samples' losses, added in their order.
    pub fn loss_sum(&self) -> f64 {
        self.losses.iter().sum()
    }
}

/// The reason why a loss can't be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LossError {
    /// The logits aren't one row of classes per label.
    #[error(
        "the network gave {logits} logits for {labels} samples of {classes} classes: \
         its output must be one logit per class"
    )]
    Shape {
        /// The number of logits.
        logits: usize,
        /// The number of labels.
        labels: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A label is not below the number of classes.
    #[error(
        "sample {sample} of the microbatch has the label {label}, but there are {classes} classes, \
         from 0: check model.classes and the data"
    )]
    Label {
        /// The sample's place in the microbatch, from 0.
        sample: usize,
        /// Its label.
        label: u32,
        /// The number of classes.
        classes: usize,
    },
    /// The smoothing is not at least 0 and below 1.
    #[error("label smoothing is {smoothing}: set it to at least 0 and below 1")]
    Smoothing {
        /// The smoothing that was given.
        smoothing: f64,
    },
    /// The minibatch is smaller than its microbatch.
    #[error(
        "a minibatch of {batch} samples can't hold a microbatch of {labels}: \
         this is a fault of Neuropil, please report it"
    )]
    Batch {
        /// The size of the minibatch that was given.
        batch: usize,
        /// The size of the microbatch.
        labels: usize,
    },
}

/// The loss of a microbatch, and the error at its logits.
///
/// `logits` are samples × classes, row after row; `labels` one per sample; `smoothing` is ε, at least 0
/// and below 1; `batch` is N, the number of samples in the *whole* minibatch, by which the error is
/// already divided.
///
/// Logits that are not finite are accepted, and make [`Outcome::finite`] false. A sample with a NaN among its
/// logits never counts as correct.
///
/// # Errors
/// When lengths, labels, smoothing or N don't fit; see [`LossError`].
///
/// # Examples
/// ```
/// use coordinator::loss::softmax_cross_entropy;
/// let outcome = softmax_cross_entropy(&[0.0, 0.0], 2, &[1], 0.0, 1)?;
/// assert!((outcome.loss_sum() - 2f64.ln()).abs() < 1e-15);
/// assert_eq!(outcome.error, [0.5, -0.5]);
/// # Ok::<(), coordinator::loss::LossError>(())
/// ```
pub fn softmax_cross_entropy(
    logits: &[f32],
    classes: usize,
    labels: &[u32],
    smoothing: f64,
    batch: usize,
) -> Result<Outcome, LossError> {
    check(logits, classes, labels, smoothing, batch)?;
    let mut outcome = Outcome {
        losses: Vec::with_capacity(labels.len()),
        error: Vec::with_capacity(logits.len()),
        top1: 0,
        top5: 0,
        finite: logits.iter().all(|logit| logit.is_finite()),
    };
    for (row, &label) in logits.chunks_exact(classes).zip(labels) {
        let label = label as usize;
        let target = |class| smoothing / classes as f64 + if class == label { 1.0 - smoothing } else { 0.0 };
        outcome.losses.push(sample(row, target, batch as f64, &mut outcome.error));
        let rank = rank(row, label);
        outcome.top1 += usize::from(rank.is_some_and(|rank| rank < 1));
        outcome.top5 += usize::from(rank.is_some_and(|rank| rank < 5));
    }
    outcome.finite &= outcome.losses.iter().all(|loss| loss.is_finite());
    Ok(outcome)
}

fn check(
    logits: &[f32],
    classes: usize,
    labels: &[u32],
    smoothing: f64,
    batch: usize,
) -> Result<(), LossError> {
    if classes == 0 || labels.len().checked_mul(classes) != Some(logits.len()) {
        return Err(LossError::Shape { logits: logits.len(), labels: labels.len(), classes });
    }
    if let Some(sample) = labels.iter().position(|&label| label as usize >= classes) {
        return Err(LossError::Label { sample, label: labels[sample], classes });
    }
    if !(0.0..1.0).contains(&smoothing) {
        return Err(LossError::Smoothing { smoothing });
    }
    if batch < labels.len() {
        return Err(LossError::Batch { batch, labels: labels.len() });
    }
    Ok(())
}

/// One sample's loss; its error is appended to `error`.
fn sample(row: &[f32], target: impl Fn(usize) -> f64, batch: f64, error: &mut Vec<f32>) -> f64 {
    // Without the maximum, exp would overflow from 710 on; with it, every power is at most 1.
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted = || row.iter().map(|&logit| f64::from(logit) - f64::from(max));
    let powers: Vec<f64> = shifted().map(f64::exp).collect();
    let sum: f64 = powers.iter().sum();
    let errors = powers.iter().enumerate().map(|(class, power)| (power / sum - target(class)) / batch);
    error.extend(errors.map(|error| error as f32));
    sum.ln() - shifted().enumerate().map(|(class, logit)| target(class) * logit).sum::<f64>()
}

/// The number of classes that rank before `label`; `None` if a logit is NaN, because NaN has no order.
fn rank(row: &[f32], label: usize) -> Option<usize> {
    let own = row[label];
    let before = |(class, &logit): (usize, &f32)| logit > own || (logit == own && class < label);
    let ordered = !row.iter().any(|logit| logit.is_nan());
    ordered.then(|| row.iter().enumerate().filter(|&entry| before(entry)).count())
}

/// The sum of outcomes: of a minibatch from its microbatches, or of a test set from its minibatches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Totals {
    /// The sum of all losses, added sample by sample. If outcomes are added in the order of their samples, the sum
    /// is the same to the last bit, however the samples were cut into outcomes.
    pub loss_sum: f64,
    /// The number of samples.
    pub samples: usize,
    /// The number of samples that were right; see [`Outcome::top1`].
    pub top1: usize,
    /// The number of samples that were right among five; see [`Outcome::top5`].
    pub top5: usize,
    /// Whether every outcome so far was finite.
    pub finite: bool,
}

impl Default for Totals {
    fn default() -> Self {
        Totals { loss_sum: 0.0, samples: 0, top1: 0, top5: 0, finite: true }
    }
}

impl Totals {
    /// Adds the next microbatch's outcome.
    pub fn add(&mut self, outcome: &Outcome) {
        outcome.losses.iter().for_each(|loss| self.loss_sum += loss);
        self.samples += outcome.losses.len();
        self.top1 += outcome.top1;
        self.top5 += outcome.top5;
        self.finite &= outcome.finite;
    }

    /// The mean loss per sample, in nats; NaN before the first sample.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.samples as f64
    }

    /// The fractions of samples that were right at the first guess and among five; NaN before the first sample.
    pub fn accuracy(&self) -> (f64, f64) {
        let samples = self.samples as f64;
        (self.top1 as f64 / samples, self.top5 as f64 / samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_case_by_hand() {
        // Powers 1, 2, 4 of 7: p = 1/7, 2/7, 4/7. With ε = 0.3 the target of label 1 is 0.1, 0.8, 0.1.
        let logits = [0.0, 2f32.ln(), 4f32.ln()];
        let outcome = softmax_cross_entropy(&logits, 3, &[1], 0.3, 2).unwrap();
        let loss = 7f64.ln() - 0.8 * 2f64.ln() - 0.1 * 4f64.ln();
        assert!((outcome.loss_sum() - loss).abs() < 1e-6);
        for (error, expected) in outcome.error.iter().zip([1.0 / 7.0 - 0.1, 2.0 / 7.0 - 0.8, 4.0 / 7.0 - 0.1])
        {
            assert!((f64::from(*error) - expected / 2.0).abs() < 1e-7);
        }
        assert_eq!((outcome.top1, outcome.top5, outcome.finite), (0, 1, true));
    }

    /// −Σ t log p straight from its definition, in f64, of one sample.
    fn plain_loss(logits: &[f64], label: usize, smoothing: f64) -> f64 {
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let classes = logits.len() as f64;
        let target =
            |class| if class == label { 1.0 - smoothing + smoothing / classes } else { smoothing / classes };
        logits.iter().enumerate().map(|(class, logit)| -target(class) * (logit.exp() / sum).ln()).sum()
    }

    proptest! {
        #[test]
        fn the_error_is_the_slope_of_the_loss(
            logits in prop::collection::vec(-6.0f32..6.0, 1..12),
            label in any::<prop::sample::Index>(),
            smoothing in 0.0..0.9,
            batch in 1usize..50,
        ) {
            let (classes, label) = (logits.len(), label.index(logits.len()));
            let outcome = softmax_cross_entropy(&logits, classes, &[label as u32], smoothing, batch).unwrap();
            let logits: Vec<f64> = logits.into_iter().map(f64::from).collect();
            prop_assert!((outcome.loss_sum() - plain_loss(&logits, label, smoothing)).abs() < 1e-10);
            for class in 0..classes {
                let moved = |by: f64| {
                    let mut moved = logits.clone();
                    moved[class] += by;
                    plain_loss(&moved, label, smoothing)
                };
                let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5 / batch as f64;
                prop_assert!((f64::from(outcome.error[class]) - slope).abs() < 1e-7);
            }
            let sum: f64 = outcome.error.iter().map(|&error| f64::from(error)).sum();
            prop_assert!(sum.abs() < 1e-6, "a sample's errors sum to {sum}");
        }

        #[test]
        fn a_minibatch_is_worth_the_same_however_it_is_cut(
            samples in 1usize..20, count in 1usize..6, seed in any::<u32>(),
        ) {
            let logits: Vec<f32> = (0..samples * 7).map(|v| ((v as u32 ^ seed) % 97) as f32 / 9.0).collect();
            let labels: Vec<u32> = (0..samples as u32).map(|sample| (sample ^ seed) % 7).collect();
            let whole = softmax_cross_entropy(&logits, 7, &labels, 0.1, samples).unwrap();
            let (mut cut, mut uncut, mut error) = (Totals::default(), Totals::default(), Vec::new());
            uncut.add(&whole);
            for part in crate::data::microbatches(samples, count) {
                let logits = &logits[part.start * 7..part.end * 7];
                let outcome = softmax_cross_entropy(logits, 7, &labels[part], 0.1, samples).unwrap();
                cut.add(&outcome);
                error.extend(outcome.error);
            }
            prop_assert_eq!(cut, uncut);
            prop_assert_eq!(cut.loss_sum.to_bits(), whole.loss_sum().to_bits());
            prop_assert_eq!(error, whole.error);
        }
    }

    #[test]
    fn huge_logits_stay_finite() {
        let outcome = softmax_cross_entropy(&[f32::MAX, -f32::MAX, 3e38], 3, &[0], 0.0, 1).unwrap();
        assert_eq!((outcome.loss_sum(), outcome.finite, outcome.top1), (0.0, true, 1));
        assert_eq!(outcome.error, [0.0; 3]);
    }

    #[test]
    fn logits_that_are_not_finite_pass_but_are_told_and_never_correct() {
        let outcome = |row: [f32; 3]| softmax_cross_entropy(&row, 3, &[0], 0.0, 1).unwrap();
        for row in [[f32::NAN, 0.0, 0.0], [1.0, f32::NAN, 0.0], [f32::NAN; 3]] {
            assert!(!outcome(row).finite && outcome(row).top1 + outcome(row).top5 == 0);
        }
        assert!(!outcome([f32::INFINITY, 0.0, 0.0]).finite);
        assert!(!outcome([0.0, f32::NEG_INFINITY, 0.0]).finite);
    }

    #[test]
    fn ties_go_to_the_lower_class_and_few_classes_are_all_among_five() {
        let counts = |label| {
            let outcome = softmax_cross_entropy(&[2.0; 7], 7, &[label], 0.0, 1).unwrap();
            (outcome.top1, outcome.top5)
        };
        assert_eq!([0, 1, 4, 5].map(counts), [(1, 1), (0, 1), (0, 1), (0, 0)]);
        assert_eq!(softmax_cross_entropy(&[3.0, 2.0, 1.0], 3, &[2], 0.0, 1).unwrap().top5, 1);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let error = |logits: &[f32], classes, labels: &[u32], smoothing, batch| {
            softmax_cross_entropy(logits, classes, labels, smoothing, batch).unwrap_err()
        };
        assert!(matches!(error(&[0.0; 5], 3, &[0, 1], 0.0, 2), LossError::Shape { .. }));
        assert!(matches!(error(&[], 0, &[], 0.0, 1), LossError::Shape { .. }));
        assert!(matches!(error(&[0.0; 3], 3, &[3], 0.0, 1), LossError::Label { sample: 0, label: 3, .. }));
        assert!(matches!(error(&[0.0; 3], 3, &[0], 1.0, 1), LossError::Smoothing { .. }));
        assert!(matches!(error(&[0.0; 3], 3, &[0], f64::NAN, 1), LossError::Smoothing { .. }));
        assert!(matches!(error(&[0.0; 6], 3, &[0, 1], 0.0, 1), LossError::Batch { .. }));
    }
}
