//! What the network is fed with: a data set in memory, the order of its samples, and microbatches of it.
//!
//! ```text
//! files ──open──▶ Dataset (u8) ─────────────┐
//!                    │ Normalization::of     ▼
//!  (seed, epoch) ──▶ Sampler ──indices──▶ Loader ──▶ Microbatch (f32, N×C×H×W, little-endian) + labels
//!                                            ▲
//!            (seed, epoch, sample) ──▶ Augment
//! ```
//!
//! A data set is read and checked once, whole, and stays in memory as bytes: a quarter of what f32
//! would take. Everything after it is a pure function of (seed, epoch, index), so a run goes on at any
//! step without replaying the steps before.
//!
//! What is absent: no file is opened but by [`open`], no clock, no threads, no network, no libtorch, and
//! no random number outside the streams that [`proto::seed::rng`] names.

mod augment;
mod cifar;
mod dataset;
mod draw;
mod error;
#[cfg(test)]
mod fixtures;
mod idx;
mod kind;
mod loader;
mod normalize;
mod sampler;
mod source;

pub use augment::{Augment, Placement};
pub use dataset::Dataset;
pub use error::DataError;
pub use kind::{DataKind, Split};
pub use loader::{Loader, Microbatch};
pub use normalize::Normalization;
pub use sampler::{Epoch, Remainder, Sampler, evaluation, microbatches};

use std::path::Path;

/// Reads one split of a data set from the files in the folder `path`, and checks all of it.
///
/// `classes` is the number of classes of the network: every label must be below it. `limit` keeps only
/// the first so many samples; the files are read and checked whole all the same, so that a torn file is
/// found whatever the limit.
///
/// # Errors
/// One sentence that names the file or setting, what is wrong and what to do: a folder or file that is
/// missing or unreadable, a wrong magic number, a size that differs from the declared one, counts of
/// images and labels that disagree, a label out of range, no sample at all, or a limit or number of
/// classes of 0.
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
) -> Result<Dataset, DataError> {
    if classes == 0 {
        return Err(DataError::setting("model.classes is 0", "set it to the number of classes of the data"));
    }
    if limit == Some(0) {
        return Err(DataError::setting(
            "the limit on samples (data.limit) is 0",
            "set it to 1 or more, or leave it out for all samples",
        ));
    }
    let whole = match kind {
        DataKind::FashionMnist | DataKind::Idx => idx::open(path, split, classes),
        DataKind::Cifar10 => cifar::open(&cifar::TEN, path, split, classes),
        DataKind::Cifar100 => cifar::open(&cifar::HUNDRED, path, split, classes),
    }?;
    Ok(match limit {
        Some(samples) => whole.first(samples),
        None => whole,
    })
}
