use proto::lane::{Action, Lane, Phase};

/// A byte per action: its kind in the upper two bits, its microbatch in the others. A lane that is taken
/// does everything once and in order.
pub fn run(bytes: &[u8]) {
    let Some((phase, bytes)) = bytes.split_first() else { return };
    let phase = if phase % 2 == 0 { Phase::Train } else { Phase::Evaluate };
    let action = |byte: &u8| match (byte >> 6, u32::from(byte & 63)) {
        (0, m) => Action::Forward(m),
        (1, m) => Action::Error(m),
        (2, m) => Action::Gradient(m),
        _ => Action::Update,
    };
    let actions: Vec<Action> = bytes.iter().map(action).collect();
    let Ok(lane) = Lane::new(phase, actions) else { return };
    let of = |make: fn(u32) -> Action| {
        let at = |m| lane.actions().iter().filter(|action| **action == make(m)).count();
        (0..lane.microbatches()).all(|m| at(m) == 1)
    };
    assert!(lane.microbatches() > 0 && of(Action::Forward));
    let trains = of(Action::Error) && of(Action::Gradient) && lane.actions().last() == Some(&Action::Update);
    assert_eq!(trains, phase == Phase::Train);
    let updates = lane.actions().iter().filter(|action| **action == Action::Update).count();
    assert_eq!(updates, usize::from(trains));
    for m in 0..lane.microbatches() {
        let place = |wanted| lane.actions().iter().position(|action| *action == wanted);
        let [forward, error, gradient] =
            [Action::Forward(m), Action::Error(m), Action::Gradient(m)].map(place);
        assert!(!trains || (forward < error && error < gradient));
    }
}
