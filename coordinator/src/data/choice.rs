//! The choice of a data set: its folder and split, and options for some kinds of sets.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Random, Split, View};

/// The choice of a data set.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The folder of the files.
    pub folder: &'a Path,
    /// The half of the set.
    pub split: Split,
    /// The number of classes of the network: every label must have one.
    pub classes: usize,
    /// The number of samples; `None` for all. They are counted from the first, or spread evenly over photographs.
    pub limit: Option<usize>,
    /// The choice among idx files, and how they are read.
    pub idx: IdxChoice<'a>,
    /// The choice among photographs, and the way in which the network sees them.
    pub photos: PhotoChoice<'a>,
}

/// The options for idx files; the default is MNIST's form.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdxChoice<'a> {
    /// The prefix of the files' names (`data.prefix`), where the folder holds several sets.
    pub prefix: Option<&'a str>,
    /// Whether rows and columns are swapped (`data.transpose`).
    pub transpose: bool,
    /// The label of the first class (`data.first_label`).
    pub first_label: u32,
}

/// The options for photographs; the default is ImageNet's usual form, without augmentation.
#[derive(Clone, Copy, Debug)]
pub struct PhotoChoice<'a> {
    /// The place of the training data below the folder (`data.train`); empty for the kind's usual place.
    pub train: &'a [String],
    /// The place of the test data below the folder (`data.test`); empty for the kind's usual place.
    pub test: &'a [String],
    /// The side of the network's input (`data.crop`).
    pub crop: u32,
    /// The shorter side before the central square is taken (`data.resize`).
    pub resize: u32,
    /// The range of a random crop's share of the area (`data.crop_area`).
    pub area: [f64; 2],
    /// The strengths of the colour jitter (`data.jitter`).
    pub jitter: Option<[f64; 4]>,
    /// Whether training images are seen by random crops (`data.augment`).
    pub augment: bool,
    /// The seed of the run.
    pub seed: u64,
    /// The share of a split's files that may be broken (`data.max_broken`).
    pub max_broken: f64,
    /// The key of the label in `.json` files (`data.label_key`).
    pub label_key: &'a str,
    /// The file with the labels of test files that no class folders sort (`data.test_labels`).
    pub test_labels: Option<&'a Path>,
    /// The meaning of the numbers in that file (`data.test_numbering`).
    pub test_numbering: Option<Numbering>,
    /// The file that names the synsets of the devkit's numbers (`data.synsets`).
    pub synsets: Option<&'a Path>,
}

/// The meaning of the numbers in a list of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Numbering {
    /// `sorted`: positions among the sorted names of the classes, from 0.
    Sorted,
    /// `devkit`: the ILSVRC2012 ids of ImageNet's development kit, from 1, which `data.synsets` names.
    Devkit,
}

impl Default for PhotoChoice<'_> {
    fn default() -> Self {
        Self {
            train: &[],
            test: &[],
            crop: 224,
            resize: 256,
            area: [0.08, 1.0],
            jitter: None,
            augment: false,
            seed: 0,
            max_broken: 0.01,
            label_key: "label",
            test_labels: None,
            test_numbering: None,
            synsets: None,
        }
    }
}

impl<'a> Choice<'a> {
    /// All samples of one half of the set in `folder`, for a network with this number of classes.
    pub fn all(folder: &'a Path, split: Split, classes: usize) -> Self {
        let (idx, photos) = (IdxChoice::default(), PhotoChoice::default());
        Self { folder, split, classes, limit: None, idx, photos }
    }

    /// The indices of the wanted photographs among `count`, in order. Under a limit they are spread evenly, so that all
    /// classes keep some.
    pub(super) fn places(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let wanted = self.limit.map_or(count, |limit| limit.min(count));
        (0..wanted).map(move |number| (number as u128 * count as u128 / wanted as u128) as usize)
    }

    /// The view of the half's photographs: only training images get random crops.
    pub(super) fn view(&self) -> View {
        let PhotoChoice { crop, resize, area, jitter, augment, seed, .. } = self.photos;
        let random = augment && self.split == Split::Train;
        View { crop, resize, random: random.then_some(Random { area, jitter, seed }) }
    }
}
