//! The names of the tensors in a file, as the nodes spell them: without what PyTorch's wrappers put before them.

use std::collections::BTreeMap;

/// The names that DataParallel, DistributedDataParallel and torch.compile put before those of a module, wherever it
/// stands in the network.
const WRAPPERS: [&str; 2] = ["module", "_orig_mod"];
/// The usual names of a network that is a part of another module. They are taken off only if all names have them.
const PARTS: [&str; 10] = [
    "model",
    "backbone",
    "net",
    "network",
    "encoder",
    "base_model",
    "student",
    "teacher",
    "ema_model",
    "state_dict",
];

/// A file's names, and what was taken off them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plain {
    /// The plain names, in the order of the given ones.
    pub(super) names: Vec<String>,
    /// Every prefix that was taken off, as in `module.`.
    pub(super) off: Vec<String>,
}

/// The plain form of `given`. A name that `owned` knows stays as it is.
///
/// # Errors
/// When two names have the same plain form; the error holds both.
pub(super) fn plain(given: &[&str], owned: impl Fn(&str) -> bool) -> Result<Plain, [String; 2]> {
    let mut names: Vec<String> = given
        .iter()
        .map(|name| if owned(name) { (*name).to_owned() } else { without(name, &WRAPPERS) })
        .collect();
    let mut shorter = names.clone();
    while !shorter.iter().any(|name| owned(name)) {
        let Some(cut) = without_shared(&shorter) else { break };
        shorter = cut;
    }
    if shorter.iter().any(|name| owned(name)) {
        names = shorter;
    }
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, given) in names.iter().zip(given) {
        if let Some(other) = seen.insert(name, given) {
            return Err([other, given].map(|name: &str| name.to_owned()));
        }
    }
    let mut off: Vec<String> =
        names.iter().zip(given).filter_map(|(name, given)| taken_off(given, name)).collect();
    off.sort_unstable();
    off.dedup();
    Ok(Plain { names, off })
}

/// `name` without those of its parts that are in `words`; the last part always stays.
fn without(name: &str, words: &[&str]) -> String {
    let (path, last) = name.rsplit_once('.').unwrap_or(("", name));
    let parts = path.split('.').filter(|part| !part.is_empty() && !words.contains(part));
    parts.chain([last]).collect::<Vec<_>>().join(".")
}

/// The names without their first part, if it is one of [`PARTS`] and all have it.
fn without_shared(names: &[String]) -> Option<Vec<String>> {
    let (first, _) = names.first()?.split_once('.')?;
    if !PARTS.contains(&first) {
        return None;
    }
    names.iter().map(|name| Some(name.strip_prefix(first)?.strip_prefix('.')?.to_owned())).collect()
}

/// The words that stand in `given` and not in its plain form `name`.
fn taken_off(given: &str, name: &str) -> Option<String> {
    let mut left = name.split('.').peekable();
    let gone = given.split('.').filter(|part| left.next_if_eq(part).is_none());
    let gone: String = gone.map(|part| format!("{part}.")).collect();
    (!gone.is_empty()).then_some(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNED: [&str; 4] = ["conv1.weight", "layer1.0.conv1.weight", "fc.weight", "fc.bias"];

    fn of(given: &[&str]) -> Result<(String, String), [String; 2]> {
        let plain = plain(given, |name| OWNED.contains(&name))?;
        Ok((plain.names.join(" "), plain.off.join(" ")))
    }

    fn is(names: &str, off: &str) -> Result<(String, String), [String; 2]> {
        Ok((names.to_owned(), off.to_owned()))
    }

    #[test]
    fn what_wrappers_put_before_a_name_is_taken_off() {
        assert_eq!(of(&["conv1.weight", "fc.bias"]), is("conv1.weight fc.bias", ""));
        assert_eq!(of(&["module.conv1.weight", "fc.bias"]), is("conv1.weight fc.bias", "module."));
        assert_eq!(of(&["module._orig_mod.fc.bias"]), is("fc.bias", "module._orig_mod."));
        assert_eq!(of(&["_orig_mod.module.fc.bias"]), is("fc.bias", "_orig_mod.module."));
        let inner = ["layer1._orig_mod.0.conv1.weight", "layer1.0.module.conv1.bias"];
        assert_eq!(of(&inner), is("layer1.0.conv1.weight layer1.0.conv1.bias", "_orig_mod. module."));
    }

    #[test]
    fn what_a_larger_module_puts_before_a_name_is_taken_off_if_all_have_it() {
        assert_eq!(of(&["model.fc.weight", "model.fc.bias"]), is("fc.weight fc.bias", "model."));
        let deep = ["model.backbone.conv1.weight", "model.backbone.other"];
        assert_eq!(of(&deep), is("conv1.weight other", "model.backbone."));
        assert_eq!(of(&["model.module.fc.bias"]), is("fc.bias", "model.module."));
        let some = ["model.fc.weight", "loss.weight"];
        assert_eq!(of(&some), is("model.fc.weight loss.weight", ""), "not all have it");
        assert_eq!(of(&["layer1.0.fc.bias"]), is("layer1.0.fc.bias", ""), "a layer is no wrapper");
        assert_eq!(of(&["model.other"]), is("model.other", ""), "it would not help");
    }

    #[test]
    fn two_names_of_one_tensor_are_told() {
        let both = ["module.fc.bias", "fc.bias"];
        assert_eq!(of(&both), Err(both.map(str::to_owned)));
        assert_eq!(
            of(&["Fc.bias", "fc.bias"]),
            is("Fc.bias fc.bias", ""),
            "another spelling is another name"
        );
    }
}
