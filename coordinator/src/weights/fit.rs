//! The fit of files to the nodes of a run: which tensors each node takes, what stays drawn, and what is not used.

use super::{Backward, Part};
use proto::spec::stage::{Half, StageSpec};
use proto::spec::state::{StateTensor, TensorRole, state_of};
use proto::state_file::IMPORTED;
use proto::weights::{Compared, Given, Source, Unfit, compare, converted, remove_other_backward};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::{BTreeMap, HashSet};

/// Which tensors of a source a run takes, beside those of a forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Whether the optimizers' state is taken.
    pub optimizer: bool,
    /// The B that is taken in place of the source's; `None` for the source's own, and drawn where it has none.
    pub backward: Option<Backward>,
    /// Whether numbers that are not finite are refused.
    pub finite: bool,
}

/// The tensors of a source that the nodes of a run take.
pub struct Fit<'a> {
    /// A file for each node, in the order of the nodes.
    pub parts: Vec<Part<'a>>,
    /// The number of the source's tensors that a node takes.
    pub taken: usize,
    /// The layers of which tensors stay as they are drawn, in the order of the network.
    pub drawn: Vec<Drawn>,
    /// The layers whose B stays as it is drawn, because the source's is that of another kind of rule, or of another shape.
    pub other_backward: Vec<String>,
    /// The tensors of the source that no node takes, in the order of their names.
    pub unused: Vec<String>,
    /// The words that were taken off the source's names, as in `module.`.
    pub off: Vec<String>,
    /// Whether the source has every tensor of every node in the nodes' format, so that the parts are snapshots.
    pub whole: bool,
}

/// A layer of which tensors stay as they are drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The layer.
    pub layer: String,
    /// The tensors of a forward pass that stay.
    pub tensors: Vec<DrawnTensor>,
}

/// A tensor that stays as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawnTensor {
    /// Its name.
    pub name: String,
    /// Its shape in the network.
    pub here: Vec<u64>,
    /// Its shape in the source, if it has the tensor.
    pub given: Option<Vec<usize>>,
}

impl<'a> Fit<'a> {
    /// Fits `source` to the nodes that `specs` describe.
    ///
    /// # Errors
    /// A source that is no safetensors file, that has no tensor of the network, or that holds numbers that no node can
    /// take; the error is one sentence.
    pub fn of(source: &'a Source, specs: &[StageSpec], keep: Keep) -> Result<Self, String> {
        if keep.backward == Some(Backward::Weight) {
            check_copied(specs)?;
        }
        let states = specs.iter().map(state_of).collect::<Result<Vec<_>, _>>();
        let states: Vec<Vec<StateTensor>> = states.map_err(|error| error.to_string())?;
        let all: Vec<StateTensor> = states.iter().flatten().cloned().collect();
        let known: HashSet<&str> = all.iter().map(|tensor| tensor.name.as_str()).collect();
        let mut given = source.tensors(|name| known.contains(name))?;
        let others = remove_other_backward(&mut given.tensors, &all);
        let of_source = |why: String| format!("{} {why}", source.shown());
        let compared = compare(&given.tensors, &all).map_err(of_source)?;
        if compared.taken.is_empty() {
            return Err(of_source(of_another_network(&compared)));
        }
        let taken: BTreeMap<&str, &StateTensor> =
            compared.taken.iter().map(|tensor| (tensor.name.as_str(), *tensor)).collect();
        let imported = source.metadata()?.into_iter().find_map(|mut said| said.remove(IMPORTED));
        let choice = Choice { given: &given, taken: &taken, keep, imported };
        let parts = specs.iter().zip(&states).map(|(spec, state)| choice.part(spec, state));
        let parts = parts.collect::<Result<Vec<_>, _>>().map_err(of_source)?;
        let whole = all.iter().all(|tensor| {
            taken.contains_key(tensor.name.as_str()) && given.tensors[&tensor.name].dtype() == Dtype::F32
        });
        let left = |name: &&str| taken.get(*name).is_some_and(|tensor| !keep.takes(tensor));
        let unfit = compared.unfit.values().flatten().map(|unfit| unfit.name);
        let dropped = taken.keys().copied().filter(left).chain(unfit);
        let unused = compared.foreign.iter().copied().chain(dropped).map(str::to_owned);
        let mut unused: Vec<String> = unused.chain(others.values().flatten().cloned()).collect();
        unused.sort_unstable();
        let taken = taken.values().filter(|tensor| keep.takes(tensor)).count();
        let drawn = drawn(&compared, &all);
        let other_backward = if keep.backward.is_none() { others.into_keys().collect() } else { Vec::new() };
        Ok(Self { parts, taken, drawn, other_backward, unused, off: given.off.clone(), whole })
    }
}

