//! A stage's state by name: snapshots hold it, digests show it, and a restored snapshot fills it.

use crate::optim::Parameter;
use proto::spec::optimizer::Method;
use std::collections::BTreeMap;
use tch::Tensor;

/// Every tensor that survives a step, by its name in the state file.
#[derive(Default)]
pub struct State<'a>(pub BTreeMap<String, &'a mut Tensor>);

impl<'a> State<'a> {
    /// Adds `tensor` under `name`.
    pub fn tensor(&mut self, name: String, tensor: &'a mut Tensor) {
        self.0.insert(name, tensor);
    }

    /// Adds a parameter under `name`, and its optimizer's state below that name.
    pub fn parameter(&mut self, name: &str, parameter: &'a mut Parameter, method: &Method) {
        for (slot, tensor) in method.slots().iter().zip(&mut parameter.slots) {
            self.tensor(format!("{name}.{slot}"), tensor);
        }
        self.tensor(name.to_owned(), &mut parameter.value);
    }
}
