//! The kinds of data set that can be opened, and what is known of each before it is.

use serde::{Deserialize, Serialize};

/// Which half of a data set: what is learned from, or what only measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The samples that train the network.
    Train,
    /// The samples that it never learns from.
    Test,
}

/// A kind of data set; its name in a configuration (`data.kind`) is the snake_case one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataKind {
    /// `fashion_mnist`: Zalando's articles, 60,000 and 10,000 grey images of 28×28, 10 classes, idx files
    /// (Xiao, Rasul, Vollgraf, arXiv 1708.07747).
    FashionMnist,
    /// `idx`: any folder of idx files with MNIST's names: grey images of any one size.
    Idx,
    /// `cifar10`: the binary version, 50,000 and 10,000 RGB images of 32×32, 10 classes
    /// (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).
    Cifar10,
    /// `cifar100`: the binary version, as CIFAR-10 but of 100 classes (the fine labels are the ones used).
    Cifar100,
}

impl DataKind {
    /// The folder, within the folder of data sets (`NEUROPIL_DATA`), where this kind is looked for when
    /// the configuration names no path; CIFAR's are the names that its archives unpack to.
    pub fn folder(self) -> &'static str {
        match self {
            DataKind::FashionMnist => "fashion-mnist",
            DataKind::Idx => "idx",
            DataKind::Cifar10 => "cifar-10-batches-bin",
            DataKind::Cifar100 => "cifar-100-binary",
        }
    }

    /// The number of classes, where the kind decides it; `None` for idx files of the user's own.
    pub fn classes(self) -> Option<usize> {
        match self {
            DataKind::FashionMnist | DataKind::Cifar10 => Some(10),
            DataKind::Cifar100 => Some(100),
            DataKind::Idx => None,
        }
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
        assert_eq!(named("mnist"), None);
    }
}
