//! The samples of a shard: the files of an archive, grouped by their names.
//!
//! ```text
//! n0144/a.jpg  n0144/a.cls │ n0144/b.jpg  n0144/b.json │ …      consecutive files with one key
//! └── key ──┘ └ext┘                                             are one sample
//! ```
//!
//! Source: the convention of WebDataset, <https://github.com/webdataset/webdataset>: the key ends before the first dot
//! of the file's own name, and the rest is the extension. Names in double underscores, and those without a key or an
//! extension, belong to no sample.

use serde::{Deserialize, Serialize};

use super::tar::{Member, Members};
use crate::data::photo::LARGEST;

/// The extensions of images, in lower case.
const IMAGES: [&str; 4] = ["jpg", "jpeg", "png", "webp"];
/// The most bytes of a `.cls` file, and of a `.json` file.
const LONGEST_CLS: usize = 64;
const LONGEST_JSON: usize = 1 << 20;
/// The most bytes of a class's name.
const LONGEST_NAME: usize = 256;

/// A label in a shard's form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Label {
    /// The number of a class.
    Number(u32),
    /// The name of a class.
    Name(String),
}

impl Label {
    /// The name of the class, if the label is one.
    pub fn name(&self) -> Option<&String> {
        match self {
            Label::Name(name) => Some(name),
            Label::Number(_) => None,
        }
    }
}

/// A sample of a shard. An index has very many samples, so each is written as a list without names of fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(String, u64, u32, Label)", into = "(String, u64, u32, Label)")]
pub(super) struct Sample {
    /// The name of the image's file.
    pub name: String,
    /// The place of the image's first byte in the shard.
    pub offset: u64,
    /// The number of the image's bytes.
    pub size: u32,
    /// The label.
    pub label: Label,
}

impl From<(String, u64, u32, Label)> for Sample {
    fn from((name, offset, size, label): (String, u64, u32, Label)) -> Self {
        Self { name, offset, size, label }
    }
}

impl From<Sample> for (String, u64, u32, Label) {
    fn from(Sample { name, offset, size, label }: Sample) -> Self {
        (name, offset, size, label)
    }
}

/// The contents of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents {
    /// The samples, in the order of the shard.
    pub samples: Vec<Sample>,
    /// The keys of incomplete samples, each with the reason, as a phrase that follows the key.
    pub left_out: Vec<(String, String)>,
}

/// The files of one key that were read so far.
struct Group {
    key: String,
    images: Vec<Member>,
    cls: Option<Result<Label, String>>,
    json: Option<Result<Label, String>>,
}

impl Contents {
    /// Reads the samples of an archive; `label_key` is the key of a `.json` file that has the label.
    ///
    /// # Errors
    /// A phrase that follows the archive's name: it is not whole, or no tar archive.
    pub(super) fn read(mut members: Members, label_key: &str) -> Result<Self, String> {
        let mut contents = Contents::default();
        let mut group: Option<Group> = None;
        while let Some(member) = members.next()? {
            let Some((key, extension)) = parts(&member.name) else { continue };
            let (key, extension) = (key.to_owned(), extension.to_lowercase());
            if group.as_ref().is_none_or(|group| group.key != key) {
                contents.close(group.replace(Group { key, images: Vec::new(), cls: None, json: None }));
            }
            if let Some(group) = &mut group {
                group.add(&extension, member, &mut members, label_key)?;
            }
        }
        contents.close(group);
        Ok(contents)
    }

    /// Whether a kept index can belong to a shard of `length` bytes: its images lie within the shard, and none is too
    /// large.
    pub(super) fn fits(&self, length: u64) -> bool {
        let fits = |sample: &Sample| {
            let size = u64::from(sample.size);
            size <= LARGEST && sample.offset.checked_add(size).is_some_and(|end| end <= length)
        };
        self.samples.iter().all(fits)
    }

    /// Adds the sample of a complete group, or leaves it out.
    fn close(&mut self, group: Option<Group>) {
        let Some(group) = group else { return };
        let key = group.key.clone();
        match group.sample() {
            Ok(sample) => self.samples.push(sample),
            Err(fault) => self.left_out.push((key, fault)),
        }
    }
}

impl Group {
    /// Adds a file of the group.
    fn add(
        &mut self,
        extension: &str,
        member: Member,
        members: &mut Members,
        label_key: &str,
    ) -> Result<(), String> {
        match extension {
            "cls" => {
                let data = members.data(&member, LONGEST_CLS)?;
                self.cls = Some(data.ok_or_else(|| too_long("cls", LONGEST_CLS)).and_then(cls));
            }
            "json" => {
                let data = members.data(&member, LONGEST_JSON)?.ok_or_else(|| too_long("json", LONGEST_JSON));
                self.json = Some(data.and_then(|data| json(data, label_key)));
            }
            image if IMAGES.contains(&image) => self.images.push(member),
            _ => {}
        }
        Ok(())
    }

    /// The sample, if the group is one. A `.cls` file takes precedence over a `.json` file.
    fn sample(mut self) -> Result<Sample, String> {
        let Some(Member { name, offset, size }) = self.images.pop() else {
            return Err("has no image (.jpg, .jpeg, .png or .webp)".into());
        };
        if !self.images.is_empty() {
            return Err(format!("has {} images", self.images.len() + 1));
        }
        let size = u32::try_from(size).ok().filter(|size| u64::from(*size) <= LARGEST);
        let size = size.ok_or_else(|| format!("has an image of more than {LARGEST} bytes"))?;
        let label = self.cls.or(self.json).unwrap_or_else(|| Err("has no label (.cls or .json)".into()))?;
        Ok(Sample { name, offset, size, label })
    }
}

fn too_long(extension: &str, most: usize) -> String {
    format!("has a .{extension} file of more than {most} bytes")
}

/// The key and the extension of a file's name.
fn parts(name: &str) -> Option<(&str, &str)> {
    let own = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = own + name[own..].find('.')?;
    let (key, extension) = (&name[..dot], &name[dot + 1..]);
    let is_private = key[own..].starts_with("__") && name.ends_with("__");
    (dot > own && !extension.is_empty() && !is_private).then_some((key, extension))
}

/// The label in a `.cls` file: a number in decimal digits.
fn cls(data: &[u8]) -> Result<Label, String> {
    let text = String::from_utf8_lossy(data);
    let number = text.trim().parse();
    number
        .map(Label::Number)
        .map_err(|_| format!("has a .cls file with {:?}, which is no class", text.trim()))
}

/// The label in a `.json` file: the number or the name of a class under `label_key`.
fn json(data: &[u8], label_key: &str) -> Result<Label, String> {
    let value: serde_json::Value =
        serde_json::from_slice(data).map_err(|error| format!("has a malformed .json file ({error})"))?;
    let found = value.get(label_key).ok_or_else(|| format!("has a .json file without {label_key:?}"))?;
    match (found.as_u64().map(u32::try_from), found.as_str()) {
        (Some(Ok(number)), _) => Ok(Label::Number(number)),
        (_, Some(name)) if (1..=LONGEST_NAME).contains(&name.len()) => Ok(Label::Name(name.to_owned())),
        _ => {
            let found: String = found.to_string().chars().take(40).collect();
            Err(format!("has a .json file whose {label_key:?} is {found}, which is no class"))
        }
    }
}
