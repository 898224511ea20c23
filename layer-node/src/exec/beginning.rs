//! The beginning of a run from the state of another one: the node fills the layers that it has drawn from a snapshot on
//! its own disk. A file of weights, cut for this node, is such a snapshot as well.

use crate::exec::half;
use crate::state::checkpoint::{self, BACKWARD, CheckpointError, DRAWN, Snapshot, StateFileError};
use crate::state::named::State;
use crate::state::state_dir::StateDir;
use proto::failure::Failure;
use proto::spec::begin::Begin;
use proto::spec::stage::{Half, StageSpec};
use proto::spec::state::{StateTensor, TensorRole, state_of};
use proto::weights::{Compared, compare, converted, remove_other_backward};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::{BTreeMap, HashMap};
use tch::{Kind, Tensor};

/// The end of the sentence for a snapshot that another cut has written.
const ANOTHER_CUT: &str = "the run was cut in another way, so layer-node export its nodes' state, coordinator split the file for this configuration, and layer-node import the part";

/// The snapshot from which a run begins at this node.
pub struct Beginning {
    begin: Begin,
    snapshot: Snapshot,
    metadata: HashMap<String, String>,
    half: Half,
    /// The tensors of the node.
    state: Vec<StateTensor>,
}

impl Beginning {
    /// Opens the snapshot from which `spec` begins, wherever it lies in `state_dir`. `None` where `spec` restores a
    /// snapshot of its own run, or begins from the seed.
    ///
    /// # Errors
    /// When the node has no such snapshot, or one that was cut for another node; the error is one sentence.
    pub fn of(spec: &StageSpec, state_dir: &StateDir) -> Result<Option<Self>, Failure> {
        let Some(begin) = spec.begin.clone().filter(|_| spec.restore.is_none()) else { return Ok(None) };
        let place = checkpoint::place_of(&state_dir.path, &begin.run, begin.updates);
        let snapshot =
            Snapshot::open(&place, begin.updates).map_err(|error| absent(error, &begin, state_dir))?;
        if snapshot.run != begin.run {
            return Err(Failure::own(missing(&begin, state_dir)));
        }
        let metadata = snapshot.metadata().map_err(checkpoint::of_file)?;
        let state = state_of(spec).map_err(|error| error.to_string())?;
        let beginning = Self { begin, snapshot, metadata, half: spec.half, state };
        beginning.check()?;
        Ok(Some(beginning))
    }

    /// Fails where a tensor is missing of which the file does not say that it is to be drawn: drawn weights in its place
    /// would look like a run that learns badly.
    fn check(&self) -> Result<(), Failure> {
        let path = self.snapshot.path().display();
        let drawn: Option<Vec<&str>> = self.metadata.get(DRAWN).map(|drawn| drawn.split(' ').collect());
        let copied = self.metadata.get(BACKWARD).is_some_and(|backward| backward == "weight");
        // A part says whether B is W there. The host of B alone cannot copy W, so it needs such a part.
        let says = drawn.is_some() || self.half == Half::Backward;
        match self.lacking(drawn.as_deref())? {
            Some(tensor) if drawn.is_some() => Err(Failure::own(format!(
                "{path} lacks '{}', which this node has, or holds it in another shape: it was cut for another node or configuration, so coordinator split the file again and layer-node import the part of this node",
                tensor.name
            ))),
            Some(tensor) => Err(Failure::own(format!(
                "{path} lacks '{}', which this node has: {ANOTHER_CUT}",
                tensor.name
            ))),
            None if says && copied != self.begin.backward_is_weight => {
                let [was, is] = [copied, self.begin.backward_is_weight]
                    .map(|weight| if weight { "with" } else { "without" });
                Err(Failure::own(format!(
                    "{path} was cut {was} --backward weight, and this run begins {is} it: give coordinator split and train the same flag"
                )))
            }
            None => Ok(()),
        }
    }

    /// The first tensor of the node that the snapshot lacks. `drawn` has the names that a part leaves to be drawn; it is
    /// `None` for the snapshot of a node, of which the layers that fit are taken.
    fn lacking(&self, drawn: Option<&[&str]>) -> Result<Option<&StateTensor>, Failure> {
        let given = self.given()?;
        let fits = |tensor: &StateTensor| {
            let shape =
                |view: &TensorView<'_>| view.shape().iter().map(|&size| size as u64).collect::<Vec<_>>();
            given.get(&tensor.name).is_some_and(|view| shape(view) == tensor.shape)
        };
        let lacks = |tensor: &&StateTensor| match (drawn, &tensor.role) {
            _ if fits(tensor) => false,
            (_, TensorRole::Slot { .. }) => false,
            (None, _) if given.contains_key(&tensor.name) => false,
            // Another rule may have had no B; the host of B alone has nothing else.
            (None, TensorRole::Backward | TensorRole::Fixed) => self.half == Half::Backward,
            (Some(drawn), _) => !drawn.contains(&tensor.name.as_str()),
            (None, TensorRole::Forward) => true,
        };
        Ok(self.state.iter().find(lacks))
    }

