//! Advice about a wrong name: the valid name that was meant, or the reason why there is no such thing. The tables know
//! the words of other frameworks; the other advice follows from the spelling.

mod keys;
mod words;

use crate::nearest::{is_near, last, nearest};

/// One meaning, and the words that have it elsewhere.
struct Synonyms {
    /// The words, between spaces. A word with a dot is a whole key, and any other the last part of a key.
    words: &'static str,
    /// The valid names, between spaces. The row counts only where one of them is a candidate.
    names: &'static str,
    says: Says,
}

/// What a row of the tables says.
enum Says {
    /// The names are meant; the remark follows them.
    Meant(&'static str),
    /// There is no such thing, for this reason.
    Absent(&'static str),
}

const fn meant(words: &'static str, names: &'static str) -> Synonyms {
    Synonyms { words, names, says: Says::Meant("") }
}

const fn almost(words: &'static str, names: &'static str, remark: &'static str) -> Synonyms {
    Synonyms { words, names, says: Says::Meant(remark) }
}

const fn absent(words: &'static str, names: &'static str, reason: &'static str) -> Synonyms {
    Synonyms { words, names, says: Says::Absent(reason) }
}

/// The advice about a wrong name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Advice {
    /// One of these names was meant; the remark, often empty, says how its meaning differs.
    Meant(Vec<String>, &'static str),
    /// No name has the meaning, for this reason.
    Absent(&'static str),
}

impl Advice {
    /// The advice as the end of a sentence, with names between `quotes`.
    pub(crate) fn phrase(&self, quotes: char) -> String {
        match self {
            Advice::Meant(names, remark) => {
                let quoted: Vec<String> =
                    names.iter().map(|name| format!("{quotes}{name}{quotes}")).collect();
                format!("did you mean {}{remark}?", either(&quoted))
            }
            Advice::Absent(reason) => (*reason).to_owned(),
        }
    }
}

/// The items as `a, b or c`.
pub(crate) fn either(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}

/// The advice about `wrong`, which is none of `candidates`; `None` if nothing is certain and no candidate is near.
pub(crate) fn advice(wrong: &str, candidates: &[&str]) -> Option<Advice> {
    let may = |name: &&str| !is_general(wrong) || in_near_table(wrong, name);
    certain(wrong, candidates).or_else(|| nearest(wrong, candidates.iter().copied().filter(may)).map(only))
}

/// The advice that does not depend on likeness: a known word of other frameworks, or a name of another table.
pub(crate) fn certain(wrong: &str, candidates: &[&str]) -> Option<Advice> {
    let word = |word: &str| {
        let word = squeezed(word);
        let rows = keys::KEYS.iter().chain(words::LAYERS).chain(words::VALUES).chain(words::SWEEPS);
        rows.filter(|row| row.has(&word)).find_map(|row| row.advice(wrong, candidates))
    };
    in_its_table(wrong, candidates)
        .or_else(|| word(wrong))
        .or_else(|| word(last(wrong)))
        .or_else(|| in_another_table(wrong, candidates))
        .or_else(|| word(table(wrong)))
}

impl Synonyms {
    fn has(&self, squeezed_word: &str) -> bool {
        self.words.split(' ').any(|word| squeezed(word) == squeezed_word)
    }

    fn advice(&self, wrong: &str, candidates: &[&str]) -> Option<Advice> {
        let names = self.names.split(' ').filter(|name| candidates.contains(name));
        let names: Vec<String> = names.map(|name| beside(wrong, name, candidates)).collect();
        match self.says {
            _ if names.is_empty() => None,
            Says::Meant(remark) => Some(Advice::Meant(names, remark)),
            Says::Absent(reason) => Some(Advice::Absent(reason)),
        }
    }
}

/// `name`, or the name of its last part in the table of `wrong`: `optimizer_b.wd` means `optimizer_b.weight_decay`.
/// A `name` or a `kind` has another meaning in every table.
fn beside(wrong: &str, name: &str, candidates: &[&str]) -> String {
    let own = format!("{}.{}", table(wrong), last(name));
    let same = candidates.contains(&own.as_str()) && !["name", "kind"].contains(&last(name));
    if same { own } else { name.to_owned() }
}

/// The candidate with the last part of `wrong`, in a table near to that of `wrong`.
fn in_its_table(wrong: &str, candidates: &[&str]) -> Option<Advice> {
    nearest(wrong, named(wrong, candidates).filter(|name| in_near_table(wrong, name))).map(only)
}

/// The candidates with the last part of `wrong`, in any table.
fn in_another_table(wrong: &str, candidates: &[&str]) -> Option<Advice> {
    if is_general(wrong) {
        let own = ["name", "kind"].map(|name| format!("{}.{name}", table(wrong)));
        return candidates.iter().find(|name| own.iter().any(|own| own == *name)).map(|name| only(name));
    }
    // The keys of `optimizer_b` follow those of `optimizer`.
    let names = named(wrong, candidates).filter(|name| table(name) != "optimizer_b");
    let names: Vec<String> = names.map(str::to_owned).collect();
    (!names.is_empty()).then_some(Advice::Meant(names, ""))
}

/// The candidates with the last part of `wrong`.
fn named<'a>(wrong: &str, candidates: &[&'a str]) -> impl Iterator<Item = &'a str> {
    let part = squeezed(last(wrong));
    candidates.iter().copied().filter(move |name| squeezed(last(name)) == part)
}

