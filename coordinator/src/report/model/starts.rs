//! The starts of a single run: sentences for the headline, and marks on its charts where the run went on.

use serde::Serialize;
use time::OffsetDateTime;

use super::text::{count, plural};
use crate::record::{How, Start};
use crate::report::Run;

/// The most marks on a chart, the newest ones.
const MARKS: usize = 40;
/// The most starts that have a sentence, the newest ones.
const TOLD: usize = 20;

/// A place on the charts at which another start went on.
#[derive(Debug, PartialEq, Serialize)]
pub struct Mark {
    /// The step after which the start went on.
    pub step: u64,
    /// The word beside the mark.
    pub word: &'static str,
}

/// The marks on the charts of a page about `runs`: those of a single run. Where the run later went back further, the
/// steps of a start are no longer on the charts, and it has no mark.
pub fn marks(runs: &[Run]) -> Vec<Mark> {
    let [run] = runs else { return Vec::new() };
    let mut marks: Vec<Mark> = Vec::new();
    for start in &run.starts {
        marks.retain(|earlier| earlier.step < start.after);
        if start.after > 0 {
            let word = if start.how == How::RolledBack { "rolled back" } else { "resumed" };
            marks.push(Mark { step: start.after, word });
        }
    }
    marks.drain(..marks.len().saturating_sub(MARKS));
    marks
}

/// A sentence for each of the newest starts of a run; none for a run that began and went on to its end.
pub fn sentences(run: &Run) -> Vec<String> {
    match &run.starts[..] {
        [] | [Start { how: How::Begun, .. }] => Vec::new(),
        starts => {
            let earlier = starts.len().saturating_sub(TOLD);
            let more = (earlier > 0)
                .then(|| format!("{} before these: see run.json.", plural(earlier as u64, "start")));
            more.into_iter().chain(starts[earlier..].iter().map(sentence)).collect()
        }
    }
}

fn sentence(start: &Start) -> String {
    let Start { how, after, reached, .. } = start;
    let what = match (how, after) {
        (How::Begun, _) => "Begun".to_owned(),
        (How::Resumed, 0) => "Resumed from the beginning".to_owned(),
        (How::Resumed, step) => format!("Resumed after step {}", count(step)),
        (How::RolledBack, 0) => "Rolled back to the beginning after a failure".to_owned(),
        (How::RolledBack, step) => format!("Rolled back to step {} after a failure", count(step)),
    };
    let again = match reached.saturating_sub(*after) {
        0 => String::new(),
        1 => format!("; step {} was run again", count(reached)),
        _ => format!("; steps {} to {} were run again", count(&(after + 1)), count(reached)),
    };
    format!("{what} on {}{again}.", moment(start.unix_time))
}

/// A moment in UTC, to the minute.
fn moment(unix_time: u64) -> String {
    let seconds = i64::try_from(unix_time).unwrap_or(i64::MAX);
    match OffsetDateTime::from_unix_timestamp(seconds) {
        Ok(at) => format!("{} at {:02}:{:02} UTC", at.date(), at.hour(), at.minute()),
        Err(_) => "an unknown day".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(how: How, after: u64, reached: u64) -> Start {
        Start { incarnation: 1, how, after, reached, unix_time: 1_700_000_000 }
    }

    #[test]
    fn every_start_is_told_and_those_whose_steps_stand_are_marked() {
        let told = |how, after, reached| sentence(&start(how, after, reached));
        assert_eq!(told(How::Begun, 0, 0), "Begun on 2023-11-14 at 22:13 UTC.");
        let again = "Rolled back to step 1,010 after a failure on 2023-11-14 at 22:13 UTC; steps 1,011 to 1,017 were run again.";
        assert_eq!(told(How::RolledBack, 1010, 1017), again);
        assert!(told(How::Resumed, 4, 5).ends_with("; step 5 was run again."));
        assert!(told(How::Resumed, 0, 5).starts_with("Resumed from the beginning on"));
        let far = Start { unix_time: u64::MAX, ..start(How::Resumed, u64::MAX, 3) };
        assert!(sentence(&far).ends_with("on an unknown day."), "{}", sentence(&far));

        let starts =
            [(How::Begun, 0, 0), (How::Resumed, 20, 20), (How::Resumed, 30, 34), (How::RolledBack, 30, 33)];
        let starts: Vec<Start> = starts.map(|(how, after, reached)| start(how, after, reached)).into();
        let run = |starts: &[Start]| Run { starts: starts.to_vec(), ..Run::default() };
        let mark = |step, word| Mark { step, word };
        assert_eq!(marks(&[run(&starts)]), [mark(20, "resumed"), mark(30, "rolled back")]);
        let mut back = starts.clone();
        back.push(start(How::Resumed, 10, 40));
        assert_eq!(marks(&[run(&back)]), [mark(10, "resumed")]);
        assert_eq!((marks(&[run(&starts), run(&starts)]), sentences(&run(&starts)).len()), (vec![], 4));
        assert!(sentences(&run(&starts[..1])).is_empty());
        let many: Vec<Start> = starts.iter().cycle().take(24).cloned().collect();
        let many = sentences(&run(&many));
        assert_eq!((many.len(), many[0].as_str()), (21, "4 starts before these: see run.json."));
    }
}
