//! The findings of a survey as text.

use std::fmt::Write;

use super::found::{Broken, Class, Extent, Found};
use crate::plural::plural;

/// The most classes whose counts are all shown.
const ALL: usize = 40;
/// The classes with the fewest samples that are shown of more.
const SMALLEST: usize = 5;
/// The most unusable samples that are shown of each kind.
const NAMED: usize = 20;

/// The findings of one split, `name`.
pub(super) fn table(name: &str, found: &Found) -> String {
    let mut text = format!("{name}: {} in {}\n", plural(found.samples as u64, "sample"), found.path);
    let mut line = |what: &str, said: &str| _ = writeln!(text, "  {what:<10} {said}");
    classes(&found.classes).iter().for_each(|class| line("classes", class));
    if let (Some(height), Some(width)) = (&found.height, &found.width) {
        line("height", &extent(height));
        line("width", &extent(width));
    }
    let [channels, height, width] = found.shape;
    line("seen as", &format!("{channels}×{height}×{width}"));
    line("mean", &figures(&found.mean));
    line("deviation", &figures(&found.std));
    let (each, threads) = (found.images_per_s / found.threads as f64, plural(found.threads as u64, "thread"));
    line("decoding", &format!("{:.0} images/s on {threads}, {each:.0} on each", found.images_per_s));
    unusable(&mut line, "broken", &found.broken);
    unusable(&mut line, "unreadable", &found.unreadable);
    unusable(&mut line, "left out", &found.left_out);
    text
}

/// The lines about classes: one for each, or a summary of many.
fn classes(all: &[Class]) -> Vec<String> {
    let line = |class: &Class| {
        let name = class.name.as_ref().map_or_else(String::new, |name| format!("  {name}"));
        format!("{:>6} {:>9}{name}", class.label, class.samples)
    };
    if all.len() <= ALL {
        return all.iter().map(line).collect();
    }
    let mut fewest: Vec<&Class> = all.iter().collect();
    fewest.sort_by_key(|class| class.samples);
    let (least, most) = (fewest[0].samples, fewest[fewest.len() - 1].samples);
    let summary = format!("{} with {least} to {most} samples each; the smallest:", all.len());
    [summary].into_iter().chain(fewest.into_iter().take(SMALLEST).map(line)).collect()
}

fn extent(Extent { min, median, max }: &Extent) -> String {
    format!("{min} to {max}, median {median}")
}

fn figures(all: &[f64]) -> String {
    all.iter().map(|figure| format!("{figure:.4}")).collect::<Vec<_>>().join("  ")
}

/// The lines about samples that cannot be used.
fn unusable(line: &mut impl FnMut(&str, &str), what: &str, all: &[Broken]) {
    if all.is_empty() {
        return;
    }
    line(what, &all.len().to_string());
    all.iter().take(NAMED).for_each(|Broken { name, reason }| line("", &format!("{name} {reason}")));
    if all.len() > NAMED {
        line("", &format!("and {} more, which --json names", all.len() - NAMED));
    }
}