/// Whether the last part of `wrong` says nothing without its table: in one table, `type` stands for `name` or `kind`.
fn is_general(wrong: &str) -> bool {
    ["type", "kind", "name", "class"].contains(&last(wrong)) && !table(wrong).is_empty()
}

fn in_near_table(wrong: &str, name: &str) -> bool {
    is_near(table(wrong), table(name))
}

fn only(name: &str) -> Advice {
    Advice::Meant(vec![name.to_owned()], "")
}

fn table(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(table, _)| table)
}

/// The name without what spellings differ in: `batchSize`, `batch-size` and `batch_size` are the same.
fn squeezed(name: &str) -> String {
    name.chars().filter(|c| !"_- ".contains(*c)).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::KEYS;
    use crate::config::layers;
    use crate::config::schema::Key;
    use std::collections::HashSet;

    /// A word that stood in two rows for the same candidates would take the meaning of the first one.
    #[test]
    fn every_word_of_a_table_has_one_meaning() {
        for table in [keys::KEYS, words::LAYERS, words::VALUES, words::SWEEPS] {
            let mut seen = HashSet::new();
            for row in table {
                assert!(!row.words.contains("  ") && !row.names.contains("  "), "{}", row.words);
                for word in row.words.split(' ') {
                    let mut names = row.names.split(' ');
                    assert!(
                        names.all(|name| seen.insert((squeezed(word), name))),
                        "{word} stands twice for {}",
                        row.names
                    );
                }
            }
        }
    }

    /// A row counts only where its names are candidates, so a misspelt name would silence it.
    #[test]
    fn the_advised_names_exist() {
        let paths = |keys: Vec<Key>| keys.into_iter().map(|key| key.path).collect::<Vec<_>>();
        let layers = layers::keys().into_iter().map(|(key, _)| key).collect();
        for (table, known) in [(keys::KEYS, paths(KEYS.clone())), (words::LAYERS, paths(layers))] {
            for name in table.iter().flat_map(|row| row.names.split(' ')) {
                assert!(known.iter().any(|known| known == name), "{name}");
            }
        }
        let words: Vec<&str> =
            KEYS.iter().flat_map(|key| key.allowed.words()).chain(layers::kinds().to_vec()).collect();
        let of_sweeps = ["grid", "random", "tpe", "test_top1", "test_top5", "loss", "log", "linear"];
        for name in words::VALUES.iter().flat_map(|row| row.names.split(' ')) {
            assert!(words.contains(&name) || of_sweeps.contains(&name), "{name}");
        }
    }
}
