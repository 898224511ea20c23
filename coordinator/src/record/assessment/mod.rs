//! The assessment of a network: an evaluation with its accuracy by class and its confusions. It is `evaluation.json` of
//! a run's folder and the answer of `coordinator evaluate`.

mod table;

use super::evaluation::Evaluation;
use super::tally::{Counts, Tally};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// An evaluation in full.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// Updates of the state.
    pub step: u64,
    /// The number of images in the test set.
    pub samples: usize,
    /// Mean loss, without label smoothing.
    pub test_loss: Option<f64>,
    /// Fraction of the images whose label ranks first.
    pub test_top1: Option<f64>,
    /// Fraction of the images whose label ranks among the first five.
    pub test_top5: Option<f64>,
    /// Every class that an image has or was taken for, in order.
    #[serde(default)]
    pub classes: Vec<ClassScore>,
    /// Every pair of classes that was confused, the most frequent first.
    #[serde(default)]
    pub confusions: Vec<Confusion>,
}

/// The accuracy of one class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// The class, from 0.
    pub class: u32,
    /// The name of the class, where the data set has names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The number of test images of this class.
    pub samples: u64,
    /// Fraction of them that were taken for this class; `None` without images.
    pub top1: Option<f64>,
    /// Fraction of them that had this class among the likeliest five; `None` without images.
    pub top5: Option<f64>,
}

impl ClassScore {
    fn new(class: u32, names: &[String], counts: Counts) -> Self {
        let Counts { samples, top1, top5 } = counts;
        let share = |count: u64| (samples > 0).then(|| count as f64 / samples as f64);
        let name = names.get(class as usize).cloned();
        Self { class, name, samples, top1: share(top1), top5: share(top5) }
    }

    /// The class for people: its name, or else its number.
    pub fn label(&self) -> String {
        self.name.as_deref().map_or_else(|| self.class.to_string(), printable)
    }
}

/// Images of one class that were taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// The class of the images.
    pub class: u32,
    /// The class that the network took them for.
    pub taken_for: u32,
    /// The number of images.
    pub count: u64,
}

impl Assessment {
    /// The evaluation with the counts of `tally`; `names` are those of the first classes.
    pub fn new(evaluation: &Evaluation, tally: &Tally, names: &[String]) -> Self {
        let Evaluation { step, samples, loss, top1, top5, .. } = *evaluation;
        let confused = tally.confused.iter();
        let mut confusions: Vec<Confusion> =
            confused.map(|(&(class, taken_for), &count)| Confusion { class, taken_for, count }).collect();
        // The sort is stable, so equals stay in the order of their classes.
        confusions.sort_by_key(|confusion| Reverse(confusion.count));
        let taken_for = confusions.iter().map(|confusion| confusion.taken_for);
        let classes: BTreeSet<u32> = tally.classes.keys().copied().chain(taken_for).collect();
        let score =
            |class| ClassScore::new(class, names, tally.classes.get(&class).copied().unwrap_or_default());
        let classes = classes.into_iter().map(score).collect();
        Self { step, samples, test_loss: loss, test_top1: top1, test_top5: top5, classes, confusions }
    }

    /// The classes that have images, the least accurate first, and of equals the one with more images.
    pub fn worst_first(&self) -> Vec<&ClassScore> {
        let mut classes: Vec<_> = self.classes.iter().filter(|class| class.samples > 0).collect();
        let accuracy = |class: &ClassScore| class.top1.unwrap_or_default();
        classes.sort_by(|a, b| {
            accuracy(a).total_cmp(&accuracy(b)).then(b.samples.cmp(&a.samples)).then(a.class.cmp(&b.class))
        });
        classes
    }

    /// A class for people.
    pub fn label(&self, class: u32) -> String {
        self.score(class).map_or_else(|| class.to_string(), ClassScore::label)
    }

    /// The share of a confusion in the images of its class.
    pub fn share(&self, confusion: &Confusion) -> Option<f64> {
        let samples = self.score(confusion.class)?.samples;
        (samples > 0).then(|| confusion.count as f64 / samples as f64)
    }

    fn score(&self, class: u32) -> Option<&ClassScore> {
        self.classes.binary_search_by_key(&class, |score| score.class).ok().map(|at| &self.classes[at])
    }
}

/// Names come out of a data set's files: what would steer a terminal is shown and not sent to it.
pub fn printable(name: &str) -> String {
    let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    name.chars().map(shown).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::loss::guesses;

    /// Of class 0 two of three images are right, and the third is taken for class 1; both of class 1 are taken for class
    /// 3, which has no image; the one of class 4 is right.
    pub fn assessment(names: &[&str]) -> Assessment {
        let mut tally = Tally::default();
        for (label, taken_for) in [(0, 0), (0, 1), (1, 3), (0, 0), (1, 3), (4, 4)] {
            let mut logits = [0.0; 6];
            logits[taken_for] = 1.0;
            tally.add(&guesses(&logits, 6, &[label]));
        }
        let evaluation = Evaluation {
            step: 9,
            loss: Some(1.25),
            top1: Some(0.5),
            top5: Some(1.0),
            samples: 6,
            ..Evaluation::default()
        };
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Assessment::new(&evaluation, &tally, &names)
    }

    #[test]
    fn classes_and_confusions_are_counted() {
        let found = assessment(&["cat", "dog"]);
        let scores: Vec<_> =
            found.classes.iter().map(|class| (class.samples, class.top1, class.top5)).collect();
        let full = Some(1.0);
        assert_eq!(
            scores,
            [(3, Some(2.0 / 3.0), full), (2, Some(0.0), full), (0, None, None), (1, full, full)]
        );
        let confusions: Vec<_> =
            found.confusions.iter().map(|pair| (pair.class, pair.taken_for, pair.count)).collect();
        assert_eq!(confusions, [(1, 3, 2), (0, 1, 1)]);
        assert_eq!(
            found.confusions.iter().map(|pair| found.share(pair)).collect::<Vec<_>>(),
            [full, Some(1.0 / 3.0)]
        );
        assert_eq!([0, 1, 2, 3].map(|class| found.label(class)), ["cat", "dog", "2", "3"]);
        let worst: Vec<u32> = found.worst_first().iter().map(|class| class.class).collect();
        assert_eq!(worst, [1, 0, 4]);
    }

    #[test]
    fn every_field_is_documented() {
        let class =
            ClassScore { class: 0, name: Some("cat".into()), samples: 1, top1: Some(1.0), top5: Some(1.0) };
        let found = Assessment {
            step: 1,
            samples: 1,
            test_loss: Some(1.0),
            test_top1: Some(1.0),
            test_top5: Some(1.0),
            classes: vec![class],
            confusions: vec![Confusion { class: 0, taken_for: 1, count: 1 }],
        };
        crate::documented::holds("evaluation.json", &[serde_json::json!(found)]);
    }

    #[test]
    fn the_record_reads_back_and_keeps_the_keys_of_earlier_releases() {
        let found = assessment(&["cat"]);
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Assessment>(&text).unwrap(), found);
        let first = r#"{"step":9,"samples":6,"test_loss":1.25,"test_top1":0.5,"test_top5":1.0,"classes":[{"class":0,"name":"cat","samples":3,"#;
        assert!(text.starts_with(first), "{text}");
        let end = r#"{"class":3,"samples":0,"top1":null,"top5":null},{"class":4,"samples":1,"top1":1.0,"top5":1.0}],"confusions":[{"class":1,"taken_for":3,"count":2},{"class":0,"taken_for":1,"count":1}]}"#;
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(printable("red\u{1b}[31m\n"), "red\u{fffd}[31m\u{fffd}");
    }
}
