//! The reference of every key, as Markdown: what `docs/configuration.md` holds between its two marks.

use super::keys::{KEYS, Unset};
use super::layer_keys::{KINDS, LAYER_KEYS};

/// Tables of every key, of the kinds of layers, and of the keys of a `[[layer]]`.
pub fn reference() -> String {
    let mut text = String::new();
    for table in ["", "model", "rule", "pipeline", "train", "optimizer", "optimizer_b", "data", "snapshot"]
        .into_iter()
        .chain(["metrics", "alarm", "node", "network"])
    {
        let of = |path: &str| path.split_once('.').map_or("", |(table, _)| table) == table;
        let title = if table.is_empty() { "At the top".to_owned() } else { format!("`[{table}]`") };
        text += &format!("### {title}\n\n| key | takes | default | what it is for |\n|---|---|---|---|\n");
        for key in KEYS.iter().filter(|key| of(&key.path)) {
            let unset = match key.unset {
                Unset::Is(value) => format!("`{value}`"),
                Unset::Follows(words) => words.to_owned(),
            };
            let path = &key.path;
            text += &format!("| `{path}` | {} | {unset} | {} |\n", key.allowed, key.doc);
        }
        text += "\n";
    }
    text += "### `[[layer]]`\n\n| kind | computes |\n|---|---|\n";
    text.extend(KINDS.map(|(kind, doc)| format!("| `{kind}` | {doc} |\n")));
    text += "\n| key | kinds | takes | default | what it is for |\n|---|---|---|---|---|\n";
    for key in &LAYER_KEYS {
        let kinds =
            if key.kinds.is_empty() { "all".to_owned() } else { format!("`{}`", key.kinds.join("`, `")) };
        let allowed =
            if key.name == "kind" { "one of the kinds above".to_owned() } else { key.allowed.to_string() };
        text += &format!("| `{}` | {kinds} | {allowed} | {} | {} |\n", key.name, key.unset, key.doc);
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
