//! The folder of a run at the start of the program: the run begins in it, or goes on.

use super::origin::Origin;
use super::recut::recut;
use super::resume::Resume;
use crate::config::Config;
use crate::prepare::{Placement, Prepared};
use crate::record::{Claim, Cut, DataMark, Holds, Place, RunFolder, newest, no_run};
use crate::run_error::RunError;

/// A run's folder, ready for a start.
pub struct Begun {
    /// The folder.
    pub folder: RunFolder,
    /// Whether and where the run is taken up again; `None` for a run that begins.
    pub resume: Option<Resume>,
    /// The messages that the user reads first.
    pub say: Vec<String>,
}

/// Where a run begins or goes on.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// Whether and where it is taken up again.
    pub resume: Option<Resume>,
    /// The origin of its first weights; `None` for its seed. A run that goes on has begun already.
    pub origin: Option<&'a Origin>,
    /// Its nodes.
    pub placement: &'a Placement,
}

/// Claims the folder at `place` and begins the run, or opens it to be resumed. With [`Resume::Auto`], a run that has a
/// name and is not there yet begins, so that one command line serves every start.
///
/// # Errors
/// A folder that cannot be claimed or does not fit, or an origin that does not fit, each in one sentence.
pub async fn begin(place: Place<'_>, start: Start<'_>, prepared: &Prepared) -> Result<Begun, RunError> {
    let Start { resume, origin, placement } = start;
    let config = &prepared.config;
    let mut say = Vec::new();
    let claim = claimed(place, resume, config, &mut say)?;
    let begins = claim.holds == Holds::Nothing && resume == Some(Resume::Auto);
    if begins {
        say.push(format!("beginning the run in {}, where there is none yet", claim.path.display()));
    }
    let Some(resume) = resume.filter(|_| !begins) else {
        let folder = anew(claim, start, prepared, &mut say).await?;
        return Ok(Begun { folder, resume: None, say });
    };
    let after = match resume {
        Resume::Auto => None,
        Resume::Step(step) => Some(step),
    };
    let [per_epoch, _] = prepared.minibatches();
    let mark = DataMark::of(&prepared.sets);
    let (mut folder, changes) = RunFolder::reopen(claim, config, &mark, per_epoch, after)?;
    folder
        .cut_before(|| prepared.cut_by(&changes.began).map(|(network, ranges)| Cut::of(&network, &ranges)))?;
    say.extend(changes.told());
    if matches!(placement, Placement::Local) {
        say.extend(recut(&mut folder, prepared, resume)?);
    }
    say.extend(origin.map(|origin| {
        format!("{} counts where a run begins: this one goes on from its own state", origin.flag())
    }));
    Ok(Begun { folder, resume: Some(resume), say })
}

/// Claims the folder at `place`; what the user is to read about it goes to `say`.
fn claimed(
    place: Place<'_>,
    resume: Option<Resume>,
    config: &Config,
    say: &mut Vec<String>,
) -> Result<Claim, RunError> {
    match (place, resume) {
        (Place::Stem(stem), None) => Claim::free(stem),
        (Place::Stem(stem), Some(_)) => {
            let (claim, message) = newest(stem, config)?;
            say.push(message);
            Ok(claim)
        }
        (Place::At(path), Some(Resume::Step(_))) if !path.exists() => Err(no_run(&path)),
        (Place::At(path), _) => Claim::make(path, "run"),
    }
}

/// Begins the run in the claimed folder. Its origin is settled first, so that a run whose origin does not fit leaves no
/// `run.json`.
async fn anew(
    claim: Claim,
    start: Start<'_>,
    prepared: &Prepared,
    say: &mut Vec<String>,
) -> Result<RunFolder, RunError> {
    let begin = match start.origin {
        Some(origin) => {
            claim.check_free()?;
            let settled = origin.settle(prepared, start.placement, &claim.path).await?;
            say.extend(settled.say);
            Some(settled.begin)
        }
        None => None,
    };
    RunFolder::create(claim, &prepared.config, DataMark::of(&prepared.sets), begin)
}
