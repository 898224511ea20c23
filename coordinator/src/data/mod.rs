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
//! it is read and checked once, as far as the limit on samples, and kept in memory as bytes, a quarter of the size of
//! f32, if there is room for it. A [`Pool`] loads
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
mod room;
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

/// What is asked for of a data set.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The folder of the files.
    pub folder: &'a Path,
    /// The half of the set.
    pub split: Split,
    /// The number of classes of the network: every label must have one.
    pub classes: usize,
    /// The number of samples, counted from the first; `None` for all.
    pub limit: Option<usize>,
    /// The choice among idx files, and how they are read.
    pub idx: IdxChoice<'a>,
}

/// What is asked for of idx files; the default is MNIST's form.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdxChoice<'a> {
    /// The prefix of the files' names (`data.prefix`), where the folder holds several sets.
    pub prefix: Option<&'a str>,
    /// Whether rows and columns change places (`data.transpose`).
    pub transpose: bool,
    /// The label of the first class (`data.first_label`).
    pub first_label: u32,
}

impl<'a> Choice<'a> {
    /// All samples of one half of the set in `folder`, for a network with this number of classes.
    pub fn all(folder: &'a Path, split: Split, classes: usize) -> Self {
        Self { folder, split, classes, limit: None, idx: IdxChoice::default() }
    }
}

/// Reads one split of a data set from the files in a folder, as far as `choice` asks for it, and checks what it reads.
///
/// No byte after the last wanted sample is read: a file that is torn beyond it does as well as a whole one.
///
/// # Errors
/// One sentence that names the file or setting, the fault and the remedy: a folder or file that is missing or
/// unreadable, values of another kind, a size that differs from the declared size, counts of images and labels that
/// disagree, a label without a class, no sample at all, samples that do not fit into memory, or a limit or number of
/// classes of 0.
///
/// # Examples
/// ```no_run
/// use coordinator::data::{Choice, DataKind, Split, open};
/// # fn main() -> Result<(), coordinator::data::DataError> {
/// let choice = Choice::all("data/fashion-mnist".as_ref(), Split::Train, 10);
/// let train = open(DataKind::FashionMnist, &choice)?;
/// assert_eq!((train.len(), train.shape()), (60_000, [1, 28, 28]));
/// # Ok(()) }
/// ```
pub fn open(kind: DataKind, choice: &Choice<'_>) -> Result<Arc<dyn Samples>, DataError> {
    if choice.classes == 0 {
        return Err(DataError::setting("model.classes is 0", "set it to the number of classes of the data"));
    }
    if choice.limit == Some(0) {
        return Err(DataError::setting(
            "the limit on samples (data.limit) is 0",
            "set it to 1 or more, or leave it out for all samples",
        ));
    }
    Ok((kind.facts().open)(choice)?.into())
}
