//! The references in Markdown: the parts of `docs/configuration.md` between their marks, of the rules and of all keys.

use super::keys::KEYS;
use super::layers;
use crate::rule::{Name, Surroundings, listed};
use proto::spec::rule::{Primitive, RuleSpec};

/// The table of the rules.
pub fn rules() -> String {
    let mut text = "| rule | B's loss by default | reads W |\n|---|---|---|\n".to_owned();
    for name in Name::ALL {
        let rule = name.rule(Surroundings { weight_decay: 0.0, microbatch: 1 });
        let reads = match &rule {
            RuleSpec::SignSymmetry { .. } => "its signs".to_owned(),
            _ if *name == Name::Custom => {
                format!("with {}", listed(Primitive::ALL.into_iter().filter(|one| one.reads_weight()), "or"))
            }
            rule => if rule.reads().weight { "yes" } else { "no" }.to_owned(),
        };
        text += &format!("| `{name}` | {} | {reads} |\n", name.loss());
    }
    text
}

/// The tables of all keys, of the kinds of layers, and of the keys of a `[[layer]]`.
pub fn reference() -> String {
    let mut text = String::new();
    let table = |path: &str| path.split_once('.').map_or(String::new(), |(table, _)| table.to_owned());
    for keys in KEYS.chunk_by(|a, b| table(&a.path) == table(&b.path)) {
        let title = match &*table(&keys[0].path) {
            "" => "At the top".to_owned(),
            table => format!("`[{table}]`"),
        };
        text += &format!("### {title}\n\n| key | takes | default | what it is for |\n|---|---|---|---|\n");
        for key in keys {
            text += &format!("| `{}` | {} | {} | {} |\n", key.path, key.allowed, key.unset, key.doc);
        }
        text += "\n";
    }
    text += "### `[[layer]]`\n\n| kind | computes |\n|---|---|\n";
    text.extend(layers::COMPUTES.map(|(kind, doc)| format!("| `{kind}` | {doc} |\n")));
    text += "\n| key | kinds | takes | default | what it is for |\n|---|---|---|---|---|\n";
    for (key, kinds) in layers::keys() {
        let name = key.name();
        let kinds = if kinds.is_empty() { "all".to_owned() } else { format!("`{}`", kinds.join("`, `")) };
        let takes =
            if name == "kind" { "one of the kinds above".to_owned() } else { key.allowed.to_string() };
        text += &format!("| `{name}` | {kinds} | {takes} | {} | {} |\n", key.unset, key.doc);
    }
    text
}

/// Checks that the part `name` of `docs/configuration.md` holds `text`, or writes it there where the page's mark says how.
#[cfg(test)]
pub(crate) fn page(name: &str, text: &str) {
    use std::sync::{Mutex, PoisonError};
    // Tests run at once, and each of them writes a part of the same page.
    static PAGE: Mutex<()> = Mutex::new(());
    let _alone = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    let begin =
        format!("<!-- {name}: begin; NEUROPIL_WRITE_REFERENCE=1 cargo test -p coordinator writes it -->\n");
    let end = format!("<!-- {name}: end -->\n");
    let (head, rest) = page.split_once(&begin).unwrap();
    let (old, tail) = rest.split_once(&end).unwrap();
    if std::env::var_os("NEUROPIL_WRITE_REFERENCE").is_some() {
        std::fs::write(path, format!("{head}{begin}\n{text}\n{end}{tail}")).unwrap();
        return;
    }
    assert_eq!(old.trim(), text.trim(), "write it anew as the page's mark says");
}

#[cfg(test)]
mod tests {
    use super::{page, reference, rules};

    #[test]
    fn the_page_holds_the_references() {
        page("rules", &rules());
        page("reference", &reference());
    }
}
