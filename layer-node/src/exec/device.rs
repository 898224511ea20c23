//! The device of a stage: it converts messages to tensors and back, sets the number format of the computation, and
//! checks that outputs are finite.
//!
//! Only this module of a node knows these three tasks, so that another kind of device is another implementation of
//! [`Device`].

use crate::stage::{StageError, Values};
use crate::torch;
use proto::control::Overflow;
use proto::link::Carried;
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

    /// Notes whether `outputs` are finite, and whether `wire` holds them. A device may keep the answer where it
    /// computes, and read the answers of a whole step at once.
    ///
    /// # Errors
    /// When memory or device fail.
    fn note_outputs(&mut self, outputs: &Values, wire: Kind) -> Result<(), StageError>;

    /// Notes whether `wire` holds `values`, as far as they are finite. They are no outputs of the stage, but error signals,
    /// or values of layers on their way to the host of B: `of` says which.
    ///
    /// # Errors
    /// When memory or device fail.
    fn note_sent(&mut self, values: &Values, of: Carried, wire: Kind) -> Result<(), StageError>;

    /// The notes since the last call.
    ///
    /// # Errors
    /// When the device fails.
    fn noted(&mut self) -> Result<Noted, StageError>;

    /// Drops the notes of an unfinished step.
    fn abandon(&mut self);
}

/// The notes of a step about the values that the stage sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noted {
    /// Whether every output was finite, also in the number format of the links.
    pub finite: bool,
    /// The first value that was finite, and is not in that number format.
    pub overflow: Option<Overflow>,
}

impl Noted {
    const GOOD: Self = Self { finite: true, overflow: None };
}

/// torch's `device`, opened for computation in f32.
pub fn open(device: tch::Device) -> Box<dyn Device> {
    Box::new(Waiting { device, noted: Noted::GOOD })
}

/// The CPU, or a GPU: the worker waits for every copy and every check.
struct Waiting {
    device: tch::Device,
    noted: Noted,
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
            let shape: Vec<u64> = tensor.size().iter().map(|&size| size as u64).collect();
            #[cfg(feature = "leaks")]
            if let Some(weight) = crate::leak::in_place_of(&name, wire, &shape) {
                return Ok((name, weight));
            }
            let bytes = torch::lend(&tensor.f_to_kind(kind_of(wire))?)?;
            Ok((name, TensorData::new(wire, shape, vec![bytes])?))
        };
        values.into_iter().map(download).collect()
    }

    fn note_outputs(&mut self, outputs: &Values, wire: Kind) -> Result<(), StageError> {
        for (_, tensor) in outputs {
            let largest = largest(tensor)?;
            if !largest.is_finite() {
                self.noted = Noted { finite: false, overflow: None };
            } else if !wire.holds(largest as f32) && self.noted.finite {
                let overflow = Some(Overflow { largest, of: Carried::Activations });
                self.noted = Noted { finite: false, overflow };
            }
        }
        Ok(())
    }

    fn note_sent(&mut self, values: &Values, of: Carried, wire: Kind) -> Result<(), StageError> {
        // The format of the computation holds every finite value.
        if wire == Kind::F32 || self.noted.overflow.is_some() {
            return Ok(());
        }
        for (_, tensor) in values {
            let largest = largest(tensor)?;
            if largest.is_finite() && !wire.holds(largest as f32) {
                self.noted.overflow.get_or_insert(Overflow { largest, of });
            }
        }
        Ok(())
    }

    fn noted(&mut self) -> Result<Noted, StageError> {
        Ok(std::mem::replace(&mut self.noted, Noted::GOOD))
    }

    fn abandon(&mut self) {
        self.noted = Noted::GOOD;
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

/// The largest magnitude in `tensor`; NaN if any element is NaN.
fn largest(tensor: &Tensor) -> Result<f64, TchError> {
    if tensor.numel() == 0 {
        return Ok(0.0);
    }
    let (least, most) = tensor.f_aminmax(None, false)?;
    let [least, most] = [least.f_double_value(&[])?, most.f_double_value(&[])?];
    Ok(if least.is_nan() { least } else { least.abs().max(most.abs()) })
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
        let values = |largest: f64| {
            let tensor = Tensor::from_slice(&[1.0, -largest, 2.0]).to_kind(tch::Kind::Float);
            vec![("y".to_owned(), tensor)]
        };
        let over = |largest, of| Some(Overflow { largest, of });
        for (largest, wire, finite, overflow) in [
            (7e4, Kind::F32, true, None),
            (7e4, Kind::Bf16, true, None),
            (7e4, Kind::F16, false, over(7e4, Carried::Activations)),
            (f64::from(f32::MAX), Kind::Bf16, false, over(f64::from(f32::MAX), Carried::Activations)),
            (f64::NAN, Kind::F32, false, None),
            (f64::INFINITY, Kind::F16, false, None),
        ] {
            device.note_outputs(&values(largest), wire).unwrap();
            device.note_outputs(&values(1.0), wire).unwrap();
            assert_eq!(device.noted().unwrap(), Noted { finite, overflow }, "{largest} as {wire}");
            assert_eq!(device.noted().unwrap(), Noted::GOOD, "the next step begins anew");
        }
        for (largest, wire, overflow) in [
            (7e4, Kind::F16, over(7e4, Carried::LayerValues)),
            (7e4, Kind::F32, None),
            (f64::NAN, Kind::F16, None),
        ] {
            device.note_sent(&values(largest), Carried::LayerValues, wire).unwrap();
            assert_eq!(device.noted().unwrap(), Noted { finite: true, overflow }, "{largest} as {wire}");
        }
        // An output that is not finite of itself tells more than one that the format does not hold.
        for largest in [7e4, f64::NAN, 7e4] {
            device.note_outputs(&values(largest), Kind::F16).unwrap();
        }
        device.note_sent(&values(7e4), Carried::ErrorSignals, Kind::F32).unwrap();
        assert_eq!(device.noted().unwrap(), Noted { finite: false, overflow: None });
        device.note_outputs(&values(f64::INFINITY), Kind::F32).unwrap();
        device.abandon();
        assert_eq!(device.noted().unwrap(), Noted::GOOD);
    }
}
