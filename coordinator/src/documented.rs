//! For tests: whether `docs/files.md` names every field of a file of records, and no other field.

use serde_json::Value;
use std::collections::BTreeSet;

/// Compares the fields of `samples` with the table of the section `file` of the page. Together the samples have every
/// field that the file can have. A field in an object is `object.field`, and the items of a list are `list[]`.
pub fn holds(file: &str, samples: &[Value]) {
    let mut written = BTreeSet::new();
    samples.iter().for_each(|sample| collect(String::new(), sample, &mut written));
    let told: BTreeSet<String> = section(file).lines().filter_map(field).collect();
    let missing: Vec<_> = written.difference(&told).collect();
    let stale: Vec<_> = told.difference(&written).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "docs/files.md, {file}: rows are missing for {missing:?}, and no record has {stale:?}"
    );
}

fn section(file: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/files.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut sections = page.split("\n## ");
    let head = format!("`{file}`");
    let found = sections.find(|section| section.lines().next().is_some_and(|title| title.starts_with(&head)));
    found.unwrap_or_else(|| panic!("docs/files.md has no section {head}")).to_owned()
}

/// The field of a row of the table.
fn field(row: &str) -> Option<String> {
    let (field, _) = row.strip_prefix("| `")?.split_once('`')?;
    Some(field.to_owned())
}

/// Adds the paths of all fields below `path` that hold no other fields.
fn collect(path: String, value: &Value, fields: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            let dot = if path.is_empty() { "" } else { "." };
            object.iter().for_each(|(key, value)| collect(format!("{path}{dot}{key}"), value, fields));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().for_each(|item| collect(format!("{path}[]"), item, fields));
        }
        _ => _ = fields.insert(path),
    }
}
