//! `coordinator evaluate --images`: sends single pictures through a state of a run, and says what each is taken for.

use super::Order;
use super::subject::Subject;
use crate::columns::aligned;
use crate::config::Config;
use crate::data::{Samples, pictures};
use crate::loss::{Guess, Likely};
use crate::record::printable;
use crate::run_error::RunError;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What a state takes pictures for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Classified {
    /// Updates of the state.
    pub step: u64,
    /// The pictures, in the order of the command line.
    pub images: Vec<Picture>,
}

/// What one picture is taken for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Picture {
    /// The picture's file.
    pub file: String,
    /// The likeliest classes, at most five, the likeliest first.
    pub classes: Vec<Answer>,
}

/// One of the classes that a picture may be of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The class, from 0.
    pub class: u32,
    /// The name of the class, where the data set has names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its share of the softmax over all classes, from 0 to 1.
    pub probability: f64,
}

/// Classifies the pictures in `files`. They are brought to the size of the network's inputs as test images are.
///
/// # Errors
/// A picture that cannot be read, and those of [`super::evaluate`].
pub async fn classify(order: Order<'_>, files: &[PathBuf]) -> Result<Classified, RunError> {
    let mut subject = Subject::open(order).await?;
    let prepared = &mut subject.prepared;
    let names = prepared.class_names().to_vec();
    let shape = prepared.sets.test.data().shape();
    let set = pictures(files, shape, short(&prepared.config, shape))?;
    prepared.test_samples = set.len();
    prepared.sets.test = prepared.sets.test.over(Arc::new(set));
    let mut guesses = Vec::new();
    subject.pass(|outcome| guesses.extend(outcome.guesses)).await?;
    let picture = |(file, guess): (&PathBuf, Guess)| Picture::of(file.display().to_string(), &guess, &names);
    Ok(Classified { step: subject.step, images: files.iter().zip(guesses).map(picture).collect() })
}

/// The length of a picture's shorter side before its centre is taken: that of test photographs, or the whole input for
/// a network of small images.
fn short(config: &Config, [_, height, _]: [usize; 3]) -> u32 {
    if config.data.kind.is_photographs() { config.data.resize } else { height as u32 }
}

impl Picture {
    fn of(file: String, guess: &Guess, names: &[String]) -> Self {
        let answer = |likely: &Likely| Answer {
            class: likely.class,
            name: names.get(likely.class as usize).cloned(),
            probability: likely.probability,
        };
        Self { file, classes: guess.ranked.iter().map(answer).collect() }
    }
}

impl fmt::Display for Classified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |(rank, file, answer): (usize, &String, &Answer)| {
            // The file stands in its first row only.
            let file = if rank == 0 { printable(file) } else { String::new() };
            let class = answer.name.as_deref().map_or_else(|| answer.class.to_string(), printable);
            vec![file, class, format!("{:.2} %", 100.0 * answer.probability)]
        };
        let rows = self.images.iter().flat_map(|Picture { file, classes }| {
            classes.iter().enumerate().map(move |(rank, answer)| row((rank, file, answer)))
        });
        f.write_str(&aligned(&["image", "class"], &["probability"], rows.collect()))
    }
}