    fn given(&self) -> Result<BTreeMap<String, TensorView<'_>>, Failure> {
        Ok(self.snapshot.tensors().map_err(checkpoint::of_file)?.into_iter().collect())
    }

    /// Fills the drawn layers of `half`, and logs what was taken.
    ///
    /// # Errors
    /// When the numbers cannot be converted, or a torch operation fails.
    pub fn fill(&self, half: &mut half::Half) -> Result<(), Failure> {
        let mut given = self.given()?;
        let others = remove_other_backward(&mut given, &self.state);
        let of_file = |why: String| Failure::own(format!("{} {why}", self.snapshot.path().display()));
        let compared = compare(&given, &self.state).map_err(of_file)?;
        let takes = |tensor: &StateTensor| match tensor.role {
            TensorRole::Forward | TensorRole::Fixed => true,
            // The part of a host that has B alone holds W's numbers as B.
            TensorRole::Backward => !self.begin.backward_is_weight || self.half == Half::Backward,
            TensorRole::Slot { .. } => self.begin.optimizer,
        };
        let taken: Vec<&StateTensor> =
            compared.taken.iter().copied().filter(|tensor| takes(tensor)).collect();
        let mut state = half.state();
        for tensor in &taken {
            set(&mut state, &tensor.name, &given[&tensor.name])?;
        }
        if self.begin.backward_is_weight {
            self.copy_weights(&mut state, &taken)?;
        }
        half.begun().map_err(|error| error.to_string())?;
        self.log(taken.len(), &compared, others.keys());
        Ok(())
    }

    /// Sets every B that was not taken to the W of its layer, where this host has both.
    fn copy_weights(&self, state: &mut State, taken: &[&StateTensor]) -> Result<(), Failure> {
        let backward = self.state.iter().filter(|tensor| tensor.role == TensorRole::Backward);
        for tensor in backward.filter(|tensor| !taken.contains(tensor)) {
            let weight =
                state.0.get(&format!("{}.weight", tensor.layer)).map(|weight| weight.shallow_clone());
            if let (Some(weight), Some(backward)) = (weight, state.0.get_mut(&tensor.name)) {
                backward.f_copy_(&weight).map_err(CheckpointError::from)?;
            }
        }
        Ok(())
    }

    fn log<'a>(&self, taken: usize, compared: &Compared, others: impl Iterator<Item = &'a String>) {
        let others = others.map(|layer| format!("the B of {layer}"));
        let unfit = compared.unfit.keys().map(|layer| (*layer).to_owned()).chain(others);
        let missing = compared.missing.iter().map(|tensor| tensor.name.clone());
        let drawn: Vec<String> = unfit.chain(missing).collect();
        let Begin { run, updates, .. } = &self.begin;
        let drawn = if drawn.is_empty() { "nothing".to_owned() } else { drawn.join(", ") };
        tracing::info!(%run, updates, tensors = taken, %drawn, "begins from the state of another run");
    }
}

/// Sets the tensor `name` of the state to the numbers of `view`.
fn set(state: &mut State, name: &str, view: &TensorView<'_>) -> Result<(), Failure> {
    let Some(tensor) = state.0.get_mut(name) else { return Ok(()) };
    let (kind, dtype) = match tensor.kind() {
        Kind::Double => (Kind::Double, Dtype::F64),
        _ => (Kind::Float, Dtype::F32),
    };
    let (bytes, _) = converted(view, dtype).map_err(|why| format!("'{name}' cannot be taken: {why}"))?;
    let numbers = Tensor::f_from_data_size(&bytes, &tensor.size(), kind);
    numbers.and_then(|numbers| tensor.f_copy_(&numbers)).map_err(CheckpointError::from)?;
    Ok(())
}

fn absent(error: StateFileError, begin: &Begin, state_dir: &StateDir) -> Failure {
    match error {
        StateFileError::Gone { .. } => Failure::own(missing(begin, state_dir)),
        other => checkpoint::of_file(other),
    }
}

fn missing(Begin { run, updates, .. }: &Begin, state_dir: &StateDir) -> String {
    format!(
        "the state folder {} has no snapshot of run {run} after {updates} updates, from which this run begins: coordinator split makes a file for this node, and layer-node import --state-dir DIR FILE puts it there",
        state_dir.path.display()
    )
}

#[cfg(test)]
mod tests;
