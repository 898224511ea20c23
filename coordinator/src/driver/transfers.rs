//! The messages of a node in a step, computed from its specification and its lane: a timeline can name no others.

use proto::error::ProtocolError;
use proto::lane::{Action, Lane};
use proto::link::{Carried, Role};
use proto::microbatch::Phase;
use proto::spec::stage::{Half, StageSpec};
use proto::timeline::{MAX_TRANSFERS, Timeline, Transfer};
use std::collections::HashSet;

/// A message of a step, at one of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Due {
    /// The process at the other end.
    pub peer: Role,
    /// Whether this end sends the message.
    pub sent: bool,
    /// The kind of the message's values.
    pub carried: Carried,
    /// The index of the microbatch.
    pub microbatch: u32,
    /// The form of the message.
    pub form: u32,
}

/// The messages of a node.
pub struct Transfers {
    half: Half,
    /// The neighbours below and above, or the other half of the stage twice.
    peers: [Role; 2],
    /// The other half of the stage.
    other: Role,
    /// The kind and form of each message between the halves for a microbatch, and whether the node sends it.
    split: Vec<(bool, Carried, u32)>,
    /// The forms of the noise of mirror steps.
    noise: Vec<u32>,
}

impl Transfers {
    /// The messages of the node `spec`.
    ///
    /// # Errors
    /// Shapes that do not fit, by the layer's name.
    pub fn of(spec: &StageSpec) -> Result<Self, ProtocolError> {
        let (index, forward) = (spec.index, spec.half == Half::Forward);
        let below = index.checked_sub(1).map_or(Role::Coordinator, Role::Stage);
        let above = if index + 1 < spec.stages { Role::Stage(index + 1) } else { Role::Coordinator };
        let other = if forward { Role::Backward(index) } else { Role::Stage(index) };
        let (mut split, mut noise) = (Vec::new(), Vec::new());
        for crossing in spec.crossings()? {
            let there = [&crossing.sample, &crossing.error].into_iter().flatten();
            split.extend(there.map(|parcel| (forward, Carried::LayerValues, parcel.form)));
            let back = crossing.returned.iter();
            split.extend(back.map(|parcel| (!forward, Carried::ErrorSignals, parcel.form)));
            noise.extend(crossing.noise.iter().map(|parcel| parcel.form));
        }
        Ok(Self { half: spec.half, peers: [below, above], other, split, noise })
    }

    /// Every message of a step in which the node follows `lane`, up to the most that a timeline holds.
    pub fn due(&self, lane: &Lane) -> Vec<Due> {
        let mut due = Vec::new();
        for action in lane.actions() {
            if due.len() >= MAX_TRANSFERS {
                break;
            }
            match action {
                Action::Forward(m) => self.microbatch(lane.phase(), m.index, &mut due),
                Action::Update(_) => {
                    let (peer, sent) = (self.other, self.half == Half::Forward);
                    let noise =
                        |&form| Due { peer, sent, carried: Carried::LayerValues, microbatch: 0, form };
                    due.extend(self.noise.iter().map(noise));
                }
                Action::Error(_) | Action::Gradient(_) => {}
            }
        }
        due.truncate(MAX_TRANSFERS);
        due
    }

    fn microbatch(&self, phase: Phase, microbatch: u32, due: &mut Vec<Due>) {
        let [below, above] = self.peers;
        let mut add = |peer, sent, carried, form| due.push(Due { peer, sent, carried, microbatch, form });
        if self.half == Half::Forward {
            add(below, false, Carried::Activations, 0);
            add(above, true, Carried::Activations, 0);
        }
        if phase == Phase::Evaluate {
            return;
        }
        if self.half == Half::Forward {
            add(above, false, Carried::ErrorSignals, 0);
            add(below, true, Carried::ErrorSignals, 0);
        }
        self.split.iter().for_each(|&(sent, carried, form)| add(self.other, sent, carried, form));
    }

