//! The microbatches that a stage holds: those between their F and their E, and those between their E and their G, which
//! take another number of bytes.
//!
//! ```text
//!                   F0 F1 F2 E0 F3 E1 G0 F4 …
//! before their E     0  1  2  2  2  2     2       beside the microbatch at work, where it begins an F or an E
//! before their G     0  0  0  0  1  1     1
//! ```

use proto::lane::{Action, Lane};

/// The microbatches that a stage holds beside the one at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    before_error: u32,
    before_gradient: u32,
}

impl Moment {
    /// Whether `other` holds no more of either kind.
    fn covers(self, other: Self) -> bool {
        self.before_error >= other.before_error && self.before_gradient >= other.before_gradient
    }
}

/// The moments of a lane of which one needs the most memory, whatever a microbatch takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held(Vec<Moment>);

impl Held {
    /// What the stage of `lane` holds in training.
    pub fn of(lane: &Lane) -> Self {
        let (mut now, mut most) = (Moment { before_error: 0, before_gradient: 0 }, Self::default());
        for action in lane.actions() {
            match action {
                Action::Forward(_) => {
                    most.add(now);
                    now.before_error += 1;
                }
                Action::Error(_) => {
                    now.before_error -= 1;
                    most.add(now);
                    now.before_gradient += 1;
                }
                Action::Gradient(_) => now.before_gradient -= 1,
                Action::Update(_) => {}
            }
        }
        most
    }

    fn add(&mut self, moment: Moment) {
        if !self.0.iter().any(|known| known.covers(moment)) {
            self.0.retain(|known| !moment.covers(*known));
            self.0.push(moment);
        }
    }

    /// The most bytes at one moment, where `work` are those of the microbatch at work, and each other one takes
    /// `before_error` or `before_gradient`.
    pub fn bytes(&self, work: u64, before_error: u64, before_gradient: u64) -> u64 {
        let others = |moment: &Moment| {
            u64::from(moment.before_error) * before_error
                + u64::from(moment.before_gradient) * before_gradient
        };
        self.0.iter().map(|moment| work + others(moment)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::tests::small_shapes;
    use crate::pipeline::{Schedule, Shape, lane, lanes};

    #[test]
    fn as_many_microbatches_as_the_lane_holds_count_alike() {
        for (schedule, shape) in small_shapes() {
            for lane in lanes(schedule, shape) {
                assert_eq!(Held::of(&lane).bytes(1, 1, 1), u64::from(lane.held()), "{schedule} {shape:?}");
            }
        }
    }

    /// Only a schedule that puts G off holds errors beside the one at work.
    #[test]
    fn zero_bubble_holds_errors_where_others_hold_none() {
        let shape = Shape::new(4, 16, 1).unwrap();
        let held = |schedule| Held::of(&lane(schedule, 3, shape));
        let of = |schedule| [[1, 1, 0], [0, 0, 1]].map(|[work, e, g]| held(schedule).bytes(work, e, g));
        assert_eq!(of(Schedule::OneFOneB), [2, 0]);
        assert_eq!(of(Schedule::Gpipe), [16, 0]);
        assert_eq!(of(Schedule::ZeroBubble), [2, 3], "5 in all, of which 2 are before their E");
    }
}
