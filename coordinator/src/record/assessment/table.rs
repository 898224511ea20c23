//! The assessment as text: one line for the whole test set, a table of the classes, and one of the confusions.

use super::{Assessment, ClassScore, Confusion};
use crate::columns::aligned;
use crate::record::or_dash;
use std::fmt;

/// The most classes that are all shown.
const ALL: usize = 100;
/// Of more classes, how many are shown: the least accurate ones.
const WORST: usize = 20;
/// The confusions that are shown.
const CONFUSIONS: usize = 10;
/// The longest name that is shown whole, in characters.
const NAME: usize = 40;

impl fmt::Display for Assessment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, samples, test_loss, test_top1, test_top5, .. } = self;
        let (top1, top5) = (percent(*test_top1), percent(*test_top5));
        let loss = or_dash(*test_loss, |loss| format!("{loss:.4}"));
        writeln!(
            f,
            "after {step} updates: test accuracy {top1} (top 5: {top5}), loss {loss}, {samples} images"
        )?;
        if !self.classes.is_empty() {
            write!(f, "\n{}", classes(self))?;
        }
        if !self.confusions.is_empty() {
            write!(f, "\n{}", confusions(self))?;
        }
        Ok(())
    }
}

fn classes(found: &Assessment) -> String {
    let count = found.classes.len();
    let shown: Vec<&ClassScore> = match count {
        ..=ALL => found.classes.iter().collect(),
        _ => found.worst_first().into_iter().take(WORST).collect(),
    };
    let row = |class: &&ClassScore| {
        vec![cut(&class.label()), class.samples.to_string(), percent(class.top1), percent(class.top5)]
    };
    let table = aligned(&["class"], &["images", "top 1", "top 5"], shown.iter().map(row).collect());
    match count {
        ..=ALL => table,
        _ => format!(
            "the {} least accurate of {count} classes; --json and --html have all\n{table}",
            shown.len()
        ),
    }
}

fn confusions(found: &Assessment) -> String {
    let row = |confusion: &Confusion| {
        let [class, taken_for] = [confusion.class, confusion.taken_for].map(|class| cut(&found.label(class)));
        vec![class, taken_for, confusion.count.to_string(), percent(found.share(confusion))]
    };
    let rows = found.confusions.iter().take(CONFUSIONS).map(row).collect();
    let table = aligned(&["class", "taken for"], &["images", "of its class"], rows);
    format!("most frequent confusions\n{table}")
}

/// A name that leaves room for the numbers.
fn cut(name: &str) -> String {
    match name.char_indices().nth(NAME) {
        Some(_) => name.chars().take(NAME - 1).chain(['…']).collect(),
        None => name.to_owned(),
    }
}

/// A fraction in per cent.
fn percent(fraction: Option<f64>) -> String {
    or_dash(fraction, |fraction| format!("{:.2} %", 100.0 * fraction))
}

#[cfg(test)]
mod tests {
    use super::super::tests::assessment;
    use super::*;

    #[test]
    fn few_classes_are_all_shown() {
        let due = "\
after 9 updates: test accuracy 50.00 % (top 5: 100.00 %), loss 1.2500, 6 images

class  images     top 1     top 5
cat         3   66.67 %  100.00 %
dog         2    0.00 %  100.00 %
3           0         –         –
4           1  100.00 %  100.00 %

most frequent confusions
class  taken for  images  of its class
dog    3               2      100.00 %
cat    dog             1       33.33 %
";
        assert_eq!(assessment(&["cat", "dog"]).to_string(), due);
    }

    #[test]
    fn of_many_classes_the_least_accurate_are_shown() {
        let mut found = assessment(&[&"x".repeat(60)]);
        let class = |class| ClassScore { class, samples: 1, top1: Some(0.5), ..ClassScore::default() };
        found.classes.extend((5..1001).map(class));
        let text = found.to_string();
        let rows: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(rows[0], "the 20 least accurate of 1000 classes; --json and --html have all");
        assert!(rows[2].starts_with("1 ") && rows[21].starts_with("23 ") && rows[22].is_empty(), "{text}");
        assert!(text.contains(&format!("{}…  1 ", "x".repeat(39))), "{text}");
    }
}
