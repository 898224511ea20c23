//! The CPU: the worker computes, copies and checks itself, so the work is done when its call returns.

use super::notes::{Noted, extremes, largest, may_overflow, vanishing};
use super::{Device, Download, Numbers, in_main_memory, sent_as, shape_of};
use crate::exec::precision;
use crate::stage::{StageError, Values};
use crate::torch;
use proto::link::Carried;
use proto::spec::layout::Layout;
use proto::spec::precision::Precision;
use proto::tensor::{Kind, TensorData};
use std::collections::BTreeMap;
use tch::{TchError, Tensor};

/// The CPU.
pub(super) struct Cpu {
    numbers: Numbers,
    /// The step of the action that began last.
    step: u64,
    /// The notes of each step under way.
    noted: BTreeMap<u64, Noted>,
}

impl Cpu {
    pub(super) fn new() -> Self {
        Self { numbers: Numbers::DEFAULT, step: 0, noted: BTreeMap::new() }
    }

    fn notes(&mut self) -> &mut Noted {
        self.noted.entry(self.step).or_insert(Noted::GOOD)
    }

    fn count_vanishing(&mut self, tensor: &Tensor, of: Carried, wire: Kind) -> Result<(), TchError> {
        if let Some(numbers) = vanishing(tensor, wire)? {
            let numbers = numbers.f_int64_value(&[])? as u64;
            self.notes().vanished(numbers, of);
        }
        Ok(())
    }
}

impl Device for Cpu {
    fn options(&self) -> (tch::Device, tch::Kind) {
        (tch::Device::Cpu, self.numbers.kind)
    }

    fn compute_in(&mut self, precision: Precision, layout: Layout) -> Result<(), StageError> {
        self.numbers = Numbers { kind: precision::set(precision, tch::Device::Cpu)?, layout };
        Ok(())
    }

    fn upload(&mut self, tensors: &[(String, TensorData)]) -> Result<Values, StageError> {
        let upload = |(name, data): &(String, TensorData)| {
            Ok((name.clone(), self.numbers.received(in_main_memory(data, self.numbers)?)?))
        };
        tensors.iter().map(upload).collect()
    }

    fn download(&mut self, values: Values, of: Carried, wire: Kind) -> Result<Download, StageError> {
        let mut sent = Vec::with_capacity(values.len());
        for (name, tensor) in values {
            let shape = shape_of(&tensor);
            let wire = sent_as(&tensor, wire);
            #[cfg(feature = "leaks")]
            if let Some(weight) = crate::leak::in_place_of(&name, wire, &shape) {
                sent.push((name, weight));
                continue;
            }
            let tensor = self.numbers.sent(tensor, wire)?;
            let data = match wire {
                Kind::Int8(block) => {
                    let numbers = torch::numbers(&tensor)?;
                    let (data, vanished) = TensorData::round_to_int8(block, shape, numbers.as_ref())?;
                    self.notes().vanished(vanished, of);
                    data
                }
                _ => TensorData::new(wire, shape, vec![torch::lend(&tensor)?])?,
            };
            sent.push((name, data));
        }
        Ok(Download::Ready(sent))
    }

    fn note_outputs(&mut self, outputs: &Values, wire: Kind) -> Result<(), StageError> {
        for (_, tensor) in outputs {
            self.count_vanishing(tensor, Carried::Activations, wire)?;
            let largest = read_largest(tensor)?;
            self.notes().output(largest, wire);
        }
        Ok(())
    }

    fn note_sent(&mut self, values: &Values, of: Carried, wire: Kind) -> Result<(), StageError> {
        if !may_overflow(wire) {
            return Ok(());
        }
        for (_, tensor) in values {
            self.count_vanishing(tensor, of, wire)?;
            let largest = read_largest(tensor)?;
            self.notes().sent(largest, of, wire);
        }
        Ok(())
    }

    fn noted(&mut self, step: u64) -> Result<Noted, StageError> {
        Ok(self.noted.remove(&step).unwrap_or(Noted::GOOD))
    }

    fn abandon(&mut self) {
        (self.step, self.noted) = (0, BTreeMap::new());
    }

    fn begin(&mut self, step: u64) -> Result<(), StageError> {
        self.step = step;
        Ok(())
    }
}

/// The largest magnitude in `tensor`; NaN if any element is NaN.
fn read_largest(tensor: &Tensor) -> Result<f64, TchError> {
    let Some([least, most]) = extremes(tensor)? else { return Ok(0.0) };
    Ok(largest([least.f_double_value(&[])?, most.f_double_value(&[])?]))
}
