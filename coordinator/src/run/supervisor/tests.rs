//! Tests of the supervisor as transcripts: an event, an arrow, and the commands that follow the event.
//!
//! Between two commands of a line stands the event by which the first command succeeded. Commands are `find`,
//! `ask`, `back` (rewind, with the snapshots in common), `open` (with the step restored), `take`, `close`,
//! `release`, `again` (restart) and `end`. Submitted items are training steps (`7`), evaluations (`E1`), snapshots
//! (`S3`) and mirror steps (`A20`).

use super::*;
use crate::config::{self, Environment};
use crate::data::Sampler;

/// The course under these keys, with four minibatches per epoch and two in the test set.
fn course_of(keys: &[&str], delay: u64) -> Course {
    ahead_by(keys, delay, 0)
}

/// The same, of a pipeline whose stages run forwards of `lookahead` steps ahead.
fn ahead_by(keys: &[&str], delay: u64, lookahead: u64) -> Course {
    let text = "train.batch = 4\n[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"linear\"\nout = 10";
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let config = config::parse(text, "c.toml", &keys, &Environment::empty()).unwrap();
    let sampler = Sampler::new(0, 16, 4, config.train.remainder).unwrap();
    Course::new(&config, sampler, 8, delay, lookahead)
}

/// Eight steps in two epochs, with a snapshot after every third.
fn course(delay: u64) -> Course {
    course_of(&["train.epochs=2", "snapshot.every_steps=3"], delay)
}

struct Story<'a> {
    supervisor: Supervisor<'a>,
    said: Vec<String>,
    now: Duration,
}

impl<'a> Story<'a> {
    fn of(course: &'a Course, resume: Option<Resume>, restarts: u32) -> Self {
        let supervisor = Supervisor::new(course, "runs/r".into(), resume, restarts);
        Self { supervisor, said: Vec::new(), now: Duration::ZERO }
    }

    fn on(&mut self, event: Event) -> Command {
        let Decision { say, command } = self.supervisor.on(event, self.now);
        self.said.extend(say);
        command
    }

    /// Plays lines of `event → commands`.
    fn plays(&mut self, transcript: &str) -> &mut Self {
        for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let Some((event, due)) = line.split_once(" → ") else {
                match line {
                    "stop" => self.supervisor.stop(),
                    "later" => self.now += Duration::from_secs(1),
                    "leave" => self.supervisor.leave(&RunError::node("why: a node is being stopped")),
                    _ => panic!("no line: {line}"),
                }
                continue;
            };
            let due: Vec<&str> = due.split(' ').collect();
            let mut command = self.on(event_of(event));
            let mut found = vec![word(&command)];
            while found.len() < due.len() {
                command = self.on(success(&command));
                found.push(word(&command));
            }
            assert_eq!(found, due, "after '{event}'; said: {:#?}", self.said);
        }
        self
    }

    fn said(&self, line: &str) -> &Self {
        assert!(self.said.iter().any(|said| said.contains(line)), "'{line}' is not in {:#?}", self.said);
        self
    }
}

/// The event at the beginning of a line.
fn event_of(text: &str) -> Event {
    let steps = |list: &str| list.split('+').filter_map(|step| step.parse().ok()).collect();
    let number = |text: &str| text.parse().unwrap();
    let failed = |cause| Event::Failed(RunError::new(cause, format!("why: {text}")));
    match text.split(' ').collect::<Vec<_>>()[..] {
        ["begun"] => Event::Begun,
        ["submitted"] => Event::Submitted,
        ["taken"] => Event::Taken,
        ["stopped"] => Event::Stopped,
        // As in `held 3+6 3 written 8 saved 6`: the snapshots by stage, and the state of the run's folder.
        ["held", one, two, "written", written, "saved", saved] => Event::Held(Survey {
            snapshots: [one, two].map(steps).into(),
            other_cut: Vec::new(),
            imported: steps(""),
            written: number(written),
            saved: number(saved),
        }),
        ["busy"] => Event::Busy(1),
        ["node", "fails"] => failed(Cause::Node),
        ["snapshot", "gone"] => failed(Cause::SnapshotGone),
        ["disk", "full"] => failed(Cause::Internal),
        ["law", "broken"] => failed(Cause::Violation),
        _ => panic!("no event: {text}"),
    }
}

