//! The tree of set keys, each with its value and its source: the file, and `--set` above it.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::ConfigError;
use super::keys::{self, OWN_RULES};
use super::schema::{Key, Unset};
use super::unknown::{elsewhere, hint};

/// Values by their dotted keys. The empty table of a layer's own rule counts as a value.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    values: BTreeMap<String, (Value, Origin)>,
    file: String,
}

/// The source of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The file, or a default.
    File,
    /// `--set`.
    Flag,
}

impl Tree {
    /// Reads the keys that `text`, called `file`, sets, and puts `overrides` (`key=value`) above them.
    pub(super) fn read(text: &str, file: &str, overrides: &[String]) -> Result<Self, ConfigError> {
        let mut tree = Tree::of(read_toml(text, file)?, file);
        let mut flags = Tree::empty(file);
        for assignment in overrides {
            flags.flatten("", assigned(assignment)?, Origin::Flag);
        }
        tree.overlay(flags);
        Ok(tree)
    }

    /// The keys that `table`, found in `file`, sets.
    pub(super) fn of(table: Table, file: &str) -> Self {
        let mut tree = Tree::empty(file);
        tree.flatten("", table, Origin::File);
        tree
    }

    fn empty(file: &str) -> Self {
        Tree { values: BTreeMap::new(), file: file.to_owned() }
    }

    /// Puts `flags` above the keys of the file. Coefficients belong to the rule that they stand with, so a flag
    /// that names another rule also removes the file's coefficients, and a flag that names another model removes
    /// the file's layers.
    fn overlay(&mut self, flags: Tree) {
        for (path, (value, origin)) in flags.values {
            let renamed = self.get(&path).is_some_and(|old| *old != value);
            match path.strip_suffix(".name") {
                Some(rule) if renamed && rule.starts_with("rule") => {
                    self.values.retain(|key, (_, origin)| {
                        let own = key.rsplit_once('.').is_some_and(|(table, _)| table == rule);
                        *origin == Origin::Flag || !own || keys::find(key).is_none()
                    })
                }
                Some("model") if value.as_str() != Some("custom") => {
                    self.values.remove("layer");
                }
                _ => {}
            }
            self.values.insert(path, (value, origin));
        }
    }

    fn flatten(&mut self, prefix: &str, table: Table, origin: Origin) {
        for (name, value) in table {
            let path = format!("{prefix}{name}");
            match value {
                Value::Table(inner) if !inner.is_empty() => self.flatten(&format!("{path}."), inner, origin),
                Value::Table(_) if keys::is_table(&path) && !path.starts_with(OWN_RULES) => {}
                value => {
                    self.values.insert(path, (value, origin));
                }
            }
        }
    }