    /// Checks the messages of a timeline.
    ///
    /// # Errors
    /// A sentence about a message that the step does not have, or whose times cannot be true.
    pub(super) fn check(&self, timeline: &Timeline, lane: &Lane) -> Result<(), String> {
        let mut left: HashSet<Due> = self.due(lane).into_iter().collect();
        // A full timeline lacks the messages that came last, and `due` those of the last microbatches.
        let is_whole = left.len() < MAX_TRANSFERS;
        for transfer in &timeline.transfers {
            let &Transfer { peer, sent, carried, microbatch, form, start_ns, end_ns, .. } = transfer;
            if !left.remove(&Due { peer, sent, carried, microbatch, form }) && is_whole {
                let way = if sent { "to" } else { "from" };
                return Err(format!(
                    "its timeline has a message {way} {peer} for microbatch {microbatch} that the step does not have"
                ));
            }
            if start_ns > end_ns {
                return Err(format!(
                    "a message of microbatch {microbatch} ends before it begins in its timeline"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::spec::graph::{Init, LayerSpec, Op, Value};
    use proto::spec::rule::{Coefficients, RuleSpec};

    /// Stage 1 of 3, of one dense layer under feedback alignment, whose B is on another host if `split`.
    fn stage(split: bool) -> StageSpec {
        let rule = RuleSpec::learned("feedback_alignment", false, Coefficients::default());
        let op = Op::Linear { out: 2, bias: false, init: Init::FanIn };
        let layer = LayerSpec { rule, split, ..LayerSpec::new("dense", &["below"], op) };
        let inputs = vec![Value { name: "below".into(), shape: vec![3] }];
        StageSpec { index: 1, stages: 3, ..StageSpec::alone(vec![layer], inputs) }
    }

    fn lane() -> Lane {
        let actions = "F0 F1 E0 G0 E1 G1 U".split(' ').map(|word| word.parse().unwrap()).collect();
        Lane::new(Phase::Train, Default::default(), actions).unwrap()
    }

    fn messages(spec: &StageSpec, lane: &Lane) -> Vec<String> {
        let shown = |Due { peer, sent, carried, microbatch, .. }: Due| {
            format!("{} {peer} {carried:?} {microbatch}", if sent { "to" } else { "from" })
        };
        Transfers::of(spec).unwrap().due(lane).into_iter().map(shown).collect()
    }

    #[test]
    fn the_messages_follow_from_the_lane_and_the_rule() {
        let (plain, split) = (stage(false), stage(true));
        let of_first = ["from stage 0 Activations 0", "to stage 2 Activations 0"];
        let back = ["from stage 2 ErrorSignals 0", "to stage 0 ErrorSignals 0"];
        let found = messages(&plain, &lane());
        assert_eq!(found.len(), 8);
        assert!(found[..4].iter().eq([of_first, back].as_flattened()), "{found:?}");
        assert_eq!(messages(&plain, &Lane::evaluate(1)), of_first);
        let halves = ["to stage 1, backward LayerValues 0", "from stage 1, backward ErrorSignals 0"];
        let found = messages(&split, &lane());
        assert!(
            found.len() == 12 && halves.iter().all(|half| found.contains(&(*half).to_owned())),
            "{found:?}"
        );
        let half = split.backward_half().unwrap();
        let due = ["from stage 1 LayerValues 0", "to stage 1 ErrorSignals 0"];
        assert_eq!(messages(&half, &lane())[..2], due);
    }

    #[test]
    fn a_timeline_with_another_message_or_with_one_twice_is_not_true() {
        let (transfers, lane) = (Transfers::of(&stage(false)).unwrap(), lane());
        let known = Transfer::of((Role::Stage(0), false, Carried::Activations), (0, 0), 8, [1, 2]);
        let check = |all: &[Transfer]| {
            transfers.check(&Timeline { transfers: all.to_vec(), ..Timeline::default() }, &lane)
        };
        assert_eq!(check(&[known]), Ok(()));
        for stranger in [
            Transfer { microbatch: 2, ..known },
            Transfer { peer: Role::Stage(2), ..known },
            Transfer { sent: true, ..known },
            Transfer { form: 1, ..known },
        ] {
            assert!(check(&[known, stranger]).unwrap_err().contains("that the step does not have"));
        }
        assert!(
            check(&[known, known]).unwrap_err().contains("that the step does not have"),
            "it comes twice"
        );
        assert!(check(&[Transfer { start_ns: 3, ..known }]).unwrap_err().contains("ends before it begins"));
    }
}
