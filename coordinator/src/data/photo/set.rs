//! Photographs as samples: each file is decoded when it is asked for, and a broken one is replaced by the next.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::decode;
use super::view::View;
use crate::data::{DataError, Examined, Samples};

/// The most broken files that a warning or an error names.
const NAMED: usize = 10;

/// The most bytes of a photograph's file.
pub(in crate::data) const LARGEST: u64 = 256 << 20;

/// The files of one split: at least one, whose order and labels are known before any of them is read. Several threads
/// read at the same time.
pub(in crate::data) trait Files: Send + Sync {
    /// The number of files, at least 1.
    fn len(&self) -> usize;

    /// The label of file `index`, below the number of classes.
    fn label(&self, index: usize) -> u32;

    /// The name of file `index`, as a person finds it below [`Files::origin`].
    fn name(&self, index: usize) -> String;

    /// All bytes of file `index`.
    ///
    /// # Errors
    /// A file that cannot be read, is too large, or is not the one that was indexed. Such a fault ends the run, since
    /// it is no fault of the content.
    fn read(&self, index: usize) -> Result<Vec<u8>, DataError>;

    /// The folder or file that an error should name.
    fn origin(&self) -> &Path;

    /// The names of the classes in the order of their labels; empty if they are not known.
    fn class_names(&self) -> &[String];

    /// The fingerprint of the files: their names, sizes and labels, and not the times of their last change.
    fn fingerprint(&self) -> u64;

    /// The incomplete samples that were left out: the name of each, and the reason, as a phrase that follows the name.
    fn left_out(&self) -> &[(String, String)] {
        &[]
    }
}

/// The photographs of one split, as a view shows them.
///
/// A file that cannot be decoded is counted, and its place is taken by the next whole file with that file's label, the
/// first after the last. More broken files than the share that is allowed are an error.
pub(in crate::data) struct Photographs<F> {
    files: F,
    view: View,
    classes: usize,
    /// The share of the files that may be broken (`data.max_broken`).
    allowed: f64,
    /// The faults of the broken files that were met, by index.
    broken: Mutex<BTreeMap<usize, String>>,
}

impl<F: Files> Photographs<F> {
    /// The photographs in `files`, for a network with this number of classes.
    pub fn new(files: F, view: View, classes: usize, allowed: f64) -> Self {
        Self { files, view, classes, allowed, broken: Mutex::default() }
    }

    fn check(&self, index: usize) -> Result<(), DataError> {
        let samples = self.files.len();
        match index < samples {
            true => Ok(()),
            false => Err(DataError::NoSuchSample { path: self.files.origin().to_owned(), index, samples }),
        }
    }

    /// Counts the broken file `index`, and warns of the first ones.
    ///
    /// # Errors
    /// When more files are broken than `data.max_broken` allows.
    fn count(&self, index: usize, fault: String) -> Result<(), DataError> {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        let (files, before) = (self.files.len(), broken.len());
        broken.insert(index, fault.clone());
        let count = broken.len();
        if count > before && count <= NAMED {
            let (file, set) = (self.files.name(index), self.files.origin().display());
            tracing::warn!("{file} in {set} {fault}: the next whole file takes its place");
        }
        if count as f64 <= self.allowed * files as f64 {
            return Ok(());
        }
        let named: Vec<_> = { broken.iter().take(NAMED) }
            .map(|(&index, fault)| format!("{} {fault}", self.files.name(index)))
            .collect();
        let wrong = format!(
            "has {count} broken files among {files}, more than the share of {} that data.max_broken allows ({}{})",
            self.allowed,
            named.join("; "),
            if count > NAMED { "; and others" } else { "" }
        );
        Err(DataError::malformed(
            self.files.origin(),
            wrong,
            "replace or remove them, or set data.max_broken higher",
        ))
    }
}

impl<F: Files> Samples for Photographs<F> {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn shape(&self) -> [usize; 3] {
        let side = self.view.crop as usize;
        [3, side, side]
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn origin(&self) -> &Path {
        self.files.origin()
    }

    fn label(&self, index: usize) -> Result<u32, DataError> {
        self.check(index).map(|()| self.files.label(index))
    }

    fn pixels(&self, epoch: u64, index: usize) -> Result<Cow<'_, [u8]>, DataError> {
        self.sample(epoch, index).map(|(pixels, _)| pixels)
    }

