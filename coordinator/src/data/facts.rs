//! The facts of a kind of data set that are known before any of its files is opened.

use super::{Augment, Choice, DataError, Samples};

/// A data set, or the fault of its files.
pub(super) type Opened = Result<Box<dyn Samples>, DataError>;

/// The facts of one kind; the file that reads the kind declares them.
pub(super) struct Facts {
    /// The usual folder of the kind, within the folder of data sets.
    pub folder: &'static str,
    /// The files that mark a folder: one of them is enough to show that the folder holds the kind's files directly.
    pub files: &'static [&'static str],
    /// The number of classes; `None` where the files decide it.
    pub classes: Option<usize>,
    /// A sample's channels, height and width; `None` where the files decide them.
    pub shape: Option<[u64; 3]>,
    /// The numbers of training and of test samples; `None` where the files decide them.
    pub samples: Option<[u64; 2]>,
    /// Each channel's mean and standard deviation; `None` where they are computed from the training split.
    pub figures: Option<(&'static [f32], &'static [f32])>,
    /// The augmentation of training images, if augmentation is on.
    pub variation: Augment,
    /// Whether augmentation is on by default.
    pub varied: bool,
    /// Whether the files are idx files, which [`super::IdxChoice`] speaks of.
    pub is_idx: bool,
    /// Whether the samples are photographs, which [`super::PhotoChoice`] speaks of, decoded into RGB of one size.
    pub is_photographs: bool,
    /// Opens and checks one split of the files in a folder, as far as the choice asks for them.
    pub open: fn(&Choice<'_>) -> Opened,
}
