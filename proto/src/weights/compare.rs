//! The comparison of a file's tensors with those of nodes: which of them replace which, and why the others do not.

use super::numbers::are_numbers;
use crate::spec::state::{StateTensor, TensorRole};
use safetensors::tensor::TensorView;
use std::collections::{BTreeMap, HashSet};

/// The tensors of a file and of the nodes, by name.
pub struct Compared<'a> {
    /// The tensors that replace the nodes'.
    pub taken: Vec<&'a StateTensor>,
    /// The tensors that a forward pass takes and the file does not have.
    pub missing: Vec<&'a StateTensor>,
    /// The number of tensors of B and of optimizers that the file does not have.
    pub kept: usize,
    /// The tensors of the file that no node has.
    pub foreign: Vec<&'a str>,
    /// The layers of which a tensor has another shape in the file, each with the shapes. All tensors of such a layer
    /// stay as they are: a bias belongs to its weights.
    pub unfit: BTreeMap<&'a str, Vec<Unfit<'a>>>,
}

/// A tensor that has another shape in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its shape in the nodes.
    pub here: &'a [u64],
    /// Its shape in the file.
    pub given: &'a [usize],
}

/// Compares the file's tensors `given` with the tensors `owned` by nodes, and lists them in the order of `owned`.
///
/// # Errors
/// The first tensor of both whose numbers in the file have no floating point; the error is the end of a sentence.
pub fn compare<'a>(
    given: &'a BTreeMap<String, TensorView<'_>>,
    owned: &'a [StateTensor],
) -> Result<Compared<'a>, String> {
    let mut unfit: BTreeMap<&str, Vec<Unfit>> = BTreeMap::new();
    for own in owned {
        let Some(new) = given.get(&own.name).filter(|new| !same_shape(new.shape(), &own.shape)) else {
            continue;
        };
        let tensor = Unfit { name: &own.name, here: &own.shape, given: new.shape() };
        unfit.entry(&own.layer).or_default().push(tensor);
    }
    let known: HashSet<&str> = owned.iter().map(|own| own.name.as_str()).collect();
    let foreign = given.keys().map(String::as_str).filter(|name| !known.contains(name)).collect();
    let mut compared = Compared { taken: Vec::new(), missing: Vec::new(), kept: 0, foreign, unfit };
    for own in owned.iter().filter(|own| !compared.unfit.contains_key(own.layer.as_str())) {
        match given.get(&own.name) {
            Some(new) if !are_numbers(new.dtype()) => {
                return Err(format!("holds '{}' as {}, which has no floating point", own.name, new.dtype()));
            }
            Some(_) => compared.taken.push(own),
            None if own.role == TensorRole::Forward => compared.missing.push(own),
            None => compared.kept += 1,
        }
    }
    Ok(compared)
}

fn same_shape(given: &[usize], own: &[u64]) -> bool {
    given.iter().map(|&size| size as u64).eq(own.iter().copied())
}
