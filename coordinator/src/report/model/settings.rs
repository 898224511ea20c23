//! The settings of a configuration, and those in which several runs differ.

use indexmap::{IndexMap, IndexSet};

use super::text::NONE;
use crate::report::Run;

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

/// The settings in which several runs differ. Both lists are empty where the configurations are the same.
pub struct Differences {
    pub open: Vec<Setting>,
    /// The settings of single layers, if they are too many to show at once.
    pub folded: Vec<Setting>,
}

/// One setting, and its value in every run.
pub struct Setting {
    pub key: String,
    pub values: Vec<String>,
}

/// The most settings of single layers that the page shows at once. Runs with different networks differ in far more.
const MANY: usize = 12;

impl Differences {
    /// The differences between several runs; `None` for a single run.
    pub fn of(runs: &[Run]) -> Option<Self> {
        if runs.len() < 2 {
            return None;
        }
        let settings: Vec<Settings> = runs.iter().map(|run| Settings::of(&run.config_toml)).collect();
        let keys: IndexSet<&String> = settings.iter().flat_map(|settings| settings.0.keys()).collect();
        let setting = |key: &String| {
            let values = settings.iter().map(|s| s.get(key).unwrap_or(NONE).to_owned());
            Setting { key: key.clone(), values: values.collect() }
        };
        let differs = |setting: &Setting| setting.values.iter().any(|value| *value != setting.values[0]);
        let differing: Vec<Setting> = keys.into_iter().map(setting).filter(differs).collect();
        let many = differing.iter().filter(|setting| setting.is_of_layer()).count() > MANY;
        let (folded, open) = differing.into_iter().partition(|setting| many && setting.is_of_layer());
        Some(Self { open, folded })
    }
}

impl Setting {
    fn is_of_layer(&self) -> bool {
        self.key.starts_with("layer[") || self.key.starts_with("rule.layers.")
    }
}
