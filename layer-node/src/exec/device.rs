//! The device of a stage: it converts messages to tensors and back, sets the number format of the computation, and
//! checks that outputs are finite.
//!
//! Only this module of a node knows these three tasks, so that another kind of device is another implementation of
//! [`Device`].

use crate::stage::{StageError, Values};
use crate::torch;
use proto::tensor::{Kind, TensorData};
use tch::{TchError, Tensor};

/// The device on which a stage computes.
pub trait Device: Send {
    /// The place of the tensors, and the number format of the computation.
    fn options(&self) -> (tch::Device, tch::Kind);

    /// The tensors of a received message, in the number format of the computation. In main memory they lie at
    /// 64-byte alignment, however their bytes arrived.
    ///
    /// # Errors
    /// When memory or device fail.
    fn upload(&mut self, tensors: &[(String, TensorData)]) -> Result<Values, StageError>;

    /// `values` as they are sent, in the number format `wire`.
    ///
    /// # Errors
    /// When memory or device fail.
    fn download(&mut self, values: Values, wire: Kind) -> Result<Vec<(String, TensorData)>, StageError>;

    /// Notes whether `outputs`, rounded to `wire`, are finite. A device may keep the answer where it computes, and
    /// read the answers of a whole step at once.
    ///
    /// # Errors
    /// When memory or device fail.
    fn note_finite(&mut self, outputs: &Values, wire: Kind) -> Result<(), StageError>;

    /// Whether all outputs noted since the last call are finite.
    ///
    /// # Errors
    /// When the device fails.
    fn all_finite(&mut self) -> Result<bool, StageError>;

    /// Drops the notes of an unfinished step.
    fn abandon(&mut self);
}

/// torch's `device`, opened for computation in f32.
pub fn open(device: tch::Device) -> Box<dyn Device> {
    Box::new(Waiting { device, finite: true })
}

/// The CPU, or a GPU: the worker waits for every copy and every check.
struct Waiting {
    device: tch::Device,
    finite: bool,
}

impl Device for Waiting {
    fn options(&self) -> (tch::Device, tch::Kind) {
        (self.device, tch::Kind::Float)
    }

    fn upload(&mut self, tensors: &[(String, TensorData)]) -> Result<Values, StageError> {
        let (device, kind) = self.options();
        let upload = |(name, data): &(String, TensorData)| {
            Ok((name.clone(), in_main_memory(data)?.f_to_device(device)?.f_to_kind(kind)?))
        };
        tensors.iter().map(upload).collect()
    }

    fn download(&mut self, values: Values, wire: Kind) -> Result<Vec<(String, TensorData)>, StageError> {
        let download = |(name, tensor): (String, Tensor)| {
            let shape = tensor.size().iter().map(|&size| size as u64).collect();
            let bytes = torch::lend(&tensor.f_to_kind(kind_of(wire))?)?;
            Ok((name, TensorData::new(wire, shape, vec![bytes])?))
        };
        values.into_iter().map(download).collect()
    }

    fn note_finite(&mut self, outputs: &Values, wire: Kind) -> Result<(), StageError> {
        for (_, tensor) in outputs {
            self.finite = self.finite && is_finite(tensor, wire)?;
        }
        Ok(())
    }

    fn all_finite(&mut self) -> Result<bool, StageError> {
        Ok(std::mem::replace(&mut self.finite, true))
    }

    fn abandon(&mut self) {
        self.finite = true;
    }
}

/// torch's name of a number format on the wire.
fn kind_of(wire: Kind) -> tch::Kind {
    match wire {
        Kind::F32 => tch::Kind::Float,
        Kind::Bf16 => tch::Kind::BFloat16,
        Kind::F16 => tch::Kind::Half,
    }
}

/// Copies received bytes once, into a tensor of torch's own allocator, which aligns it.
fn in_main_memory(data: &TensorData) -> Result<Tensor, TchError> {
    let shape: Vec<i64> = data.shape().iter().map(|&size| size as i64).collect();
    let mut tensor = Tensor::f_empty(shape, (kind_of(data.kind()), tch::Device::Cpu))?;
    torch::fill(&mut tensor, data.pieces())?;
    Ok(tensor)
}

/// Whether `tensor` holds no NaN and no infinity once it is rounded to `wire`: both survive a sum.
fn is_finite(tensor: &Tensor, wire: Kind) -> Result<bool, TchError> {
    // f16 ends at 65,504; the others end where f32 does.
    let sent = match wire {
        Kind::F16 => tensor.f_to_kind(kind_of(wire))?,
        Kind::F32 | Kind::Bf16 => tensor.shallow_clone(),
    };
    Ok(sent.f_sum(tensor.kind())?.f_double_value(&[])?.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_the_tensor_that_they_were_and_aligned() {
        let mut device = open(tch::Device::Cpu);
        let tensor = Tensor::randn([3, 5], (tch::Kind::Float, tch::Device::Cpu));
        let sent =
            device.download(vec![("x".into(), tensor.shallow_clone())], Kind::F32).unwrap().remove(0).1;
        let bytes = sent.into_bytes();
        let pieces = vec![bytes.slice(..7), bytes.slice(7..)];
        let data = TensorData::new(Kind::F32, vec![3, 5], pieces).unwrap();
        let back = device.upload(&[("x".into(), data)]).unwrap().remove(0).1;
        assert_eq!(back, tensor);
        assert_eq!(back.data_ptr() as usize % 64, 0);
    }

    #[test]
    fn what_is_not_finite_on_the_wire_is_noted_for_one_step() {
        let mut device = open(tch::Device::Cpu);
        let outputs = |largest: f64| {
            let tensor = Tensor::full([2], largest, (tch::Kind::Float, tch::Device::Cpu));
            vec![("y".to_owned(), tensor)]
        };
        for (largest, wire, finite) in [
            (7e4, Kind::F32, true),
            (7e4, Kind::Bf16, true),
            (7e4, Kind::F16, false),
            (f64::NAN, Kind::F32, false),
        ] {
            device.note_finite(&outputs(largest), wire).unwrap();
            device.note_finite(&outputs(1.0), wire).unwrap();
            assert_eq!(device.all_finite().unwrap(), finite, "{largest} as {wire}");
            assert!(device.all_finite().unwrap(), "the next step begins anew");
        }
        device.note_finite(&outputs(f64::INFINITY), Kind::F32).unwrap();
        device.abandon();
        assert!(device.all_finite().unwrap());
    }
}
