//! Checks lists of actions as lanes, for the fuzzer and for the corpus test.

use proto::lane::{Action, Lane, WeightVersion};
use proto::microbatch::MicrobatchId;
use proto::microbatch::Phase;

/// The first byte gives the phase. Every other byte is an action: its kind in the upper two bits, its step in the
/// next two, its microbatch in the others. An accepted lane runs every action once and in order.
pub fn run(bytes: &[u8]) {
    let Some((phase, bytes)) = bytes.split_first() else { return };
    let phase = if phase % 2 == 0 { Phase::Train } else { Phase::Evaluate };
    let action = |byte: &u8| {
        let m = MicrobatchId { step: u64::from(byte >> 4 & 3), index: u32::from(byte & 15) };
        match byte >> 6 {
            0 => Action::Forward(m),
            1 => Action::Error(m),
            2 => Action::Gradient(m),
            _ => Action::Update(m.step),
        }
    };
    let actions: Vec<Action> = bytes.iter().map(action).collect();
    let Ok(lane) = Lane::new(phase, WeightVersion::OfForward, actions) else { return };
    let place = |wanted: Action| {
        let mut places = (0..).zip(lane.actions()).filter(|(_, action)| **action == wanted).map(|(at, _)| at);
        let first: Option<usize> = places.next();
        assert_eq!(places.next(), None, "{wanted:#} is there once at most");
        first
    };
    let mut count = 0;
    let mut updated = None;
    for (step, &microbatches) in (lane.first()..).zip(lane.microbatches()) {
        let update = place(Action::Update(step));
        assert_eq!(update.is_some(), phase == Phase::Train);
        assert!(microbatches > 0 && (updated < update || phase == Phase::Evaluate));
        for m in (0..microbatches).map(|index| MicrobatchId { step, index }) {
            let [forward, error, gradient] =
                [Action::Forward(m), Action::Error(m), Action::Gradient(m)].map(place);
            assert!(forward.is_some());
            match phase {
                Phase::Train => {
                    assert!(updated < forward && forward < error && error < gradient && gradient < update)
                }
                Phase::Evaluate => assert!(error.is_none() && gradient.is_none()),
            }
            count += [forward, error, gradient].iter().flatten().count();
        }
        count += usize::from(update.is_some());
        updated = update;
    }
    assert_eq!(count, lane.actions().len(), "the lane does nothing else");
    let other = lane.starting_at(9);
    assert_eq!(Lane::new(phase, lane.version(), other.actions().to_vec()), Ok(other));
}
