//! Checks between the keys of `[data]`: keys that only some kinds of data sets have, and those that belong together.

use super::schema::Unset;
use super::sections::Data;
use super::tree::Tree;
use super::{ConfigError, keys};
use crate::data::{DataKind, Numbering};

/// The keys of idx files.
const IDX: [&str; 3] = ["prefix", "transpose", "first_label"];
/// The keys of all photographs.
const PHOTOS: [&str; 7] = ["train", "test", "crop", "resize", "crop_area", "jitter", "max_broken"];
/// The keys of photographs in folders alone.
const FOLDERS: [&str; 3] = ["test_labels", "test_numbering", "synsets"];
/// The keys of photographs in shards alone.
const SHARDS: [&str; 1] = ["label_key"];

/// Checks all combinations of the keys; `tree` says where each was set.
///
/// # Errors
/// The first key that does not fit, in one sentence.
pub(super) fn check(data: &Data, tree: &Tree) -> Result<(), ConfigError> {
    let kind = data.kind;
    alone(&IDX, "idx files", kind.is_idx(), tree)?;
    alone(&PHOTOS, "photographs", kind.is_photographs(), tree)?;
    alone(&FOLDERS, "photographs in folders", kind == DataKind::ImageFolder, tree)?;
    alone(&SHARDS, "photographs in shards", kind == DataKind::Webdataset, tree)?;
    view(data, tree)?;
    labels(data, tree)
}

/// Refuses keys for `what` beside a kind of other data. A key may have its default, as in the configuration of a run.
fn alone(names: &[&str], what: &str, is_kind: bool, tree: &Tree) -> Result<(), ConfigError> {
    let is_default = |key: &str, value| keys::find(key).is_some_and(|key| key.unset == Unset::Is(value));
    let is_set = |key: &String| tree.get(key).is_some_and(|value| !is_default(key, value.clone()));
    let set = names.iter().map(|name| format!("data.{name}")).find(is_set).filter(|_| !is_kind);
    set.map_or(Ok(()), |key| {
        let why = format!("is for {what}, but 'data.kind' is of others: leave it out");
        Err(refusal(&key, &why, tree))
    })
}

/// Checks the sizes and ranges of what is seen of photographs.
fn view(data: &Data, tree: &Tree) -> Result<(), ConfigError> {
    let refuse = |key: &str, why: String| Err(refusal(key, &why, tree));
    let ([least, most], hue) = (data.crop_area, data.jitter.map_or(0.0, |jitter| jitter[3]));
    if data.resize < data.crop {
        let why = format!(
            "is {}, less than the {} of 'data.crop': set it to as much or more",
            data.resize, data.crop
        );
        return refuse("data.resize", why);
    }
    if least > most {
        return refuse(
            "data.crop_area",
            format!("is [{least}, {most}]: the first number must not be above the second"),
        );
    }
    if hue > 0.5 {
        return refuse("data.jitter", format!("ends in {hue}: a hue changes by 0.5, half a turn, at most"));
    }
    Ok(())
}

/// Checks that a list of labels comes with what its numbers mean.
fn labels(data: &Data, tree: &Tree) -> Result<(), ConfigError> {
    let refuse = |key: &str, why: &str| Err(refusal(key, why, tree));
    let devkit = data.test_numbering == Some(Numbering::Devkit);
    match (&data.test_labels, data.test_numbering, &data.synsets) {
        (Some(_), None, _) => refuse(
            "data.test_labels",
            "needs 'data.test_numbering': \"sorted\" if its numbers are places among the sorted class folders, from 0, \
             or \"devkit\" if they are the ids of ImageNet's development kit, from 1",
        ),
        (None, Some(_), _) => {
            refuse("data.test_numbering", "says nothing without 'data.test_labels': leave it out")
        }
        (_, _, None) if devkit => refuse(
            "data.test_numbering",
            "is \"devkit\", which needs 'data.synsets', a file whose line n begins with the synset of id n",
        ),
        (_, _, Some(_)) if !devkit => {
            refuse("data.synsets", "is for 'data.test_numbering' \"devkit\" alone: leave it out")
        }
        _ => Ok(()),
    }
}

fn refusal(key: &str, why: &str, tree: &Tree) -> ConfigError {
    ConfigError::new(format!("'{key}' {} {why}", tree.place(key)))
}
