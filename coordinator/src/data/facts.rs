//! What is known of a kind of data set before any of its files is opened.

use std::path::Path;

use super::{Augment, DataError, Samples, Split};

/// A data set that may still be cut short, or what is wrong with it.
pub(super) type Opened = Result<Box<dyn Samples>, DataError>;

/// The facts of one kind, which the file that reads the kind declares.
pub(super) struct Facts {
    /// The folder, within the folder of data sets, where the kind is looked for.
    pub folder: &'static str,
    /// The files of which any one shows that a folder holds the kind's files directly.
    pub files: &'static [&'static str],
    /// The number of classes; `None` where the files decide it.
    pub classes: Option<usize>,
    /// A sample's channels, height and width; `None` where the files decide them.
    pub shape: Option<[u64; 3]>,
    /// Each channel's mean and standard deviation; `None` where they are computed from the training split.
    pub figures: Option<(&'static [f32], &'static [f32])>,
    /// How training images are varied, where they are.
    pub variation: Augment,
    /// Whether training images are varied where nobody says so.
    pub varied: bool,
    /// Opens and checks one split of the files in a folder, for a network of so many classes.
    pub open: fn(&Path, Split, usize) -> Opened,
}
