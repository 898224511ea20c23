//! Shows what becomes of photographs on their way to the network, for `cargo xtask photographs` and `bench input`.
//!
//! ```text
//! input rate FOLDER COUNT            images per second of processor time: COUNT random crops of training images
//! input tensors FOLDER VIEW EVERY    every EVERY-th training image as `random` or `centre` shows it
//! ```
//!
//! FOLDER is an ImageFolder with `train`. `tensors` prints a line of JSON for each image (its file, the region of it
//! that is resized, or null, and whether it is mirrored), an empty line, and the bytes of all images: 3 planes each.

use coordinator::data::{Choice, DataKind, Random, Split, open};
use serde_json::json;
use std::error::Error;
use std::fs;
use std::io::{Write, stdout};
use std::path::Path;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// More classes than a folder has.
const CLASSES: usize = 1000;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["rate", folder, count] => rate(folder.as_ref(), count.parse()?),
        ["tensors", folder, view @ ("random" | "centre"), every] => {
            tensors(folder.as_ref(), view == "random", every.parse()?)
        }
        _ => Err("input rate FOLDER COUNT, or input tensors FOLDER random|centre EVERY".into()),
    }
}

/// The training images of a folder, and how they are seen.
fn choice(folder: &Path, augment: bool) -> Choice<'_> {
    let mut choice = Choice::all(folder, Split::Train, CLASSES);
    choice.photos.augment = augment;
    choice
}

fn rate(folder: &Path, count: usize) -> Outcome<()> {
    let samples = open(DataKind::ImageFolder, &choice(folder, true))?;
    // As a shuffled epoch reads them, neighbours are not of one class.
    let place = |index| 7919 * index % samples.len();
    for index in 0..64 {
        samples.sample(0, place(index))?;
    }
    let begun = processor_time()?;
    for index in 0..count {
        samples.sample((1 + index / samples.len()) as u64, place(index))?;
    }
    println!("{}", json!({ "images_per_s": count as f64 / (processor_time()? - begun) }));
    Ok(())
}

/// Seconds of processor time that this thread had.
fn processor_time() -> Outcome<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e9)
}

fn tensors(folder: &Path, random: bool, every: usize) -> Outcome<()> {
    let samples = open(DataKind::ImageFolder, &choice(folder, random))?;
    // As `choice` sees the images.
    let view = Random { area: [0.08, 1.0], jitter: None, seed: 0 };
    let (mut images, mut out) = (Vec::new(), stdout().lock());
    for index in (0..samples.len()).step_by(every) {
        let file = samples.origin().join(samples.name(index));
        let look = random.then(|| view.region(&fs::read(&file)?, 0, index).map_err(Box::<dyn Error>::from));
        let (region, flip) = look.transpose()?.unzip();
        writeln!(out, "{}", json!({ "file": file, "region": region, "flip": flip.unwrap_or(false) }))?;
        images.extend_from_slice(&samples.sample(0, index)?.0);
    }
    writeln!(out)?;
    out.write_all(&images)?;
    Ok(())
}