/// Refuses to let B begin as W in a layer that has two matrices in the place of B.
fn check_copied(specs: &[StageSpec]) -> Result<(), String> {
    let product = specs.iter().flat_map(|spec| &spec.layers).find(|layer| layer.rule.product().is_some());
    match product {
        None => Ok(()),
        Some(layer) => Err(format!(
            "--backward weight lets every B begin as its W, and the layer '{}' under {} has two matrices in the place of B: \
             leave it out",
            layer.name,
            layer.rule.name()
        )),
    }
}

impl Keep {
    /// Whether the run takes a tensor that the source has.
    fn takes(self, tensor: &StateTensor) -> bool {
        match tensor.role {
            TensorRole::Forward => true,
            TensorRole::Backward | TensorRole::Fixed => self.backward.is_none(),
            // The state of an optimizer belongs to the B that it has stepped.
            TensorRole::Slot { ref of } => {
                self.optimizer && (self.backward.is_none() || !of.ends_with(".weight_backward"))
            }
        }
    }
}

/// The choice of the tensors that nodes take.
struct Choice<'a, 'b> {
    given: &'b Given<'a>,
    taken: &'b BTreeMap<&'b str, &'b StateTensor>,
    keep: Keep,
    imported: Option<String>,
}

impl<'a> Choice<'a, '_> {
    /// The part of the node `spec`, whose state is `state`.
    fn part(&self, spec: &StageSpec, state: &[StateTensor]) -> Result<Part<'a>, String> {
        let (mut tensors, mut drawn) = (BTreeMap::new(), Vec::new());
        for tensor in state {
            match self.view(tensor, spec)? {
                Some(view) => _ = tensors.insert(tensor.name.clone(), view),
                None if matches!(tensor.role, TensorRole::Slot { .. }) => {}
                None => drawn.push(tensor.name.clone()),
            }
        }
        let (backward, imported) = (self.keep.backward, self.imported.clone());
        Ok(Part { role: spec.role(), tensors, drawn, backward, imported })
    }

    /// The numbers of `tensor` for the node `spec`; `None` if the node draws them.
    fn view(&self, tensor: &StateTensor, spec: &StageSpec) -> Result<Option<TensorView<'a>>, String> {
        // A host that has B alone cannot copy W.
        let copied = spec.half == Half::Backward
            && self.keep.backward == Some(Backward::Weight)
            && tensor.role == TensorRole::Backward;
        let name = match copied {
            true => format!("{}.weight", tensor.layer),
            false if self.taken.contains_key(tensor.name.as_str()) && self.keep.takes(tensor) => {
                tensor.name.clone()
            }
            false => return Ok(None),
        };
        let Some(view) = self.given.tensors.get(&name).filter(|_| self.taken.contains_key(name.as_str()))
        else {
            return Ok(None);
        };
        match self.keep.finite.then(|| converted(view, Dtype::F32)).transpose()? {
            Some((_, Some(found))) => Err(format!("holds '{name}', of which {found}: repair the file")),
            Some((_, None)) | None => Ok(Some(view.clone())),
        }
    }
}

/// The end of a sentence about a source without a tensor of the network.
fn of_another_network(compared: &Compared) -> String {
    let unfit = compared.unfit.values().flatten().next();
    match (unfit, compared.foreign.first(), compared.missing.first()) {
        (Some(Unfit { name, here, given }), ..) => format!(
            "has no tensor that fits this network: '{name}' is {given:?} in the file and {here:?} in the network"
        ),
        (None, Some(foreign), Some(missing)) => format!(
            "has no tensor of this network: it has '{}', the network has '{}'",
            foreign.escape_debug(),
            missing.name
        ),
        (None, ..) => "has no tensor of this network: give the weights of this network".into(),
    }
}

/// The layers that stay as they are drawn, in the order of the network.
fn drawn(compared: &Compared, all: &[StateTensor]) -> Vec<Drawn> {
    let missing: HashSet<&str> = compared.missing.iter().map(|tensor| tensor.name.as_str()).collect();
    let mut layers: Vec<Drawn> = Vec::new();
    for tensor in all.iter().filter(|tensor| tensor.role == TensorRole::Forward) {
        let unfit = compared.unfit.get(tensor.layer.as_str());
        if unfit.is_none() && !missing.contains(tensor.name.as_str()) {
            continue;
        }
        let given = unfit.and_then(|unfit| unfit.iter().find(|unfit| unfit.name == tensor.name));
        let given = given.map(|unfit| unfit.given.to_vec());
        let drawn = DrawnTensor { name: tensor.name.clone(), here: tensor.shape.clone(), given };
        match layers.last_mut().filter(|last| last.layer == tensor.layer) {
            Some(last) => last.tensors.push(drawn),
            None => layers.push(Drawn { layer: tensor.layer.clone(), tensors: vec![drawn] }),
        }
    }
    layers
}
