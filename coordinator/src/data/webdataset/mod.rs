//! A reader of photographs in tar shards, as WebDataset has them.
//!
//! ```text
//! train-000000.tar   a.jpg a.cls │ b.jpg b.cls │ …      ranges ─▶ names ─▶ index (one pass, kept) ─▶ places
//! train-000001.tar   …                                                     sample i: one read at its place
//! ```
//!
//! The samples keep the order of the shards and of the files in them. Shuffling is the sampler's.

#[cfg(test)]
mod fixtures;
mod header;
mod index;
mod names;
mod ranges;
mod samples;
#[cfg(test)]
mod set_tests;
mod shards;
mod tar;
#[cfg(test)]
mod tests;
mod window;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use super::facts::{Facts, Opened};
use super::photo::Photographs;
use super::{Choice, DataError, Split, image_folder};
use shards::Shards;

/// The facts of photographs in shards: those of photographs in class folders, with another place.
pub(super) const FACTS: Facts = Facts { folder: "imagenet-shards", files: &[], open, ..image_folder::FACTS };

fn open(choice: &Choice<'_>) -> Opened {
    let names = names(choice)?;
    let shards = index::index(choice.folder, &names, choice.photos.label_key)?;
    let classes = match shards::classes(choice, &shards)? {
        named if choice.split == Split::Test && !named.is_empty() => of_training(choice)?,
        classes => classes,
    };
    let files = Shards::new(choice, shards, classes)?;
    Ok(Box::new(Photographs::new(files, choice.view(), choice.classes, choice.photos.max_broken)))
}

/// The names of the classes of the training shards. They also decide the numbers of the test shards' classes.
fn of_training(choice: &Choice<'_>) -> Result<Vec<String>, DataError> {
    let train = Choice { split: Split::Train, ..*choice };
    shards::classes(&train, &index::index(train.folder, &names(&train)?, train.photos.label_key)?)
}

/// The names of the split's shards, in order.
fn names(choice: &Choice<'_>) -> Result<Vec<String>, DataError> {
    let (key, patterns, starts) = match choice.split {
        Split::Train => ("data.train", choice.photos.train, &["train"][..]),
        Split::Test => ("data.test", choice.photos.test, &["val", "test"][..]),
    };
    if patterns.is_empty() {
        return found(choice.folder, key, starts);
    }
    let mut names = Vec::new();
    for pattern in patterns {
        let wrong = |wrong| {
            let remedy = "write the shards as in \"train-{000000..000146}.tar\"";
            DataError::setting(format!("{key} holds {pattern:?}, which {wrong}"), remedy)
        };
        names.extend(ranges::expand(pattern).map_err(wrong)?);
    }
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(twice) => {
            Err(DataError::setting(format!("{key} names the shard {twice} twice"), "name each shard once"))
        }
        None => Ok(names),
    }
}

/// The shards in `folder` whose names begin with the split's usual words, sorted.
fn found(folder: &Path, key: &str, starts: &[&str]) -> Result<Vec<String>, DataError> {
    let all =
        fs::read_dir(folder).map_err(|cause| DataError::Unreadable { path: folder.to_owned(), cause })?;
    let names: Vec<String> = all.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    for start in starts {
        let is_shard = |name: &&String| name.starts_with(start) && name.ends_with(".tar");
        let mut shards: Vec<String> = names.iter().filter(is_shard).cloned().collect();
        if !shards.is_empty() {
            shards.sort_unstable();
            return Ok(shards);
        }
    }
    let wrong = format!(
        "holds no {}",
        starts.iter().map(|start| format!("{start}*.tar")).collect::<Vec<_>>().join(" or ")
    );
    Err(DataError::malformed(
        folder,
        wrong,
        format!("set {key} to the names of the shards, or data.path to their folder"),
    ))
}
