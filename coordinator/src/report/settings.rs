//! The configuration: whole, as the run kept it, and of several runs the settings in which they differ.

use super::run::Run;
use super::text::{NONE, escape, fold, key};

/// The settings of a configuration by their dotted names, in the order of the file.
///
/// This reads lines, not TOML: enough to show what a resolved configuration says. A value that goes on
/// over several lines is put on one.
pub(super) struct Settings(Vec<(String, String)>);

impl Settings {
    /// The settings that `toml` names.
    pub(super) fn of(toml: &str) -> Self {
        let (mut settings, mut table): (Vec<(String, String)>, _) = (Vec::new(), String::new());
        let mut arrays: Vec<&str> = Vec::new();
        for line in toml.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let bare = |key: &str| key.chars().all(|c| c.is_alphanumeric() || "._-\" ".contains(c));
            match line.split_once('=') {
                _ if line.starts_with('[') && line.ends_with(']') => {
                    let name = line.trim_matches(['[', ']']);
                    table = match line.starts_with("[[") {
                        true => format!("{name}[{}].", arrays.iter().filter(|array| **array == name).count()),
                        false => format!("{name}."),
                    };
                    arrays.push(name);
                }
                Some((key, value)) if bare(key) => {
                    settings.push((format!("{table}{}", key.trim()), value.trim().to_owned()));
                }
                _ => settings.iter_mut().last().into_iter().for_each(|(_, value)| value.push_str(line)),
            }
        }
        Self(settings)
    }

    /// The value as it is written.
    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The value of a setting that is a name, without its quotes.
    pub(super) fn name(&self, key: &str) -> Option<&str> {
        self.get(key).map(|value| value.trim_matches('"'))
    }
}

/// The settings in which several runs differ; nothing for one run.
pub(super) fn differences(runs: &[Run]) -> String {
    let settings: Vec<Settings> = runs.iter().map(|run| Settings::of(&run.config_toml)).collect();
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in settings.iter().flat_map(|s| &s.0) {
        let differs = settings.windows(2).any(|pair| pair[0].get(key) != pair[1].get(key));
        if differs && !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    let row = |key: &str| {
        let cell = |s: &Settings| format!("<td>{}</td>", escape(s.get(key).unwrap_or(NONE)));
        format!(
            "<tr><th scope=\"row\">{}</th>{}</tr>\n",
            escape(key),
            settings.iter().map(cell).collect::<String>()
        )
    };
    let names: String =
        runs.iter().enumerate().map(|(i, r)| format!("<th>{}</th>", key(i, &r.name))).collect();
    let table = |keys: &[&str]| {
        let rows: String = keys.iter().copied().map(row).collect();
        format!(
            "<table class=\"words-9\">\n<thead><tr><th>Setting</th>{names}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>"
        )
    };
    match runs {
        [] | [_] => String::new(),
        _ if keys.is_empty() => {
            "<section>\n<p>Their configurations are the same.</p>\n</section>\n".to_owned()
        }
        _ => {
            let (of_layers, others): (Vec<&str>, Vec<&str>) = keys.iter().partition(|key| is_of_layer(key));
            let (open, folded) = match of_layers.len() {
                0..=MANY => (keys, String::new()),
                many => (others, fold(&format!("{many} settings of single layers"), &table(&of_layers))),
            };
            let open = if open.is_empty() {
                String::new()
            } else {
                format!("<div class=\"scroll\">{}</div>\n", table(&open))
            };
            format!("<section>\n<h2>What differs</h2>\n{open}{folded}</section>\n")
        }
    }
}

/// Of so many settings of single layers the page still shows each at once; other networks differ in far more.
const MANY: usize = 12;

fn is_of_layer(key: &str) -> bool {
    key.starts_with("layer[") || key.starts_with("rule.layers.")
}

/// Every run's configuration: open for one run, folded away for several.
pub(super) fn section(runs: &[Run]) -> String {
    let whole = |run: &Run| {
        let table = |text: &str| format!("<pre>{}</pre>\n", escape(text));
        let tables: String = run.config_toml.trim().split("\n\n").map(table).collect();
        let text = format!("<div class=\"config\">\n{tables}</div>\n");
        if runs.len() > 1 { fold(&run.name, &text) } else { text }
    };
    let body: String = runs.iter().map(whole).collect();
    format!("<section>\n<h2>Configuration</h2>\n{body}</section>\n")
}
