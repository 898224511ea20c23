//! A survey of a data set ahead of its training: every sample of both splits is decoded, and what is found is told.
//!
//! ```text
//! Samples ──decode all, on all cores──▶ Count ──▶ Found ──▶ table, JSON
//!    └──── Loader (augmentation) ─────▶ the first minibatch ──▶ PNG
//! ```

mod count;
mod found;
mod picture;
mod table;
#[cfg(test)]
mod tests;

pub use found::{Broken, Class, Extent, Found};

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use count::Count;
use proto::disk::cannot;
use serde::Serialize;

use crate::config::Config;
use crate::console::answer;
use crate::data::{Loader, Sampler, Samples, Split, open};
use crate::record::files::publish;
use crate::run::Progress;
use crate::run_error::{Cause, RunError};

/// The interval between looks at the progress.
const PAUSE: Duration = Duration::from_millis(100);
/// The most unusable files that the last sentence names.
const NAMED: usize = 10;

/// What a survey shows beside its table.
#[derive(Clone, Copy, Debug)]
pub struct SurveyOptions<'a> {
    /// Whether one JSON object takes the place of the table.
    pub json: bool,
    /// The file for a picture of the first minibatch.
    pub picture: Option<&'a Path>,
}

/// The findings of both splits.
#[derive(Debug, Serialize)]
struct Survey {
    train: Found,
    test: Found,
}

/// Surveys the data of `config`, and prints what it finds.
///
/// # Errors
/// Data that cannot be opened, a file that cannot be read, or more broken files than `data.max_broken` allows; the
/// findings are printed before.
pub fn survey(config: &Config, options: SurveyOptions<'_>) -> Result<(), RunError> {
    let classes = config.model.classes as usize;
    let opened = |split| open(config.data.kind, &config.data.choice(split, classes, config.seed));
    let (train, test) = (opened(Split::Train)?, opened(Split::Test)?);
    train.check_same_shape(&*test)?;
    train.check_same_classes(&*test)?;
    let threads =
        config.data.workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    if let Some(file) = options.picture {
        let sampler =
            Sampler::new(config.seed, train.len(), config.step().samples as usize, config.train.remainder)?;
        let loader = Loader::new(train.clone(), config.data.augmentation(), config.seed);
        let order = sampler.epoch(0);
        let picture = picture::png(&loader, order.minibatch(0).unwrap_or_default())?;
        let cannot = |error| cannot("cannot write", file, &error, "give --picture another file");
        publish(file, &picture).map_err(|error| RunError::internal(cannot(error)))?;
    }
    let found = Survey { train: examine("train", &*train, threads), test: examine("test", &*test, threads) };
    if options.json {
        answer(format_args!("{}\n", serde_json::to_string(&found).map_err(RunError::internal)?))?;
    } else {
        answer(format_args!(
            "{}\n{}",
            table::table("train", &found.train),
            table::table("test", &found.test)
        ))?;
    }
    [&found.train, &found.test].into_iter().try_for_each(|found| check(found, config.data.max_broken))
}

/// Decodes all samples of a split, and shows the progress.
fn examine(name: &str, set: &dyn Samples, threads: usize) -> Found {
    let begun = Instant::now();
    let mut progress = Progress::new();
    let count = Count::of(set, threads, |done| {
        progress.show(|| {
            let rate = done as f64 / begun.elapsed().as_secs_f64().max(1e-9);
            format!("{name}: {done} of {} images, {rate:.0} a second", set.len())
        });
    });
    Found::of(set, count, threads, begun.elapsed())
}

/// Refuses a split that a run would end at.
///
/// # Errors
/// A file that cannot be read, or more broken ones than the share `allowed`.
fn check(found: &Found, allowed: f64) -> Result<(), RunError> {
    let refused = |sentence| Err(RunError::new(Cause::Data, sentence));
    let (path, samples) = (&found.path, found.samples);
    if let Some(Broken { reason, .. }) = found.unreadable.first() {
        let count = found.unreadable.len();
        return refused(format!(
            "{count} of {samples} files in {path} cannot be used, the first since {reason}"
        ));
    }
    let count = found.broken.len();
    if count as f64 <= allowed * samples as f64 {
        return Ok(());
    }
    let named: Vec<_> =
        found.broken.iter().take(NAMED).map(|broken| format!("{} {}", broken.name, broken.reason)).collect();
    let more = if count > NAMED { "; and others" } else { "" };
    refused(format!(
        "{path} has {count} broken files among {samples}, more than the share of {allowed} that data.max_broken \
         allows ({}{more}): replace or remove them, or set data.max_broken higher",
        named.join("; ")
    ))
}
