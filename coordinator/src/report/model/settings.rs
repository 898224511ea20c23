//! The settings of a configuration.

use indexmap::IndexMap;

/// The settings of a configuration by their dotted names, in the order of the file.
///
/// The parser understands lines, not all of TOML, which is enough for a resolved configuration. It joins the lines
/// of a value that spans several.
pub struct Settings(IndexMap<String, String>);

impl Settings {
    /// The settings in `toml`.
    pub fn of(toml: &str) -> Self {
        let (mut settings, mut table) = (IndexMap::<String, String>::new(), String::new());
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
                    settings.insert(format!("{table}{}", key.trim()), value.trim().to_owned());
                }
                _ => settings.values_mut().last().into_iter().for_each(|value| value.push_str(line)),
            }
        }
        Self(settings)
    }

    /// The value as the configuration spells it.
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The value of a setting that is a name, without its quotes.
    pub fn name(&self, key: &str) -> Option<&str> {
        self.get(key).map(|value| value.trim_matches('"'))
    }
}
