//! The folder of a run at the start of the program: the run begins in it, or goes on.

use super::resume::Resume;
use crate::prepare::Prepared;
use crate::record::{Claim, DataMark, Holds, Place, RunFolder, newest, no_run};
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

/// Claims the folder at `place` and begins the run, or opens it to `resume`. With [`Resume::Auto`], a run that has a
/// name and is not there yet begins, so that one command line serves every start.
///
/// # Errors
/// A folder that cannot be claimed or does not fit, each in one sentence.
pub fn begin(place: Place<'_>, resume: Option<Resume>, prepared: &Prepared) -> Result<Begun, RunError> {
    let (config, mark) = (&prepared.config, DataMark::of(&prepared.sets));
    let mut say = Vec::new();
    let claim = match (place, resume) {
        (Place::Stem(stem), None) => Claim::free(stem)?,
        (Place::Stem(stem), Some(_)) => {
            let (claim, message) = newest(stem, config)?;
            say.push(message);
            claim
        }
        (Place::At(path), Some(Resume::Step(_))) if !path.exists() => return Err(no_run(&path)),
        (Place::At(path), _) => Claim::make(path, "run")?,
    };
    let begins = claim.holds == Holds::Nothing && resume == Some(Resume::Auto);
    if begins {
        say.push(format!("beginning the run in {}, where there is none yet", claim.path.display()));
    }
    let Some(resume) = resume.filter(|_| !begins) else {
        return Ok(Begun { folder: RunFolder::create(claim, config, mark)?, resume: None, say });
    };
    let after = match resume {
        Resume::Auto => None,
        Resume::Step(step) => Some(step),
    };
    let [per_epoch, _] = prepared.minibatches();
    let (folder, end) = RunFolder::reopen(claim, config, &mark, per_epoch, after)?;
    say.extend(end.map(|end| end.told()));
    Ok(Begun { folder, resume: Some(resume), say })
}
