//! The comparison of a file's tensors with those of the nodes: which of them replace which, and why the others do not.

use super::nodes::{Owned, Role, parameter_of, role};
use super::numbers::are_numbers;
use safetensors::tensor::TensorView;
use std::collections::BTreeMap;

/// The tensors of a file and of the nodes, by name.
pub(super) struct Compared<'a> {
    /// The tensors that replace the nodes'.
    pub(super) taken: Vec<&'a str>,
    /// The tensors that a forward pass takes and the file does not have.
    pub(super) missing: Vec<&'a str>,
    /// The number of tensors of B and of optimizers that the file does not have.
    pub(super) kept: usize,
    /// The tensors of the file that no node has.
    pub(super) foreign: Vec<&'a str>,
    /// The layers of which a tensor has another shape in the file, each with the shapes. All tensors of such a layer
    /// stay as they are: a bias belongs to its weights.
    pub(super) unfit: BTreeMap<&'a str, Vec<Unfit<'a>>>,
}

/// A tensor that has another shape in the file.
pub(super) struct Unfit<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its shape in the nodes.
    pub(super) here: &'a [usize],
    /// Its shape in the file.
    pub(super) given: &'a [usize],
}

/// Compares the file's tensors `given` with those of the nodes.
///
/// # Errors
/// The first tensor of both whose numbers in the file have no floating point; the error is the end of a sentence.
pub(super) fn compare<'a>(
    given: &'a BTreeMap<String, TensorView<'_>>,
    owned: &'a BTreeMap<String, Owned<'_>>,
) -> Result<Compared<'a>, String> {
    let mut unfit: BTreeMap<&str, Vec<Unfit>> = BTreeMap::new();
    for (name, Owned { view: own, .. }) in owned {
        let Some(new) = given.get(name).filter(|new| new.shape() != own.shape()) else { continue };
        let tensor = Unfit { name, here: own.shape(), given: new.shape() };
        unfit.entry(layer_of(name, owned)).or_default().push(tensor);
    }
    let foreign = given.keys().filter(|name| !owned.contains_key(*name)).map(String::as_str).collect();
    let mut compared = Compared { taken: Vec::new(), missing: Vec::new(), kept: 0, foreign, unfit };
    for name in owned.keys().filter(|name| !compared.unfit.contains_key(layer_of(name, owned))) {
        match given.get(name) {
            Some(new) if !are_numbers(new.dtype()) => {
                return Err(format!("holds '{name}' as {}, which has no floating point", new.dtype()));
            }
            Some(_) => compared.taken.push(name),
            None if role(name, owned) == Role::Forward => compared.missing.push(name),
            None => compared.kept += 1,
        }
    }
    Ok(compared)
}

/// The layer of the tensor `name`.
fn layer_of<'a, T>(name: &'a str, owned: &BTreeMap<String, T>) -> &'a str {
    let parameter = parameter_of(name, owned).unwrap_or(name);
    parameter.rsplit_once('.').map_or(parameter, |(layer, _)| layer)
}
