//! The data of a run: samples, their order, and microbatches of them.
//!
//! ```text
//! files ──open──▶ Samples (u8, one at a time) ──┐
//!                    │ Normalization::of        ▼
//!                    └──────────────────────▶ Loader ──▶ Pool ──▶ Microbatch (f32, N×C×H×W) + labels
//!        (seed, epoch, sample) ──▶ Augment ─────┘          ▲
//!              (seed, epoch) ──▶ Sampler ──indices─────────┘
//! ```
//!
//! [`Samples`] hides whether a set is in memory or in files. The sets of today, idx and CIFAR, are a [`Dataset`]:
//! it is read and checked once, whole, and kept in memory as bytes, a quarter of the size of f32. A [`Pool`] loads
//! the next microbatches on threads of its own and states the most memory that it holds. Everything after the files
//! is a pure function of (seed, epoch, index), so a run goes on at any step without replaying the steps before, and
//! no number depends on a thread.
//!
//! The module has no clock, no network and no libtorch. It opens no file outside of a set, runs no thread outside
//! of the pool, and draws no random number outside the streams that [`proto::seed::rng`] names.

mod augment;
mod cifar;
mod dataset;
mod draw;
mod error;
mod facts;
#[cfg(test)]
mod fixtures;
mod idx;
mod kind;
mod loader;
mod normalize;
mod pool;
mod sampler;
mod samples;
mod source;

pub use augment::{Augment, Placement};
pub use dataset::Dataset;
pub use error::DataError;
pub use kind::DataKind;
pub use loader::{Loader, Microbatch};
pub use normalize::Normalization;
pub use pool::{Pool, Request};
pub use sampler::{Epoch, Remainder, Sampler, evaluation, microbatches};
pub use samples::{Samples, Split};

use std::path::Path;
use std::sync::Arc;

/// Reads one split of a data set from the files in the folder `path`, and checks all of it.
///
/// `classes` is the number of classes of the network: every label must be below it. `limit` keeps only the first
/// `limit` samples. The files are read and checked whole all the same, so that a torn file is found whatever the
/// limit.
///
/// # Errors
/// One sentence that names the file or setting, the fault and the remedy: a folder or file that is missing or
/// unreadable, a wrong magic number, a size that differs from the declared size, counts of images and labels that
/// disagree, a label out of range, no sample at all, or a limit or number of classes of 0.
///
/// # Examples
/// ```no_run
/// use coordinator::data::{DataKind, Split, open};
/// # fn main() -> Result<(), coordinator::data::DataError> {
/// let train = open(DataKind::FashionMnist, "data/fashion-mnist".as_ref(), Split::Train, 10, None)?;
/// assert_eq!((train.len(), train.shape()), (60_000, [1, 28, 28]));
/// # Ok(()) }
/// ```
pub fn open(
    kind: DataKind,
    path: &Path,
    split: Split,
    classes: usize,
    limit: Option<usize>,
) -> Result<Arc<dyn Samples>, DataError> {
    if classes == 0 {
        return Err(DataError::setting("model.classes is 0", "set it to the number of classes of the data"));
    }
    if limit == Some(0) {
        return Err(DataError::setting(
            "the limit on samples (data.limit) is 0",
            "set it to 1 or more, or leave it out for all samples",
        ));
    }
    let mut samples = (kind.facts().open)(path, split, classes)?;
    if let Some(limit) = limit {
        samples.truncate(limit);
    }
    Ok(samples.into())
}