/// The event of a command that succeeded.
fn success(command: &Command) -> Event {
    match command {
        Command::Find => Event::Found(vec![Peer::stage(0).at("a:1"), Peer::stage(1).at("b:2")]),
        Command::Rewind(_) => Event::Rewound,
        Command::Open(_) => Event::Opened,
        Command::Submit(_) => Event::Submitted,
        Command::Take => Event::Taken,
        Command::Close => Event::Closed,
        Command::Release => Event::Released,
        Command::Restart => Event::Begun,
        Command::Ask(_) | Command::End(_) => panic!("nothing follows {command:?} by itself"),
    }
}

fn word(command: &Command) -> String {
    match command {
        Command::Find => "find".into(),
        Command::Ask(pause) if pause.is_zero() => "ask".into(),
        Command::Ask(_) => "ask-later".into(),
        Command::Rewind(common) => {
            common.held.iter().fold("back".into(), |word, step| format!("{word}+{step}"))
        }
        Command::Open(None) => "open".into(),
        Command::Open(Some(step)) => format!("open+{step}"),
        Command::Submit(Item::Minibatch(minibatch)) if minibatch.phase == Phase::Evaluate => {
            format!("E{}", minibatch.step)
        }
        Command::Submit(Item::Minibatch(minibatch)) => minibatch.step.to_string(),
        Command::Submit(Item::Snapshot { step }) => format!("S{step}"),
        Command::Submit(Item::Align(align)) => format!("A{}", align.done + align.steps),
        Command::Take => "take".into(),
        Command::Close => "close".into(),
        Command::Release => "release".into(),
        Command::Restart => "again".into(),
        Command::End(Ok(())) => "end".into(),
        Command::End(Err(failure)) => format!("end:{:?}", failure.cause),
    }
}

#[test]
fn an_undisturbed_run_keeps_three_items_in_the_pipeline_up_to_its_end() {
    let course = course(0);
    Story::of(&course, None, 0)
        .plays(
            "begun → find back open 1 2 3 take S3 take 4 take E1 take E2 take 5 take 6 take S6 take 7 take 8 take S8 take \
             E1 take E2 take take take close release end",
        )
        .said("2 stages connected; run folder runs/r");
}

#[test]
fn a_snapshot_waits_until_all_nodes_have_the_one_before() {
    let course = course_of(&["train.max_steps=3", "snapshot.every_steps=1"], 0);
    Story::of(&course, None, 0).plays(
        "begun → find back open 1 S1 2 take take S2 3 take take S3 E1 take E2 take take take close release end",
    );
}

#[test]
fn an_evaluation_follows_every_so_many_steps_and_every_epoch_each_behind_a_snapshot() {
    let course = course_of(&["train.epochs=2", "train.evaluate_every=3", "snapshot.best=true"], 0);
    let items =
        |done| course.items(done).map(|item| word(&Command::Submit(item))).collect::<Vec<_>>().join(" ");
    assert_eq!(items(0), "1 2 3 S3 E1 E2 4 S4 E1 E2 5 6 S6 E1 E2 7 8 S8 E1 E2");
    assert_eq!(items(6), "E1 E2 7 8 S8 E1 E2", "a resumed run may have missed that of its last step");
    let before: Vec<u64> = (1..=9).map(|step| course.evaluated_before(step).unwrap_or(0)).collect();
    assert_eq!(before, [0, 0, 0, 3, 4, 4, 6, 6, 8]);
}

#[test]
fn the_delay_phase_comes_before_the_first_update_and_never_again() {
    let course = course(30);
    Story::of(&course, None, 0).plays("begun → find back open A20 A30 1 take 2 take 3");
    let mut resumed = Story::of(&course, Some(Resume::Auto), 0);
    resumed.plays(
        "begun → find ask
         held 3 3 written 5 saved 3 → back+3 open+3 4 E1 E2 take",
    );
}

#[test]
fn an_interrupted_run_finishes_its_steps_and_saves() {
    let course = course(0);
    let story = &mut Story::of(&course, None, 3);
    story.plays(
        "begun → find back open 1 2 3 take
         stop
         taken → take take S3 take close release end:Interrupted",
    );
    let mut resumed = Story::of(&course, Some(Resume::Auto), 0);
    resumed.plays(
        "begun → find ask
         held 3 3 written 3 saved 3 → back+3 open+3 4 E1 E2 take",
    );
    resumed.said("going on after step 3, from the snapshot that all nodes have");
}

