//! The kinds of data sets that can be opened.

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::{Augment, cifar, idx, image_folder, webdataset};

/// A kind of data set; its name in a configuration (`data.kind`) is the snake_case one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataKind {
    /// `fashion_mnist`: Zalando's articles, 60,000 and 10,000 grey images of 28×28, 10 classes, idx files
    /// (Xiao, Rasul, Vollgraf, arXiv 1708.07747).
    FashionMnist,
    /// `idx`: any folder of idx files with the names of MNIST, EMNIST or QMNIST, with images of one size.
    Idx,
    /// `cifar10`: the binary version, 50,000 and 10,000 RGB images of 32×32, 10 classes
    /// (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).
    Cifar10,
    /// `cifar100`: the binary version, as CIFAR-10 but with 100 classes (the fine labels).
    Cifar100,
    /// `image_folder`: photographs in class folders, as torchvision's `ImageFolder` has them.
    ImageFolder,
    /// `webdataset`: photographs in tar shards, as WebDataset has them.
    Webdataset,
}

impl DataKind {
    /// The facts that the kind's reader declares.
    pub(super) fn facts(self) -> &'static Facts {
        match self {
            DataKind::FashionMnist => &idx::FASHION_MNIST,
            DataKind::Idx => &idx::ANY,
            DataKind::Cifar10 => &cifar::TEN,
            DataKind::Cifar100 => &cifar::HUNDRED,
            DataKind::ImageFolder => &image_folder::FACTS,
            DataKind::Webdataset => &webdataset::FACTS,
        }
    }

    /// The folder of this kind within the folder of data sets (`NEUROPIL_DATA`), for a configuration without a path.
    /// CIFAR's folders have the names in its archives.
    pub fn folder(self) -> &'static str {
        self.facts().folder
    }

    /// The files that mark a folder: one of them is enough to show that the folder holds the kind's files directly.
    pub fn files(self) -> &'static [&'static str] {
        self.facts().files
    }

    /// The number of classes, if the kind fixes it; `None` where the files decide it.
    pub fn classes(self) -> Option<usize> {
        self.facts().classes
    }

    /// A sample's channels, height and width, if the kind fixes them.
    pub fn shape(self) -> Option<[u64; 3]> {
        self.facts().shape
    }

    /// The numbers of training and of test samples, if the kind fixes them.
    pub fn samples(self) -> Option<[u64; 2]> {
        self.facts().samples
    }

    /// The augmentation of training images if `data.augment` is true.
    pub fn variation(self) -> Augment {
        self.facts().variation
    }

    /// Whether the kind's files are idx files.
    pub fn is_idx(self) -> bool {
        self.facts().is_idx
    }

    /// Whether the samples are photographs.
    pub fn is_photographs(self) -> bool {
        self.facts().is_photographs
    }

    /// The default of `data.augment`.
    pub fn varied(self) -> bool {
        self.facts().varied
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_configuration_are_the_documented_ones() {
        use serde::de::IntoDeserializer;
        use serde::de::value::{Error, StrDeserializer};
        let named = |name: &'static str| {
            let name: StrDeserializer<'_, Error> = name.into_deserializer();
            DataKind::deserialize(name).ok()
        };
        assert_eq!(named("fashion_mnist"), Some(DataKind::FashionMnist));
        assert_eq!(named("idx"), Some(DataKind::Idx));
        assert_eq!(named("cifar10"), Some(DataKind::Cifar10));
        assert_eq!(named("cifar100"), Some(DataKind::Cifar100));
        assert_eq!(named("image_folder"), Some(DataKind::ImageFolder));
        assert_eq!(named("webdataset"), Some(DataKind::Webdataset));
        assert_eq!(named("mnist"), None);
    }
}
