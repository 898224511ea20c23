//! The place where a key was set, for refusals that come after the tree of keys is gone.

use std::fmt;

use super::tree::Tree;

/// `in FILE` or `in --set`. It is no part of what is set, so that all places are equal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place(String);

impl Place {
    /// The place of the key `path`.
    pub(super) fn of(path: &str, tree: &Tree) -> Self {
        Self(tree.place(path))
    }
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
