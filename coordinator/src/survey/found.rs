//! What a survey tells of a split: figures of its counts, as the table and the JSON have them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::count::Count;
use crate::data::Samples;

/// The findings of one split.
#[derive(Debug, Serialize)]
pub struct Found {
    /// The folder or file of the data.
    pub path: String,
    /// The number of samples, broken ones included.
    pub samples: usize,
    /// The samples of each class that has any, or a name.
    pub classes: Vec<Class>,
    /// The samples that cannot be decoded.
    pub broken: Vec<Broken>,
    /// The samples whose file cannot be read; a run ends at the first.
    pub unreadable: Vec<Broken>,
    /// What the set itself left out, since it is no whole sample.
    pub left_out: Vec<Broken>,
    /// The heights and widths of the images in their files; absent where none could be decoded.
    pub height: Option<Extent>,
    /// The widths.
    pub width: Option<Extent>,
    /// What the network sees: channels, height, width.
    pub shape: [usize; 3],
    /// Each channel's mean over the pixels that the network sees without augmentation, from 0 to 1.
    pub mean: Vec<f64>,
    /// Each channel's standard deviation.
    pub std: Vec<f64>,
    /// The threads that decoded.
    pub threads: usize,
    /// The images that all of them decoded in a second, resizing included.
    pub images_per_s: f64,
}

/// A class and its samples.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Class {
    /// The number of the class.
    pub label: u32,
    /// The name, if the set knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The number of samples.
    pub samples: u64,
}

/// A sample that cannot be used.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The sample's name.
    pub name: String,
    /// Why it cannot be used.
    pub reason: String,
}

/// The sizes of images in one direction, in pixels.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Extent {
    /// The smallest.
    pub min: usize,
    /// The middle one; of two, the smaller.
    pub median: usize,
    /// The largest.
    pub max: usize,
}

impl Found {
    /// The findings of `count` over `set`, which `threads` threads took `time` to decode.
    pub(super) fn of(set: &dyn Samples, count: Count, threads: usize, time: Duration) -> Self {
        let named = |all: BTreeMap<usize, String>| {
            all.into_iter().map(|(index, reason)| Broken { name: set.name(index), reason }).collect()
        };
        let left_out = set.left_out().iter();
        let (mean, std) = count.pixels.iter().map(moments).unzip();
        Self {
            path: set.origin().display().to_string(),
            samples: set.len(),
            classes: classes(set, &count.labels),
            broken: named(count.broken),
            unreadable: named(count.unreadable),
            left_out: left_out
                .map(|(name, reason)| Broken { name: name.clone(), reason: reason.clone() })
                .collect(),
            height: Extent::of(&count.heights),
            width: Extent::of(&count.widths),
            shape: set.shape(),
            mean,
            std,
            threads,
            images_per_s: set.len() as f64 / time.as_secs_f64().max(1e-9),
        }
    }
}

impl Extent {
    fn of(counts: &BTreeMap<usize, u64>) -> Option<Self> {
        let all: u64 = counts.values().sum();
        let mut below = 0;
        let middle = counts.iter().find(|(_, count)| {
            below += **count;
            2 * below >= all
        });
        let (min, max) = (counts.first_key_value()?, counts.last_key_value()?);
        Some(Self { min: *min.0, median: *middle?.0, max: *max.0 })
    }
}

/// The classes that have samples or a name.
fn classes(set: &dyn Samples, labels: &BTreeMap<u32, u64>) -> Vec<Class> {
    let names = set.class_names().unwrap_or_default();
    let named = (0..).zip(names).map(|(label, _)| (label, 0));
    let mut all: BTreeMap<u32, u64> = named.collect();
    all.extend(labels);
    let class = |(label, samples)| Class { label, name: names.get(label as usize).cloned(), samples };
    all.into_iter().map(class).collect()
}

/// The mean and the (population) standard deviation of v / 255.
fn moments(counts: &[u64; 256]) -> (f64, f64) {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    let values = || (0..).zip(counts).map(|(value, &count)| (f64::from(value) / 255.0, count as f64));
    let mean = values().map(|(value, count)| value * count).sum::<f64>() / total;
    let square = values().map(|(value, count)| (value - mean).powi(2) * count).sum::<f64>() / total;
    (mean, square.sqrt())
}
