//! The labels of a flat folder of test images: a list of numbers, and their meaning.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::data::{Choice, DataError, Numbering};

/// The most bytes of a list.
const LONGEST: u64 = 256 << 20;

/// The label of each of the files `names`, which are sorted, by the list that `choice` names.
///
/// # Errors
/// A list that is missing, a line that is no number, another count than that of the files, a file without a line, or a
/// number without a class.
pub(super) fn of(choice: &Choice<'_>, names: &[String], classes: &[String]) -> Result<Vec<u32>, DataError> {
    let photos = &choice.photos;
    let list = choice.folder.join(photos.test_labels.unwrap_or(Path::new("")));
    let Some(numbering) = photos.test_numbering else {
        let wrong = "data.test_labels is set, but data.test_numbering does not say what its numbers mean";
        let remedy = "set it to \"sorted\" (places among the sorted names of the classes, from 0), or to \
                      \"devkit\" (the ids of ImageNet's development kit, from 1)";
        return Err(DataError::setting(wrong, remedy));
    };
    let numbers = numbers(&list, &read(&list)?, names)?;
    let meaning = match numbering {
        Numbering::Sorted => (0..classes.len() as u32).map(Some).collect(),
        Numbering::Devkit => synsets(choice, classes)?,
    };
    let first = u32::from(numbering == Numbering::Devkit);
    let label = |(name, &number): (&String, &u32)| {
        let meant = number.checked_sub(first).and_then(|at| meaning.get(at as usize));
        meant.copied().flatten().ok_or_else(|| unknown(&list, name, number, numbering, meaning.len()))
    };
    names.iter().zip(&numbers).map(label).collect()
}

/// The error for a number without a class.
fn unknown(list: &Path, name: &str, number: u32, numbering: Numbering, known: usize) -> DataError {
    let range = match numbering {
        Numbering::Sorted => format!("the class folders are numbered from 0 to {}", known.saturating_sub(1)),
        Numbering::Devkit => {
            format!("data.synsets names no class folder of training images by one of its {known} lines")
        }
    };
    let wrong = format!("gives {name} the number {number}, for which {range}");
    DataError::malformed(list, wrong, "check data.test_numbering, or use the list that belongs to the images")
}

/// The numbers in `text` in the order of the files `names`: one on each line, or behind the file's name.
fn numbers(list: &Path, text: &str, names: &[String]) -> Result<Vec<u32>, DataError> {
    let refuse = |wrong: String| DataError::malformed(list, wrong, "use the list that belongs to the images");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() != names.len() {
        return Err(refuse(format!("has {} lines for {} images", lines.len(), names.len())));
    }
    let mut plain = Vec::with_capacity(names.len());
    let mut named = HashMap::new();
    for (number, line) in (1..).zip(lines) {
        let (name, value) = match line.rsplit_once(char::is_whitespace) {
            Some((name, value)) => (Some(name.trim_end()), value),
            None => (None, line),
        };
        let wrong =
            || refuse(format!("has a line {number} that is neither a number nor a name and a number"));
        let value: u32 = value.parse().map_err(|_| wrong())?;
        match name {
            None if named.is_empty() => plain.push(value),
            Some(name) if plain.is_empty() => {
                _ = named.insert(name.rsplit('/').next().unwrap_or(name), value)
            }
            _ => return Err(refuse(format!("has lines with and without a name, such as line {number}"))),
        }
    }
    if named.is_empty() {
        return Ok(plain);
    }
    let missing = |name: &String| refuse(format!("has no line for {name}"));
    names.iter().map(|name| named.get(name.as_str()).copied().ok_or_else(|| missing(name))).collect()
}

/// The label of each line of `data.synsets`; `None` for a synset without a class.
fn synsets(choice: &Choice<'_>, classes: &[String]) -> Result<Vec<Option<u32>>, DataError> {
    let Some(path) = choice.photos.synsets else {
        let wrong =
            "data.test_numbering is \"devkit\", but data.synsets does not name the file of its synsets";
        return Err(DataError::setting(
            wrong,
            "set it to a text file whose line n begins with the synset of id n",
        ));
    };
    let path = choice.folder.join(path);
    let text = read(&path)?;
    let synsets: Vec<&str> = text.lines().map(|line| line.split_whitespace().next().unwrap_or("")).collect();
    let mut seen = HashSet::new();
    if let Some(twice) = synsets.iter().find(|synset| !synset.is_empty() && !seen.insert(**synset)) {
        let wrong = format!("names {twice} in two lines");
        return Err(DataError::malformed(&path, wrong, "give each line the synset of its own id"));
    }
    let label = |synset: &&str| classes.binary_search_by(|class| class.as_str().cmp(synset)).ok();
    Ok(synsets.iter().map(|synset| label(synset).map(|label| label as u32)).collect())
}

fn read(path: &PathBuf) -> Result<String, DataError> {
    let read = || {
        let mut text = String::new();
        File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
        match text.len() as u64 <= LONGEST {
            // Some editors put a mark of the byte order before the first line.
            true => Ok(text.trim_start_matches('\u{feff}').to_owned()),
            false => Err(io::Error::other(format!("it is longer than {LONGEST} bytes"))),
        }
    };
    read().map_err(|cause| DataError::Unreadable { path: path.clone(), cause })
}
