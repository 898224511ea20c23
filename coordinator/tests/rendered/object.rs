//! Access to objects of Kubernetes, as JSON.

use serde_json::{Map, Value};

/// The name of an object.
pub fn name(object: &Value) -> &str {
    text(&object["metadata"]["name"])
}

/// A value that has to be a text.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The elements of a list; none where there is no list.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The elements of a list of texts.
pub fn texts(value: &Value) -> Vec<&str> {
    list(value).iter().map(text).collect()
}

/// The element of a list that has this `name`.
pub fn named<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    list(value).iter().find(|element| element["name"] == name)
}

/// Whether a selector, with `matchLabels` and `matchExpressions`, selects an object with these labels. An empty
/// selector selects every object.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let pairs = selector["matchLabels"].as_object().is_none_or(|pairs| has(labels, pairs));
    pairs && list(&selector["matchExpressions"]).iter().all(|expression| expressed(expression, labels))
}

/// Whether `labels` have all of `pairs`.
pub fn has(labels: &Value, pairs: &Map<String, Value>) -> bool {
    pairs.iter().all(|(key, value)| labels[key] == *value)
}

fn expressed(expression: &Value, labels: &Value) -> bool {
    let label = labels[text(&expression["key"])].as_str();
    let is_listed = label.is_some_and(|label| texts(&expression["values"]).contains(&label));
    match text(&expression["operator"]) {
        "In" => is_listed,
        "NotIn" => !is_listed,
        "Exists" => label.is_some(),
        "DoesNotExist" => label.is_none(),
        operator => panic!("there is no operator {operator}"),
    }
}