    fn sample(&self, epoch: u64, index: usize) -> Result<(Cow<'_, [u8]>, u32), DataError> {
        self.check(index)?;
        let mut place = index;
        loop {
            let bytes = self.files.read(place)?;
            match self.view.planes(&bytes, epoch, index) {
                Ok(planes) => return Ok((planes.into(), self.files.label(place))),
                Err(fault) => self.count(place, fault)?,
            }
            // If all files are broken, the count has ended the loop, since the allowed share is below 1.
            place = (place + 1) % self.files.len();
        }
    }

    fn examine(&self, index: usize) -> Result<Examined<'_>, DataError> {
        self.check(index)?;
        let bytes = self.files.read(index)?;
        let pixels = self.view.centred().planes(&bytes, 0, index).map(Cow::Owned);
        let [width, height] = decode::size(&bytes).unwrap_or_default();
        Ok(Examined { size: [height as usize, width as usize], label: self.files.label(index), pixels })
    }

    fn fingerprint(&self) -> u64 {
        self.files.fingerprint()
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn class_names(&self) -> Option<&[String]> {
        Some(self.files.class_names()).filter(|names| !names.is_empty())
    }

    fn name(&self, index: usize) -> String {
        self.files.name(index)
    }

    fn left_out(&self) -> &[(String, String)] {
        self.files.left_out()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Augment, Loader};
    use std::sync::Arc;

    /// Files in memory, each with its place as its label.
    struct Pile(Vec<Vec<u8>>);

    impl Files for Pile {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn label(&self, index: usize) -> u32 {
            index as u32
        }

        fn name(&self, index: usize) -> String {
            format!("{index}.jpg")
        }

        fn read(&self, index: usize) -> Result<Vec<u8>, DataError> {
            Ok(self.0[index].clone())
        }

        fn origin(&self) -> &Path {
            "pile".as_ref()
        }

        fn class_names(&self) -> &[String] {
            &[]
        }

        fn fingerprint(&self) -> u64 {
            9
        }
    }

    const VIEW: View = View { crop: 4, resize: 6, random: None };

    /// As many files as `whole` has words; those that are false are broken.
    fn photographs(whole: &[bool], allowed: f64) -> Photographs<Pile> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos/colour-420.jpg");
        let bytes = std::fs::read(path).unwrap();
        let file = |&whole: &bool| if whole { bytes.clone() } else { bytes[..90].to_vec() };
        Photographs::new(Pile(whole.iter().map(file).collect()), VIEW, 10, allowed)
    }

    #[test]
    fn a_broken_file_is_replaced_by_the_next_whole_one_with_its_label() {
        let set = photographs(&[true, false, false, true, true, false], 0.5);
        let label = |index| set.sample(0, index).unwrap().1;
        assert_eq!([0, 1, 2, 3, 5].map(label), [0, 3, 3, 3, 0]);
        assert_eq!(set.sample(0, 1).unwrap().0.len(), 3 * 16);
        assert!(set.sample(0, 6).unwrap_err().to_string().starts_with("sample 6 was asked of pile"));
        let examined = set.examine(1).unwrap();
        assert_eq!((examined.label, examined.pixels.unwrap_err().contains("ends before")), (1, true));
        let examined = set.examine(3).unwrap();
        assert_eq!((examined.size, examined.label, examined.pixels.unwrap().len()), ([18, 24], 3, 48));

        // The loader takes the label that belongs to the pixels.
        let loader = Loader::new(Arc::new(set), Augment::NONE, 0);
        let loaded = loader.load(0, &[0, 1, 4, 5]).unwrap();
        assert_eq!((loaded.shape, loaded.labels), ([4, 3, 4, 4], vec![0, 3, 4, 0]));
    }

    #[test]
    fn more_broken_files_than_allowed_are_an_error_with_their_names() {
        let mut whole = [false; 20];
        whole[0] = true;
        let set = photographs(&whole, 0.5);
        assert!(set.sample(0, 12).is_ok(), "eight are broken from there to the end");
        let error = set.sample(0, 1).unwrap_err().to_string();
        assert!(
            error.starts_with("pile has 11 broken files among 20, more than the share of 0.5"),
            "{error}"
        );
        assert!(
            error.contains("(1.jpg ends before its first scan; 2.jpg ") && error.contains("; and others)"),
            "{error}"
        );
        assert!(error.ends_with("replace or remove them, or set data.max_broken higher"), "{error}");

        let none = photographs(&[false; 3], 0.99).sample(0, 0).unwrap_err().to_string();
        assert!(none.contains("3 broken files among 3"), "{none}");
        let strict = photographs(&[true, false], 0.0);
        assert!(strict.sample(0, 0).is_ok() && strict.sample(0, 1).is_err());
    }
}
