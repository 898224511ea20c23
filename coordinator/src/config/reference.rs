//! The reference of all keys in Markdown: the part of `docs/configuration.md` between the two marks.

use super::keys::KEYS;
use super::layers;

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

#[cfg(test)]
mod tests {
    use super::reference;

    const BEGIN: &str =
        "<!-- reference: begin; NEUROPIL_WRITE_REFERENCE=1 cargo test -p coordinator writes it -->\n";
    const END: &str = "<!-- reference: end -->\n";

    #[test]
    fn the_page_holds_the_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (head, rest) = page.split_once(BEGIN).unwrap();
        let (old, tail) = rest.split_once(END).unwrap();
        if std::env::var_os("NEUROPIL_WRITE_REFERENCE").is_some() {
            std::fs::write(path, format!("{head}{BEGIN}\n{}\n{END}{tail}", reference())).unwrap();
            return;
        }
        assert_eq!(old.trim(), reference().trim(), "write it anew as the page's mark says");
    }
}
