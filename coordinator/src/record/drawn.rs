//! The points of the curves that people look at. `metrics.jsonl` has each step as it was.
//!
//! An epoch's last minibatch may have a few samples only, and a mean over a few samples jumps. So the point of a short
//! minibatch is the mean over its samples and those of the step before it together.

use super::step::Step;

/// The points of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// The step's number.
    pub step: u64,
    /// Mean loss.
    pub loss: Option<f64>,
    /// Fraction of the samples whose label ranks first.
    pub accuracy: Option<f64>,
    /// Samples per second.
    pub images_per_s: Option<f64>,
}

impl Drawn {
    /// The points of `step`, which followed the step `before`.
    pub fn of(before: Option<&Step>, step: &Step) -> Self {
        let &Step { step: number, loss, accuracy, images_per_s, .. } = step;
        let own = Self { step: number, loss, accuracy, images_per_s };
        let short =
            |before: &&Step| step.samples() < before.samples() && before.step.checked_add(1) == Some(number);
        let Some(before) = before.filter(short) else { return own };
        let [earlier, later] = [before.samples() as f64, step.samples() as f64];
        let all = earlier + later;
        let pooled = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => Some((one * earlier + other * later) / all),
            (_, other) => other,
        };
        let seconds = before.seconds.unwrap_or(0.0) + step.seconds.unwrap_or(0.0);
        Self {
            step: number,
            loss: pooled(before.loss, loss),
            accuracy: pooled(before.accuracy, accuracy),
            images_per_s: images_per_s.map(|own| if seconds > 0.0 { all / seconds } else { own }),
        }
    }

    /// The points of all `steps` of a run, in their order.
    pub fn all(steps: &[Step]) -> Vec<Self> {
        let before = std::iter::once(None).chain(steps.iter().map(Some));
        steps.iter().zip(before).map(|(step, before)| Self::of(before, step)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: u64, samples: u64, loss: f64, seconds: f64) -> Step {
        let speed = samples as f64 / seconds;
        let line = format!(
            r#"{{"step":{number},"samples":{samples},"loss":{loss},"accuracy":{loss},"images_per_s":{speed},"seconds":{seconds}}}"#
        );
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn a_short_minibatch_is_pooled_with_the_step_before_it() {
        let steps =
            [step(1, 12, 1.0, 1.0), step(2, 12, 2.0, 2.0), step(3, 4, 6.0, 2.0), step(4, 12, 1.5, 1.0)];
        let points: Vec<_> =
            Drawn::all(&steps).iter().map(|d| (d.step, d.loss.unwrap(), d.images_per_s.unwrap())).collect();
        assert_eq!(points, [(1, 1.0, 12.0), (2, 2.0, 6.0), (3, 3.0, 4.0), (4, 1.5, 12.0)]);
    }

    #[test]
    fn what_cannot_be_pooled_is_drawn_as_it_is() {
        let (whole, short) = (step(2, 12, 2.0, 2.0), step(3, 4, 6.0, 2.0));
        assert_eq!(Drawn::of(None, &short).loss, Some(6.0), "the first step of all");
        assert_eq!(
            Drawn::of(Some(&step(1, 12, 2.0, 2.0)), &short).loss,
            Some(6.0),
            "a step is missing between"
        );
        let unknown = Step { loss: None, ..whole.clone() };
        assert_eq!(Drawn::of(Some(&unknown), &short).loss, Some(6.0));
        let broken = Step { loss: None, ..short };
        assert_eq!(Drawn::of(Some(&whole), &broken).loss, None, "no mean stands for what is no number");
    }
}
