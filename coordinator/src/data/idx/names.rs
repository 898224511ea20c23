//! The names of idx files, and the choice of the files of a split.
//!
//! ```text
//! [PREFIX-](train | t10k | test)-(images | labels)(- | .)idxN-KIND[.gz]
//! ```
//!
//! MNIST, KMNIST and Fashion-MNIST use no prefix and `t10k`. EMNIST and QMNIST have a prefix and `test`; a folder of
//! EMNIST has several prefixes, of which `data.prefix` chooses one. Some archives of MNIST write a dot before `idx`.

use super::header::Part;
use super::{Choice, DataError};
use crate::data::Split;
use crate::data::error::missing;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Names without a prefix. One of them is enough to show that a folder holds the files of a set directly.
pub(super) const PLAIN: &[&str] = &[
    "train-images-idx3-ubyte",
    "train-images-idx3-ubyte.gz",
    "train-images-idx4-ubyte",
    "train-images-idx4-ubyte.gz",
    "train-images.idx3-ubyte",
    "train-images.idx3-ubyte.gz",
];

/// [`PLAIN`], and the names of the sets that have a prefix.
pub(super) const KNOWN: &[&str] = &[
    PLAIN[0],
    PLAIN[1],
    PLAIN[2],
    PLAIN[3],
    PLAIN[4],
    PLAIN[5],
    "emnist-balanced-train-images-idx3-ubyte",
    "emnist-balanced-train-images-idx3-ubyte.gz",
    "emnist-letters-train-images-idx3-ubyte",
    "emnist-letters-train-images-idx3-ubyte.gz",
    "emnist-digits-train-images-idx3-ubyte",
    "emnist-digits-train-images-idx3-ubyte.gz",
    "emnist-mnist-train-images-idx3-ubyte",
    "emnist-mnist-train-images-idx3-ubyte.gz",
    "emnist-byclass-train-images-idx3-ubyte",
    "emnist-byclass-train-images-idx3-ubyte.gz",
    "emnist-bymerge-train-images-idx3-ubyte",
    "emnist-bymerge-train-images-idx3-ubyte.gz",
    "qmnist-train-images-idx3-ubyte",
    "qmnist-train-images-idx3-ubyte.gz",
];

/// The parsed name of an idx file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    file: String,
    prefix: String,
    split: Split,
    part: Part,
    /// If several files hold one part, the first by this order is read: unsigned bytes, few dimensions, plain, MNIST's
    /// spelling.
    rank: (bool, u8, bool, bool, bool),
}

impl Name {
    /// Parses a file's name; `None` for any other file.
    fn parse(file: &str) -> Option<Self> {
        let stem = file.trim_end_matches(".gz");
        let (rest, kind) = stem.rsplit_once('-')?;
        let (rest, dimensions) = rest.rsplit_once("idx")?;
        let dimensions = dimensions.parse().ok()?;
        let dotted = rest.ends_with('.');
        let rest = rest.strip_suffix(['-', '.'])?;
        let (rest, part) = match rest.strip_suffix("-images") {
            Some(rest) => (rest, Part::Images),
            None => (rest.strip_suffix("-labels")?, Part::Labels),
        };
        let words = [("train", Split::Train), ("t10k", Split::Test), ("test", Split::Test)];
        let (prefix, word, split) =
            words.into_iter().find_map(|(word, split)| Some((rest.strip_suffix(word)?, word, split)))?;
        if !(prefix.is_empty() || prefix.ends_with('-')) {
            return None;
        }
        let rank = (kind != "ubyte", dimensions, stem != file, dotted, word == "test");
        let prefix = prefix.trim_end_matches('-').to_owned();
        Some(Self { file: file.to_owned(), prefix, split, part, rank })
    }
}