#[test]
fn a_node_that_is_being_stopped_ends_the_start_in_order() {
    let course = course(0);
    let left = "begun → find back open 1 2 3 take
         leave
         taken → take take S3 take close release";
    Story::of(&course, None, 0).plays(&format!("{left} end:Node"));
    let again = &mut Story::of(&course, None, 1);
    again.plays(&format!(
        "{left} again find ask
         held 3 3 written 3 saved 3 → back+3 open+3 4 E1 E2 take"
    ));
    again.said("why: a node is being stopped; rolling back and going on (0 restarts left)");
    // All processes of a run may be asked to stop at once: the run is then interrupted.
    Story::of(&course, None, 1).plays(
        "begun → find back open 1 2 3 take
         leave
         stop
         taken → take take S3 take close release end:Interrupted",
    );
    Story::of(&course, None, 0).plays("begun → find back open 1 2 3\nleave\nnode fails → release end:Node");
}

#[test]
fn an_interrupt_before_the_first_update_saves_nothing() {
    let course = course(1_000_000);
    Story::of(&course, None, 0).plays(
        "begun → find back open A20 A40 A60 take
         stop
         taken → take take close release end:Interrupted",
    );
    Story::of(&course, None, 0).plays(
        "begun → find
         stop
         stopped → release end:Interrupted",
    );
}

#[test]
fn an_interrupt_in_the_last_evaluation_leaves_it_to_the_next_start() {
    let course = course(0);
    Story::of(&course, Some(Resume::Step(6)), 0).plays(
        "begun → find ask
         held 6 6 written 6 saved 6 → back+6 open+6 7 8 S8 take E1 take
         stop
         taken → take take S8 take close release end:Interrupted",
    );
    Story::of(&course, Some(Resume::Auto), 0).plays(
        "begun → find ask
         held 6+8 8 written 8 saved 8 → back+8 open+8 E1 E2 take take close release end",
    );
}

#[test]
fn a_failed_node_is_rolled_back_as_often_as_was_asked_for() {
    let course = course(0);
    let story = &mut Story::of(&course, None, 2);
    story.plays(
        "begun → find back open 1 2 3 take S3 take 4 take E1 take E2
         node fails → release again find ask
         held 3 3 written 4 saved 3 → back+3 open+3 4 E1 E2 take
         node fails → release again find
         node fails → release end:Node",
    );
    story.said("why: node fails; rolling back and going on (1 restarts left)").said("(0 restarts left)");
    story.said("steps 4 to 4 are run again");
    // A restart does not help if a law is broken, the disk is full, or the user has stopped the run.
    for failure in ["law broken → release end:Violation", "disk full → release end:Internal"] {
        Story::of(&course, None, 2).plays("begun → find back open 1").plays(failure);
    }
    Story::of(&course, None, 2).plays("begun → find back open 1 2\nstop\nnode fails → release end:Node");
}

#[test]
fn a_damaged_snapshot_leads_to_the_one_before_as_long_as_there_is_one() {
    let course = course(0);
    let story = &mut Story::of(&course, Some(Resume::Auto), 0);
    story.plays(
        "begun → find ask
         held 3+6 3+6 written 7 saved 6 → back+3+6 open+6
         snapshot gone → release again find ask
         held 3+6 3 written 6 saved 6 → back+3 open+3
         snapshot gone → release again find ask
         held 6 3 written 3 saved 3 → release end:StateGone",
    );
    story.said("going back to the one before").said("steps 4 to 6 are run again");
    // A refused snapshot is not tried again, nor is a snapshot that was asked for by its step.
    Story::of(&course, Some(Resume::Auto), 0).plays(
        "begun → find ask
         held 3 3 written 3 saved 3 → back+3 open+3
         snapshot gone → release again find ask
         held 3 3 written 3 saved 3 → back+3 open+3
         snapshot gone → release end:SnapshotGone",
    );
    Story::of(&course, Some(Resume::Step(3)), 0).plays(
        "begun → find ask
         held 3 3 written 3 saved 3 → back+3 open+3
         snapshot gone → release end:SnapshotGone",
    );
}

#[test]
fn state_that_all_nodes_had_is_not_given_up_unasked() {
    let course = course(0);
    let story = &mut Story::of(&course, Some(Resume::Auto), 3);
    story.plays(
        "begun → find ask
         held 3+6 - written 7 saved 6 → release end:StateGone",
    );
    story.said("stage 1 at b:2 holds no snapshot of this run");
    Story::of(&course, Some(Resume::Step(0)), 0)
        .plays("begun → find ask\nheld 3+6 - written 7 saved 6 → back open 1")
        .said("beginning from the seed")
        .said("steps 1 to 7 are run again");
    Story::of(&course, Some(Resume::Step(2)), 0)
        .plays("begun → find ask\nheld 3+6 6 written 7 saved 6 → release end:Configuration");
}

