//! The nearest valid name to a misspelt name, for messages.

use strsim::damerau_levenshtein as distance;

/// The candidate nearest to `wrong`. The whole dotted key counts, or only its last part where the table is wrong or
/// missing (`lr` means `optimizer.lr`). Of equally near candidates the longest is taken, because typing loses
/// letters.
pub(crate) fn nearest<'a>(wrong: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates.min_by_key(|candidate| {
        let whole = distance(wrong, candidate);
        let parts = distance(last(wrong), last(candidate)) + 1;
        (whole.min(parts), whole, std::cmp::Reverse(candidate.len()))
    })
}

/// `: did you mean 'x'?`, or an empty text without candidates.
pub(crate) fn hint<'a>(wrong: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    nearest(wrong, candidates).map_or_else(String::new, |near| format!(": did you mean '{near}'?"))
}

fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
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
}