/// The files of the labels and of the images that `choice` asks for; `remedy` is the remedy for a missing file.
///
/// # Errors
/// A folder without the files, or a folder with several data sets of which none is chosen.
pub(super) fn find(choice: &Choice<'_>, remedy: &'static str) -> Result<[PathBuf; 2], DataError> {
    let folder = choice.folder;
    let names: Vec<Name> = listed(folder).iter().filter_map(|file| Name::parse(file)).collect();
    let prefix = prefix(choice, &names)?;
    let usual = |part| {
        let part = match part {
            Part::Labels => "labels-idx1",
            Part::Images => "images-idx3",
        };
        match (prefix.as_str(), choice.split) {
            ("", Split::Train) => format!("train-{part}-ubyte"),
            ("", Split::Test) => format!("t10k-{part}-ubyte"),
            (prefix, Split::Train) => format!("{prefix}-train-{part}-ubyte"),
            (prefix, Split::Test) => format!("{prefix}-test-{part}-ubyte"),
        }
    };
    let file = |part| {
        let fits = |name: &&Name| (&name.prefix, name.split, name.part) == (&prefix, choice.split, part);
        // Some archives hold a folder of the same name beside a file.
        let is_file = |name: &Name| folder.join(&name.file).is_file();
        let best = names.iter().filter(fits).min_by_key(|name| (Reverse(is_file(name)), name.rank));
        match best {
            Some(name) => Ok(folder.join(&name.file)),
            None => Err(missing(folder, &[&usual(part), &format!("{}.gz", usual(part))], remedy)),
        }
    };
    Ok([file(Part::Labels)?, file(Part::Images)?])
}

/// The names of all files in the folder. A folder that may be searched and not listed can only hold the usual names.
fn listed(folder: &Path) -> Vec<String> {
    if let Ok(entries) = fs::read_dir(folder) {
        return entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    }
    let words = ["train", "t10k"].into_iter().flat_map(|word| {
        ["images-idx3", "images-idx4", "labels-idx1"].map(|part| format!("{word}-{part}-ubyte"))
    });
    words.flat_map(|name| [format!("{name}.gz"), name]).filter(|name| folder.join(name).exists()).collect()
}

/// The prefix of the files to read: the configured one, none if there are files without a prefix, or the only
/// one.
fn prefix(choice: &Choice<'_>, names: &[Name]) -> Result<String, DataError> {
    let there: BTreeSet<&str> = names.iter().map(|name| name.prefix.as_str()).collect();
    let folder = choice.folder.display();
    let listed = { there.iter() }.filter(|prefix| !prefix.is_empty()).copied().collect::<Vec<_>>().join(", ");
    match (choice.idx.prefix.map(|prefix| prefix.trim_end_matches('-')), there.len()) {
        (Some(set), 1..) if !there.contains(set) => {
            let wrong = format!("data.prefix is '{set}', of which the folder {folder} holds no idx file");
            let remedy = match listed.as_str() {
                "" => "leave it out, since the files there have no prefix".to_owned(),
                listed => format!("set it to a prefix that is there ({listed})"),
            };
            Err(DataError::setting(wrong, remedy))
        }
        (Some(set), _) => Ok(set.to_owned()),
        (None, 2..) if !there.contains("") => Err(DataError::setting(
            format!("the folder {folder} holds several data sets ({listed})"),
            "set data.prefix to one of them",
        )),
        (None, _) => Ok(there.first().copied().unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_spellings_are_taken_apart() {
        let parsed = |file: &str| {
            Name::parse(file).map(|name| (name.prefix, name.split, name.part, name.rank.1, name.rank.2))
        };
        let known = |prefix: &str, split, part, dimensions, packed| {
            Some((prefix.to_owned(), split, part, dimensions, packed))
        };
        use Part::{Images, Labels};
        use Split::{Test, Train};
        for (file, name) in [
            ("train-images-idx3-ubyte", known("", Train, Images, 3, false)),
            ("t10k-labels.idx1-ubyte", known("", Test, Labels, 1, false)),
            ("train-images-idx4-ubyte.gz", known("", Train, Images, 4, true)),
            ("emnist-letters-test-labels-idx1-ubyte.gz", known("emnist-letters", Test, Labels, 1, true)),
            ("qmnist-train-labels-idx2-int", known("qmnist", Train, Labels, 2, false)),
            ("train-images-idx3-float.gz.gz", known("", Train, Images, 3, true)),
            ("latest-images-idx3-ubyte", None),
            ("train-masks-idx3-ubyte", None),
            ("train-images-idx-ubyte", None),
            ("train-images-ubyte", None),
            ("data_batch_1.bin", None),
        ] {
            assert_eq!(parsed(file), name, "{file}");
        }
        assert!(KNOWN.iter().all(|file| Name::parse(file).is_some()));
    }
}