    /// Checks every key's name, and its value's type and range.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.values.iter().try_for_each(|(path, (value, _))| match keys::find(path) {
            _ if path.starts_with(OWN_RULES) && value.is_table() => Ok(()),
            Some(key) => { key.allowed.check(&format!("'{path}'"), &self.place(path), value) }
                .map_err(|fault| ConfigError::new(format!("{fault}{}", elsewhere(key, value)))),
            None => Err(self.unknown(path, value)),
        })
    }

    /// The refusal of the unknown key `path`.
    pub(super) fn unknown(&self, path: &str, value: &Value) -> ConfigError {
        let place = self.place(path);
        if path.starts_with("layer.") {
            let why = "layers are a list in the file ([[layer]]), of which --set cannot change one";
            return ConfigError::new(format!("unknown key '{path}' {place}: {why}"));
        }
        if keys::is_table(path) {
            let word = ["name", "kind"].map(|name| format!("{path}.{name}"));
            let word = word.iter().find(|word| value.is_str() && keys::find(word).is_some());
            let hint = word.map_or_else(String::new, |word| format!("; did you mean '{word}'?"));
            return ConfigError::new(format!("'{path}' {place} is {value}: it must be a table{hint}"));
        }
        let hint = hint(path);
        ConfigError::new(format!("unknown key '{path}' {place}: {hint}"))
    }

    /// Every key that is set, with its value. An empty table sets no key.
    pub(super) fn values(self) -> Vec<(String, Value)> {
        let values = self.values.into_iter().map(|(path, (value, _))| (path, value));
        values.filter(|(_, value)| !value.is_table()).collect()
    }

    /// `in FILE` or `in --set`, by the source of the key.
    pub(super) fn place(&self, path: &str) -> String {
        match self.origin(path) {
            Some(Origin::Flag) => "in --set".into(),
            _ => format!("in {}", self.file),
        }
    }

    /// The source of the key; `None` for a key that is not set.
    pub(super) fn origin(&self, path: &str) -> Option<Origin> {
        self.values.get(path).map(|(_, origin)| *origin)
    }

    /// The value of a key that is set.
    pub(super) fn get(&self, path: &str) -> Option<&Value> {
        self.values.get(path).map(|(value, _)| value)
    }

    /// The keys directly below `table`, by their last names.
    pub(super) fn below(&self, table: &str) -> Table {
        let values = self.values.iter().filter(|(_, (value, _))| !value.is_table());
        let below = values.filter_map(|(path, (value, _))| match path.rsplit_once('.') {
            Some((above, key)) if above == table => Some((key.to_owned(), value.clone())),
            _ => None,
        });
        below.collect()
    }

    /// Sets a key that is not set yet.
    pub(super) fn default(&mut self, path: &str, value: Value) {
        self.values.entry(path.to_owned()).or_insert((value, Origin::File));
    }

    /// Sets a key, in place of any earlier value.
    pub(super) fn set(&mut self, path: &str, value: Value) {
        self.values.insert(path.to_owned(), (value, Origin::File));
    }

    /// Removes a key, or a table with all its keys, and returns it.
    pub(super) fn take(&mut self, path: &str) -> Tree {
        let belongs =
            |key: &String| key == path || key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        let (taken, left) = std::mem::take(&mut self.values).into_iter().partition(|(key, _)| belongs(key));
        self.values = left;
        Tree { values: taken, file: self.file.clone() }
    }

    /// Sets those of `keys` that are not set and have a default.
    pub(super) fn fill<'a>(&mut self, keys: impl IntoIterator<Item = &'a Key>) {
        for key in keys {
            if let Unset::Is(value) = &key.unset {
                self.default(&key.path, value.clone());
            }
        }
    }

    /// The dotted keys, in order.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The layers that have a rule of their own.
    pub(super) fn layers(&self) -> impl Iterator<Item = &str> {
        self.values.iter().filter_map(|(path, (value, _))| match value.is_table() {
            true => path.strip_prefix(OWN_RULES),
            false => keys::own_rule(path).map(|(layer, _)| layer),
        })
    }

    /// The keys as nested TOML tables. All keys are known, so each has one or two parts.
    pub(super) fn into_table(self) -> Table {
        let mut root = Table::new();
        for (path, (value, _)) in self.values {
            match path.split_once('.') {
                Some((table, key)) => {
                    let inner = root.entry(table).or_insert_with(|| Value::Table(Table::new()));
                    if let Value::Table(inner) = inner {
                        inner.insert(key.to_owned(), value);
                    }
                }
                None => {
                    root.insert(path, value);
                }
            }
        }
        root
    }
}

/// One `key=value` as a table: the value is parsed as TOML, and taken as text where it isn't TOML.
fn assigned(assignment: &str) -> Result<Table, ConfigError> {
    let refuse = || ConfigError::new(format!("'{assignment}' in --set is not of the form key=value"));
    let (key, value) = assignment.split_once('=').ok_or_else(refuse)?;
    let parse = |value: &str| toml::from_str::<Table>(&format!("{key} = {value}"));
    parse(value).or_else(|_| parse(&Value::from(value.trim()).to_string())).map_err(|_| refuse())
}

/// The table in `text`, called `file`; the error for text that isn't TOML names the place.
pub(crate) fn read_toml(text: &str, file: &str) -> Result<Table, ConfigError> {
    toml::from_str(text).map_err(|error| syntax(&error, text, file))
}

fn syntax(error: &toml::de::Error, text: &str, file: &str) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
    ConfigError::new(format!("{file} is not TOML at line {line}, column {column}: {}", error.message()))
}