#[test]
fn starts_without_a_step_are_followed_by_growing_pauses() {
    let course = course(0);
    let story = &mut Story::of(&course, Some(Resume::Auto), 9);
    let pause = |story: &mut Story<'_>| {
        let command = story.on(Event::Found(vec![Peer::stage(0).at("a:1"), Peer::stage(1).at("b:2")]));
        let Command::Ask(pause) = command else { panic!("{command:?}") };
        pause.as_secs()
    };
    let mut pauses = vec![pause(story)];
    for _ in 0..7 {
        story.plays("node fails → release again find");
        pauses.push(pause(story));
    }
    assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30, 30]);
    story.plays("held - - written 0 saved 0 → back open 1 2 3\ntaken → S3\nnode fails → release again find");
    assert_eq!(pause(story), 0, "a start with a step is as good as the first");
}

#[test]
fn a_node_that_works_for_an_earlier_start_is_waited_for() {
    let course = course(0);
    let story = &mut Story::of(&course, Some(Resume::Auto), 0);
    story.plays("begun → find ask");
    // Another node has been missing for an hour, so this answer may be as old.
    let hour = Duration::from_secs(3600);
    story.now = hour;
    story.plays("busy → ask-later\nbusy → ask-later");
    story.now = hour + RELEASE_DEADLINE;
    story.plays("busy → release end:Node");
}

#[test]
fn the_halves_of_a_stage_are_told_apart() {
    let course = course(0);
    let halves = || vec![Peer::stage(0).at("a:1"), Peer::of(Role::Backward(0)).at("b:2")];
    let story = &mut Story::of(&course, None, 0);
    for event in [Event::Begun, Event::Found(halves()), Event::Rewound, Event::Opened] {
        story.on(event);
    }
    story.said("1 stage and 1 backward node connected; run folder runs/r");

    let story = &mut Story::of(&course, Some(Resume::Auto), 0);
    story.on(Event::Begun);
    story.on(Event::Found(halves()));
    story.plays("held 3+6 - written 7 saved 6 → release end:StateGone");
    story.said("stage 0, backward at b:2 holds no snapshot of this run");
    story.on(Event::Busy(1));
    story.now = RELEASE_DEADLINE;
    let Command::Release = story.on(Event::Busy(1)) else { panic!("a busy node ends the start") };
    let Command::End(Err(failure)) = story.on(Event::Released) else { panic!("the run is over") };
    assert!(failure.sentence.starts_with("stage 0, backward at b:2 still works for an earlier start"));
}

/// A drain follows every fourth step, with a snapshot. Forwards of one later step run before an update, so one more item is
/// under way.
fn asynchronous() -> Course {
    ahead_by(&["train.epochs=2", "snapshot.every_steps=4", "pipeline.schedule=asynchronous"], 0, 1)
}

/// Five steps, of which each took a second, the last snapshot, and the evaluation after it; then steps 5 and 6 are under way.
const TO_STEP_4: &str = "
    begun → find back open 1 2 3 4 take
    later
    taken → S4 take
    later
    taken → E1 take
    later
    taken → E2 take
    later
    taken → 5 take
    taken → 6 take";

#[test]
fn an_asynchronous_run_that_is_stopped_goes_on_to_its_next_drain() {
    let course = asynchronous();
    let drains: Vec<u64> = (1..=8).filter(|step| course.drains(*step)).collect();
    assert_eq!(drains, [4, 8]);
    let mut story = Story::of(&course, None, 0);
    story.plays(TO_STEP_4).plays(
        "stop
         taken → 7 take 8 take take take take S8 take close release end:Interrupted",
    );
}

/// A drain that is too far away is not awaited: the state between two drains cannot be saved.
#[test]
fn between_drains_a_run_falls_back_to_the_newest_snapshot() {
    let course = asynchronous();
    let mut story = Story::of(&course, None, 1);
    story.plays(TO_STEP_4).plays(
        "leave
         taken → release again find ask
         held 4 4 written 4 saved 4 → back+4 open+4",
    );
    story.said("rolling back and going on").said("going on after step 4");

    let mut story = Story::of(&course, None, 0);
    story.plays(TO_STEP_4).plays(&"later\n".repeat(60)).plays(
        "stop
         taken → release end:Interrupted",
    );
}
