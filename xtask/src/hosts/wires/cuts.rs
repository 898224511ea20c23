//! Trainings over wires that lose packets, are slow or long, are cut, and come back.

use super::training::Training;
use super::wire::{self, Delay};
use super::{Bed, Row};
use crate::run::{Failure, say};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The steps of a training, and the step after which a wire is disturbed.
const STEPS: u32 = 24;
const DISTURBED: usize = 6;
/// The steps of a training over wires on which each step takes long.
const FEW_STEPS: u32 = 2;
/// A training that cannot go on ends within this time.
const LIMIT: Duration = Duration::from_secs(15);
/// The exit code of a node that failed or could not be reached.
const NODE: i32 = 4;

/// The digest of a training of so many steps that nothing disturbs.
fn undisturbed_for(bed: &Bed<'_>, steps: u32) -> Result<String, Failure> {
    say(&format!("{steps} steps over undisturbed wires"));
    Training::start(bed, &format!("undisturbed-{steps}"), steps, &[])?.digest()
}

/// The digest of a training that nothing disturbs.
pub fn undisturbed(bed: &Bed<'_>) -> Result<String, Failure> {
    undisturbed_for(bed, STEPS)
}

/// A training goes on over wires that lose, and over slow and long ones.
pub fn bad_wires(bed: &Bed<'_>, digest: &str) -> Result<Vec<Row>, Failure> {
    let network = bed.network;
    let mut rows = Vec::new();
    for percent in [1, 3] {
        wire::lose(network, f64::from(percent) / 100.0)?;
        rows.push(goes_on(bed, &format!("{percent} % of all packets lost"), STEPS, digest)?);
        wire::mend(network)?;
    }
    let few = undisturbed_for(bed, FEW_STEPS)?;
    wire::slow(network, 2)?;
    rows.push(goes_on(bed, "links of 2 Mbit/s", FEW_STEPS, &few)?);
    wire::fast(network)?;
    let delay = Delay::start(bed.scene.root, network, &bed.scene.part("wires")?, 100)?;
    rows.push(goes_on(bed, "every packet 100 ms late", STEPS, digest)?);
    drop(delay);
    Ok(rows)
}

fn goes_on(bed: &Bed<'_>, what: &str, steps: u32, digest: &str) -> Result<Row, Failure> {
    say(what);
    let training = Training::start(bed, &what.replace([' ', '%', '/'], "-"), steps, &[])?;
    let start = Instant::now();
    same(what, &training.digest()?, digest)?;
    Ok(Row::new(what, format!("goes on: {steps} steps in {:.0} s", start.elapsed().as_secs_f64())))
}

/// A wire that comes back: TCP repeats what was lost, or the run goes back to its last snapshot.
pub fn back_again(bed: &Bed<'_>, digest: &str) -> Result<Vec<Row>, Failure> {
    let cases: [(u64, &[&str], &str); 2] = [
        (2, &[], "TCP sends again"),
        (12, &["--restarts", "1"], "`--restarts 1` goes on from the last snapshot"),
    ];
    let row = |(seconds, words, how): (u64, &[&str], &str)| {
        let what = format!("the wire between stages 1 and 2 cut for {seconds} s");
        say(&what);
        let mut training = Training::start(bed, &format!("back-after-{seconds}"), STEPS, words)?;
        training.wait_for_step(DISTURBED)?;
        wire::cut(bed.network, bed.stages[1], bed.stages[2])?;
        sleep(Duration::from_secs(seconds));
        wire::mend(bed.network)?;
        same(&what, &training.digest()?, digest)?;
        Ok(Row::new(&what, format!("goes on: {how}")))
    };
    cases.into_iter().map(row).collect()
}

/// A wire between neighbours that stays cut.
pub fn between_neighbours(bed: &Bed<'_>, digest: &str) -> Result<Row, Failure> {
    let cut = || wire::cut(bed.network, bed.stages[1], bed.stages[2]);
    stays(bed, "the wire between stages 1 and 2 cut", digest, cut, || wire::mend(bed.network))
}

/// The coordinator's wire to a node that stays cut.
pub fn from_the_coordinator(bed: &Bed<'_>, digest: &str) -> Result<Row, Failure> {
    let cut = || wire::cut(bed.network, bed.coordinator, bed.stages[1]);
    stays(bed, "the wire between the coordinator and stage 1 cut", digest, cut, || wire::mend(bed.network))
}

/// A host whose plug is pulled.
pub fn unplugged(bed: &Bed<'_>, digest: &str) -> Result<Row, Failure> {
    let plug = |state| wire::plug(bed.network, bed.stages[1], state);
    stays(bed, "the host of stage 1 unplugged", digest, || plug("down"), || plug("up"))
}

/// The training ends in a sentence within the limit, and goes on when the wire is mended.
fn stays(
    bed: &Bed<'_>,
    what: &str,
    digest: &str,
    cut: impl Fn() -> Result<(), Failure>,
    mend: impl Fn() -> Result<(), Failure>,
) -> Result<Row, Failure> {
    say(what);
    let mut training = Training::start(bed, &what.replace(' ', "-"), STEPS, &[])?;
    training.wait_for_step(DISTURBED)?;
    cut()?;
    let start = Instant::now();
    let status = training.end()?;
    let took = start.elapsed();
    let said = training.last_words();
    let fault = |fault: String| Err(format!("{what}: {fault}; it said: {said}").into());
    if status.code() != Some(NODE) {
        return fault(format!("the training ended with {status}, and not with exit code {NODE}"));
    }
    if took > LIMIT {
        return fault(format!("the training ended after {:.1} s", took.as_secs_f64()));
    }
    if !(said.starts_with("error: ") && said.contains("stage 1")) {
        return fault("the sentence does not name the stage".into());
    }
    mend()?;
    training.resume()?;
    same(what, &training.digest()?, digest)?;
    Ok(Row::new(what, format!("ends after {:.1} s; `--resume auto` goes on: `{said}`", took.as_secs_f64())))
}

fn same(what: &str, digest: &str, undisturbed: &str) -> Result<(), Failure> {
    match digest == undisturbed {
        true => Ok(()),
        false => Err(format!("{what}: the weights differ from those of an undisturbed training").into()),
    }
}
