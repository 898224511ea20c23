//! A reader of photographs in class folders, as torchvision's `ImageFolder` has them.
//!
//! ```text
//! {train,val}/CLASS/….JPEG      the classes are the folders' names, sorted
//! val/….JPEG, val-labels.txt    or a flat folder of test files, with a list of their labels
//! ```

mod files;
mod index;
mod labels;
#[cfg(test)]
mod tests;

use super::facts::{Facts, Opened};
use super::photo::Photographs;
use super::{Augment, Choice};
use files::Listed;

/// The facts of photographs in class folders. The figures are those of ImageNet's training images, as torchvision's
/// models take them.
pub(super) const FACTS: Facts = Facts {
    folder: "imagenet",
    files: &["train"],
    classes: None,
    shape: None,
    samples: None,
    figures: Some((&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225])),
    variation: Augment::NONE,
    varied: true,
    is_idx: false,
    is_photographs: true,
    open,
};

fn open(choice: &Choice<'_>) -> Opened {
    let files = Listed::open(choice)?;
    Ok(Box::new(Photographs::new(files, choice.view(), choice.classes, choice.photos.max_broken)))
}
