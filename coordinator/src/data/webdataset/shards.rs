//! The images of a split in its shards. An image is read at its place when it is needed.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use std::hash::Hasher;
use twox_hash::XxHash3_64;

use super::index::{self, Shard};
use super::names::Names;
use super::samples::{Label, Sample};
use crate::data::photo::Files;
use crate::data::{Choice, DataError};

/// The most left-out samples that a warning or an error names.
const NAMED: usize = 10;

/// The images of a split, at least one, and their labels.
pub(super) struct Shards {
    folder: PathBuf,
    shards: Vec<Archive>,
    places: Vec<Place>,
    names: Names,
    classes: Vec<String>,
    left_out: Vec<(String, String)>,
}

/// A shard in the state in which it was indexed.
struct Archive {
    name: String,
    state: (u64, i64),
}

/// The place of a sample's image, and its label.
#[derive(Clone, Copy)]
struct Place {
    /// The shard, by its place in the list.
    shard: u32,
    /// The place of the first byte in the shard.
    offset: u64,
    /// The number of bytes.
    size: u32,
    /// The class.
    label: u32,
}

impl Shards {
    /// The images in `shards`, as far as `choice` asks for them, whose labels are numbers or names of `classes`.
    ///
    /// # Errors
    /// Labels without a class, more left-out samples than `data.max_broken` allows, or no sample.
    pub fn new(choice: &Choice<'_>, shards: Vec<Shard>, classes: Vec<String>) -> Result<Self, DataError> {
        let mut this = Self {
            folder: choice.folder.to_owned(),
            shards: Vec::with_capacity(shards.len()),
            places: Vec::new(),
            names: Names::default(),
            classes,
            left_out: Vec::new(),
        };
        let count: usize = shards.iter().map(|shard| shard.contents.samples.len()).sum();
        let mut wanted = choice.places(count).peekable();
        let mut seen = 0;
        for shard in shards {
            for sample in &shard.contents.samples {
                if wanted.next_if_eq(&seen).is_some() {
                    this.add(choice, &shard.name, sample)?;
                }
                seen += 1;
            }
            let named = |(key, fault)| (format!("{}:{key}", shard.name), fault);
            this.left_out.extend(shard.contents.left_out.into_iter().map(named));
            this.shards.push(Archive { name: shard.name, state: (shard.size, shard.modified) });
        }
        this.check_left_out(choice, count)?;
        Ok(this)
    }

    /// Adds a sample of the next shard.
    fn add(&mut self, choice: &Choice<'_>, shard: &str, sample: &Sample) -> Result<(), DataError> {
        let label = match &sample.label {
            Label::Number(number) => *number,
            Label::Name(class) => match self.classes.binary_search(class) {
                Ok(label) => label as u32,
                Err(_) => return Err(self.no_class(shard, &sample.name, class)),
            },
        };
        if label as usize >= choice.classes {
            let (name, classes) = (&sample.name, choice.classes);
            let wrong =
                format!("gives {name:?} the label {label}, but the network has {classes} classes, from 0");
            let remedy =
                format!("set model.classes to at least {}, or use other shards", u64::from(label) + 1);
            return Err(DataError::malformed(&self.folder.join(shard), wrong, remedy));
        }
        let place =
            Place { shard: self.shards.len() as u32, offset: sample.offset, size: sample.size, label };
        self.places.push(place);
        self.names.push(&sample.name);
        Ok(())
    }

    /// The error for a test image of a class that no training image has.
    fn no_class(&self, shard: &str, sample: &str, class: &str) -> DataError {
        let wrong = format!("gives {sample:?} the class {class:?}, which no training sample has");
        let remedy = "give both halves of the data the same classes";
        DataError::malformed(&self.folder.join(shard), wrong, remedy)
    }

    /// Warns of the samples that were left out.
    ///
    /// # Errors
    /// When they are more than the allowed share, or no other sample is left.
    fn check_left_out(&self, choice: &Choice<'_>, count: usize) -> Result<(), DataError> {
        let first: Vec<_> =
            self.left_out.iter().take(NAMED).map(|(key, fault)| format!("{key} {fault}")).collect();
        let (left_out, all) = (self.left_out.len(), self.left_out.len() + count);
        let more = if left_out > NAMED { "; and others" } else { "" };
        let first = first.join("; ");
        if count == 0 {
            let why = if left_out == 0 { String::new() } else { format!(" ({first}{more})") };
            let wrong = format!("has shards without a whole sample{why}");
            return Err(DataError::malformed(
                &self.folder,
                wrong,
                "give each image a .cls or .json file of its name",
            ));
        }
        if left_out as f64 > choice.photos.max_broken * all as f64 {
            let wrong = format!(
                "has {left_out} samples without an image or a label among {all}, more than the share of {} that \
                 data.max_broken allows ({first}{more})",
                choice.photos.max_broken
            );
            return Err(DataError::malformed(
                &self.folder,
                wrong,
                "repair them, or set data.max_broken higher",
            ));
        }
        if left_out > 0 {
            let folder = self.folder.display();
            tracing::warn!(
                "{left_out} of {all} samples in the shards of {folder} are left out: {first}{more}"
            );
        }
        Ok(())
    }
}

/// The names of the classes of `shards`, sorted; none if the labels are numbers.
///
/// # Errors
/// When some labels are numbers, and others are names.
pub(super) fn classes(choice: &Choice<'_>, shards: &[Shard]) -> Result<Vec<String>, DataError> {
    let samples = || shards.iter().flat_map(|shard| &shard.contents.samples);
    let names: BTreeSet<&String> = samples().filter_map(|sample| sample.label.name()).collect();
    match samples().find(|sample| sample.label.name().is_none()) {
        Some(sample) if !names.is_empty() => {
            let wrong =
                format!("has shards with labels that are names, but that of {:?} is a number", sample.name);
            Err(DataError::malformed(choice.folder, wrong, "give all samples labels of one form"))
        }
        _ => Ok(names.into_iter().cloned().collect()),
    }
}

impl Files for Shards {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn label(&self, index: usize) -> u32 {
        self.places[index].label
    }

    fn name(&self, index: usize) -> String {
        format!("{}:{}", self.shards[self.places[index].shard as usize].name, self.names.get(index))
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, DataError> {
        let Place { shard, offset, size, .. } = self.places[index];
        let Archive { name, state } = &self.shards[shard as usize];
        let path = self.folder.join(name);
        let read = || {
            let file = File::open(&path)?;
            if index::of(&file.metadata()?) != *state {
                return Ok(None);
            }
            let mut bytes = vec![0; size as usize];
            file.read_exact_at(&mut bytes, offset)?;
            Ok(Some(bytes))
        };
        match read() {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => {
                let wrong = "has changed since it was indexed";
                Err(DataError::malformed(&path, wrong, "start again, and it is indexed anew"))
            }
            Err(cause) => Err(DataError::Unreadable { path, cause }),
        }
    }

    fn origin(&self) -> &Path {
        &self.folder
    }

    fn class_names(&self) -> &[String] {
        &self.classes
    }

    fn fingerprint(&self) -> u64 {
        let mut hash = XxHash3_64::new();
        for (index, place) in self.places.iter().enumerate() {
            hash.write(self.names.get(index).as_bytes());
            hash.write(&[0]);
            hash.write(&place.size.to_le_bytes());
            hash.write(&place.label.to_le_bytes());
        }
        hash.finish()
    }

    fn left_out(&self) -> &[(String, String)] {
        &self.left_out
    }
}
