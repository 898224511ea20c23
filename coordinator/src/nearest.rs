//! The nearest valid name to a misspelt name, for messages.

use strsim::damerau_levenshtein as distance;

/// The candidate nearest to `wrong`, if any candidate is near. The whole dotted name counts, or only its last part
/// where the table is wrong or missing (`lr` means `optimizer.lr`). Of equally near candidates the longest is taken,
/// because typing loses letters.
pub(crate) fn nearest<'a>(wrong: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = candidates.filter(|candidate| is_near(last(wrong), last(candidate)));
    near.min_by_key(|candidate| {
        let whole = distance(wrong, candidate);
        let parts = distance(last(wrong), last(candidate)) + 1;
        (whole.min(parts), whole, std::cmp::Reverse(candidate.len()))
    })
}

/// Whether `wrong` may be a slip for `candidate`: it takes no more changes than a third of the longer name has letters
/// (one change is always a slip), or `wrong` is the beginning of `candidate`, three letters or more. Names further
/// apart are different words, and a guess between them would mislead.
pub(crate) fn is_near(wrong: &str, candidate: &str) -> bool {
    let letters = wrong.chars().count();
    let longer = letters.max(candidate.chars().count());
    distance(wrong, candidate) <= (longer / 3).max(1) || (letters >= 3 && candidate.starts_with(wrong))
}

/// `: did you mean 'x'?`, or an empty text if no candidate is near.
pub(crate) fn hint<'a>(wrong: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    nearest(wrong, candidates).map_or_else(String::new, |near| format!(": did you mean '{near}'?"))
}

/// The part of a dotted name after the last dot.
pub(crate) fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_wrong_table_is_found_by_its_last_part() {
        let near =
            |wrong| nearest(wrong, ["seed", "train.epochs", "optimizer.lr", "optimizer_b.lr"].into_iter());
        assert_eq!(near("epochs"), Some("train.epochs"));
        assert_eq!(near("model.epochs"), Some("train.epochs"));
        assert_eq!(near("optimiser.lr"), Some("optimizer.lr"));
        assert_eq!(near("optimizer_.lr"), Some("optimizer_b.lr"));
    }

    #[test]
    fn words_far_apart_are_not_near() {
        for (wrong, candidate) in [
            ("epochs", "cores"),
            ("learning_rate", "name"),
            ("kernel", "kind"),
            ("wd", "lr"),
            ("gpus", "seed"),
            ("fa", "backprop"),
        ] {
            assert!(!is_near(wrong, candidate), "{wrong} {candidate}");
        }
        for (wrong, candidate) in [("momentun", "momentum"), ("sed", "seed"), ("mid", "middle"), ("r", "lr")]
        {
            assert!(is_near(wrong, candidate), "{wrong} {candidate}");
        }
    }
}
