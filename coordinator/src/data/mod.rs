//! The data of a run: samples, their order, and microbatches of them.
//!
//! ```text
//! files ──open──▶ Samples (u8, one at a time) ──▶ Loader ──▶ Pool ──▶ Microbatch (u8, N×C×H×W) + labels
//!                    └─ Normalization::of ──▶ stages ▲          ▲
//!        (seed, epoch, sample) ──▶ Augment ──────────┘          │
//!              (seed, epoch) ──▶ Sampler ──indices──────────────┘
//! ```
//!
//! [`Samples`] hides whether a set is in memory or in files. Sets of small images, idx and CIFAR, are a [`Dataset`]:
//! it is read and checked once, as far as the limit on samples, and kept in memory if there is room for it. Photographs
//! stay in their files, and each is decoded when it is asked for. A [`Pool`] loads the next microbatches on threads of
//! its own and states the most memory that it holds. Images stay bytes until the stages that take them normalise them.
//! Everything after the files is a pure function of (seed, epoch, index), so a run goes on at any step without
//! replaying the steps before, and no number depends on a thread.
//!
//! The module has no clock, no network and no libtorch. It opens no file outside of a set, runs no thread outside
//! of the pool, and draws no random number outside the streams that [`proto::seed::rng`] names.

mod augment;
mod choice;
mod cifar;
mod class_names;
mod dataset;
mod draw;
mod error;
mod facts;
#[cfg(test)]
mod fixtures;
mod idx;
mod image_folder;
mod index_cache;
mod kind;
mod loader;
mod normalize;
mod photo;
mod pictures;
mod pool;
mod room;
mod sampler;
mod samples;
mod source;
mod webdataset;

pub use augment::{Augment, Placement};
pub use choice::{Choice, IdxChoice, Numbering, PhotoChoice};
pub use dataset::Dataset;
pub use error::DataError;
pub use kind::DataKind;
pub use loader::{Loader, Microbatch};
pub use normalize::Normalization;
pub use photo::{Random, View};
pub use pictures::pictures;
pub use pool::{Pool, Prefetch, Request};
pub use sampler::{Epoch, Remainder, Sampler, evaluation, microbatches};
pub use samples::{Examined, Samples, Split};

use std::sync::Arc;

/// Reads one split of a data set from the files in a folder, as far as `choice` asks for it, and checks what it reads.
///
/// No byte after the last wanted sample is read, so a file may be torn after that sample.
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
