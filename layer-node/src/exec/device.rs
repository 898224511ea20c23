//! The device of a stage: it converts messages to tensors and back, sets the number format of the computation, and
//! checks that outputs are finite.
//!
//! Only this module of a node knows these three tasks, so that another kind of device is another implementation of
//! [`Device`].

mod cpu;
#[cfg(test)]
pub mod fake;
pub mod fault;
pub mod gpu;
pub mod int8;
mod notes;
mod times;

pub use notes::Noted;
pub use times::Computed;

use crate::layout::{from_memory_order, in_memory_order, settled, sizes_in_memory_order};
use crate::stage::{StageError, Values};
use crate::torch;
use crate::torch::cuda::CudaStreams;
use proto::link::Carried;
use proto::spec::layout::Layout;
use proto::spec::precision::Precision;
use proto::tensor::{Kind, TensorData};
use tch::{TchError, Tensor};

/// The device on which a stage computes.
pub trait Device: Send {
    /// The place of the tensors, and the number format of the computation.
    fn options(&self) -> (tch::Device, tch::Kind);

    /// Sets the number format of the computation and the memory order, for the stage that is configured next.
    ///
    /// # Errors
    /// When memory or device fail.
    fn compute_in(&mut self, precision: Precision, layout: Layout) -> Result<(), StageError>;

    /// The tensors of a received message, in the number format of the computation; bytes stay bytes. In main memory
    /// they lie at 64-byte alignment, however their bytes arrived.
    ///
    /// # Errors
    /// When memory or device fail.
    fn upload(&mut self, tensors: &[(String, TensorData)]) -> Result<Values, StageError>;

    /// `values` as they are sent, in the number format `wire`, or on their way to main memory; bytes stay bytes. The
    /// numbers that become 0 in a format of 8 bits are noted here, as values of `of`, since only its encoder knows them.
    ///
    /// # Errors
    /// When memory or device fail.
    fn download(&mut self, values: Values, of: Carried, wire: Kind) -> Result<Download, StageError>;

    /// Notes whether `outputs` are finite, whether `wire` holds them, and how many of their numbers become 0 in f16. A device
    /// may keep the answer where it computes, and read the answers of a whole step at once.
    ///
    /// # Errors
    /// When memory or device fail.
    fn note_outputs(&mut self, outputs: &Values, wire: Kind) -> Result<(), StageError>;

    /// Notes whether `wire` holds `values`, as far as they are finite, and how many of their numbers become 0 in f16. `of`
    /// says whether the values are error signals or values of layers on their way to the host of B; they are never
    /// outputs.
    ///
    /// # Errors
    /// When memory or device fail.
    fn note_sent(&mut self, values: &Values, of: Carried, wire: Kind) -> Result<(), StageError>;

    /// Takes the notes of `step`, the one of the actions under which they were made.
    ///
    /// # Errors
    /// When the device fails.
    fn noted(&mut self, step: u64) -> Result<Noted, StageError>;

    /// Drops the notes of unfinished steps, and the times of their actions.
    fn abandon(&mut self);

    /// Begins an action of `step`, for its time. Notes belong to the step of the action that began last.
    ///
    /// # Errors
    /// When the device fails.
    fn begin(&mut self, step: u64) -> Result<(), StageError>;

    /// Ends the action that began last.
    ///
    /// # Errors
    /// When the device fails.
    fn end(&mut self) -> Result<(), StageError> {
        Ok(())
    }

    /// Takes the times at which the actions of `step` computed, in their order, after all of them have ended. `None` if
    /// the calling thread computes, so that its own clock knows the times.
    ///
    /// # Errors
    /// When the device fails.
    fn times(&mut self, _step: u64) -> Result<Option<Vec<Computed>>, StageError> {
        Ok(None)
    }

    /// Whether the device works on while the calling thread goes on. Another thread then waits for
    /// [`Download::Pending`].
    fn is_asynchronous(&self) -> bool {
        false
    }
}

/// The tensors of a message that is to be sent.
pub enum Download {
    /// The tensors are in main memory.
    Ready(Vec<(String, TensorData)>),
    /// The tensors are on their way to main memory.
    Pending(Box<dyn Pending>),
}

/// Tensors on their way to main memory.
pub trait Pending: Send {
    /// The number of their bytes.
    fn bytes(&self) -> u64;

    /// The tensors, for which the calling thread waits.
    ///
    /// # Errors
    /// When memory or device fail.
    fn complete(self: Box<Self>) -> Result<Vec<(String, TensorData)>, StageError>;
}

impl Download {
    /// The number of the tensors' bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Download::Ready(tensors) => tensors.iter().map(|(_, tensor)| tensor.len() as u64).sum(),
            Download::Pending(pending) => pending.bytes(),
        }
    }

    /// The tensors. The calling thread waits for tensors that are on their way.
    ///
    /// # Errors
    /// When memory or device fail.
    pub fn complete(self) -> Result<Vec<(String, TensorData)>, StageError> {
        match self {
            Download::Ready(tensors) => Ok(tensors),
            Download::Pending(pending) => pending.complete(),
        }
    }
}

/// torch's `device`, opened by the calling thread for computation in f32, until [`Device::compute_in`] sets another
/// number format.
///
/// # Errors
/// When there is no such device.
pub fn open(device: tch::Device) -> Result<Box<dyn Device>, TchError> {
    Ok(match device {
        tch::Device::Cuda(index) => Box::new(gpu::Gpu::new(CudaStreams::open(index)?)),
        _ => Box::new(cpu::Cpu::new()),
    })
}

/// torch's name of a number format on the wire. For the format of 8 bits it is that of the numbers before they are
/// rounded and after they are read.
fn kind_of(wire: Kind) -> tch::Kind {
    match wire {
        Kind::F32 | Kind::Int8(_) => tch::Kind::Float,
        Kind::Bf16 => tch::Kind::BFloat16,
        Kind::F16 => tch::Kind::Half,
        Kind::U8 => tch::Kind::Uint8,
    }
}

/// Whether `tensor` is the network's input, on its way to a stage above.
fn is_bytes(tensor: &Tensor) -> bool {
    tensor.kind() == tch::Kind::Uint8
}

/// The number format in which `tensor` is sent over links in `wire`.
fn sent_as(tensor: &Tensor, wire: Kind) -> Kind {
    if is_bytes(tensor) { Kind::U8 } else { wire }
}

/// The form of the numbers in a computation.
#[derive(Clone, Copy)]
struct Numbers {
    kind: tch::Kind,
    layout: Layout,
}

impl Numbers {
    /// The numbers of a node that is not configured yet.
    const DEFAULT: Self = Self { kind: tch::Kind::Float, layout: Layout::ChannelsLast };

    /// The memory order of a value. The network's input, which crosses in bytes, is row-major.
    fn layout_of(self, bytes: bool) -> Layout {
        if bytes { Layout::RowMajor } else { self.layout }
    }

    /// The sizes of the value in `data`, in memory order.
    fn sizes(self, data: &TensorData) -> Vec<i64> {
        let shape: Vec<i64> = data.shape().iter().map(|&size| size as i64).collect();
        sizes_in_memory_order(self.layout_of(data.kind() == Kind::U8), &shape)
    }

    /// The value of a received `tensor`, in the number format of the computation, if it has not come in bytes.
    fn received(self, tensor: Tensor) -> Result<Tensor, TchError> {
        let value = from_memory_order(self.layout_of(is_bytes(&tensor)), tensor)?;
        if is_bytes(&value) { Ok(value) } else { value.f_to_kind(self.kind) }
    }

    /// The numbers of `tensor` as they cross links in `wire`, contiguous in memory order. Those of 8 bits are not rounded
    /// yet.
    fn sent(self, tensor: Tensor, wire: Kind) -> Result<Tensor, TchError> {
        let layout = self.layout_of(is_bytes(&tensor));
        let tensor = settled(layout, tensor.f_to_kind(kind_of(sent_as(&tensor, wire)))?)?;
        in_memory_order(layout, &tensor)
    }
}

/// The shape of a tensor, as messages have it.
fn shape_of(tensor: &Tensor) -> Vec<u64> {
    tensor.size().iter().map(|&size| size as u64).collect()
}

/// Received bytes as a tensor, which shares them if they are one aligned piece, as links receive them. Other bytes are
/// copied once, into memory of torch's own allocator, which aligns it. Numbers of 8 bits become f32 on the way. The
/// dimensions are in memory order.
fn in_main_memory(data: &TensorData, numbers: Numbers) -> Result<Tensor, TchError> {
    let (sizes, kind) = (numbers.sizes(data), kind_of(data.kind()));
    if let Kind::Int8(block) = data.kind() {
        return torch::from_numbers(&sizes, |numbers| data.decode_int8(block, numbers));
    }
    if let [piece] = data.pieces()
        && torch::is_aligned(piece)
    {
        return torch::adopt(piece.clone(), &sizes, kind);
    }
    let mut tensor = Tensor::f_empty(sizes, (kind, tch::Device::Cpu))?;
    torch::fill(&mut tensor, data.pieces())?;
    Ok(tensor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::control::{Overflow, Underflow};
    use proto::tensor::Receiving;

    #[test]
    fn bytes_come_back_as_the_tensor_that_they_were_and_aligned() {
        let mut device = open(tch::Device::Cpu).unwrap();
        let tensor = Tensor::randn([3, 5], (tch::Kind::Float, tch::Device::Cpu));
        let sent = device
            .download(vec![("x".into(), tensor.shallow_clone())], Carried::Activations, Kind::F32)
            .unwrap();
        let sent = sent.complete().unwrap().remove(0).1;
        let bytes = sent.into_bytes();
        let mut aligned = Receiving::new(bytes.len());
        aligned.extend(&bytes);
        let aligned = aligned.into_tensor(Kind::F32, vec![3, 5]).unwrap().into_bytes();
        let mut padded = Receiving::new(bytes.len() + 4);
        [&bytes[..4], &bytes].iter().for_each(|piece| padded.extend(piece));
        let misaligned = padded.into_tensor(Kind::U8, vec![64]).unwrap().into_bytes().slice(4..);
        for (pieces, shared) in [
            (vec![bytes.slice(..7), bytes.slice(7..)], false),
            (vec![misaligned], false),
            (vec![aligned.clone()], true),
        ] {
            let data = TensorData::new(Kind::F32, vec![3, 5], pieces).unwrap();
            let back = device.upload(&[("x".into(), data)]).unwrap().remove(0).1;
            assert_eq!(back, tensor);
            assert_eq!(back.data_ptr() as usize % 64, 0);
            assert_eq!(back.data_ptr() as *const u8 == aligned.as_ptr(), shared);
        }
    }

    #[test]
    fn bytes_stay_bytes_whatever_the_links_format() {
        let mut device = open(tch::Device::Cpu).unwrap();
        let bytes: Vec<u8> = (0..=255).collect();
        let data = TensorData::new(Kind::U8, vec![2, 128], vec![bytes.clone().into()]).unwrap();
        let values = device.upload(&[("input".into(), data)]).unwrap();
        assert_eq!(values[0].1.kind(), tch::Kind::Uint8);
        device.note_outputs(&values, Kind::F16).unwrap();
        assert_eq!(device.noted(0).unwrap(), Noted::GOOD);
        let (_, sent) =
            device.download(values, Carried::Activations, Kind::F16).unwrap().complete().unwrap().remove(0);
        assert_eq!((sent.kind(), sent.shape()), (Kind::U8, &[2, 128][..]));
        assert_eq!(sent.into_bytes(), bytes);
    }

    #[test]
    fn numbers_come_up_in_the_format_of_the_computation() {
        let mut device = open(tch::Device::Cpu).unwrap();
        let data = TensorData::from_f32(vec![2], &[1.0, 1.0 + 2f32.powi(-9)]).unwrap();
        for (precision, kind, second) in [
            (Precision::Bf16, tch::Kind::BFloat16, 1.0),
            (Precision::Tf32, tch::Kind::Float, 1.0 + 2f64.powi(-9)),
        ] {
            device.compute_in(precision, Layout::ChannelsLast).unwrap();
            let (_, tensor) = device.upload(&[("x".into(), data.clone())]).unwrap().remove(0);
            assert_eq!((tensor.kind(), tensor.double_value(&[1])), (kind, second));
        }
    }

    #[test]
    fn what_is_not_finite_on_the_wire_is_noted_for_one_step() {
        let mut device = open(tch::Device::Cpu).unwrap();
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
            assert_eq!(
                device.noted(0).unwrap(),
                Noted { finite, overflow, ..Noted::GOOD },
                "{largest} as {wire}"
            );
            assert_eq!(device.noted(0).unwrap(), Noted::GOOD, "the next step begins anew");
        }
        for (largest, wire, overflow) in [
            (7e4, Kind::F16, over(7e4, Carried::LayerValues)),
            (7e4, Kind::F32, None),
            (f64::NAN, Kind::F16, None),
        ] {
            device.note_sent(&values(largest), Carried::LayerValues, wire).unwrap();
            assert_eq!(device.noted(0).unwrap(), Noted { overflow, ..Noted::GOOD }, "{largest} as {wire}");
        }
        // An output that is itself not finite tells more than an output that the format does not hold.
        for largest in [7e4, f64::NAN, 7e4] {
            device.note_outputs(&values(largest), Kind::F16).unwrap();
        }
        device.note_sent(&values(7e4), Carried::ErrorSignals, Kind::F32).unwrap();
        assert_eq!(device.noted(0).unwrap(), Noted { finite: false, ..Noted::GOOD });
        device.note_outputs(&values(f64::INFINITY), Kind::F32).unwrap();
        device.abandon();
        assert_eq!(device.noted(0).unwrap(), Noted::GOOD);
    }

    #[test]
    fn what_becomes_zero_in_f16_is_counted_by_its_kind() {
        let mut device = open(tch::Device::Cpu).unwrap();
        let tiny = 2f32.powi(-25);
        let numbers = [0.0, tiny, -tiny, tiny * 1.0001, tiny / 8.0, f32::NAN, 1.0, -0.0];
        let values = vec![("x".to_owned(), Tensor::from_slice(&numbers))];
        for wire in [Kind::F32, Kind::Bf16, Kind::F16, Kind::Int8(Default::default())] {
            device.note_sent(&values, Carried::ErrorSignals, wire).unwrap();
        }
        device.note_outputs(&values, Kind::F16).unwrap();
        device.note_outputs(&values, Kind::F16).unwrap();
        let found = device.noted(0).unwrap().underflow;
        assert_eq!(found, Underflow { activations: 6, error_signals: 3, layer_values: 0 });
        let sent = device
            .download(values, Carried::Activations, Kind::F16)
            .unwrap()
            .complete()
            .unwrap()
            .remove(0)
            .1
            .to_f32();
        let lost = numbers.iter().zip(sent).filter(|(number, sent)| **number != 0.0 && *sent == 0.0);
        assert_eq!(lost.count(), 3, "as many as the conversion loses");
        assert_eq!(device.noted(0).unwrap(), Noted::GOOD, "the next step begins anew");
    }

    /// The operations of a GPU and the loops of a CPU give the same bytes, counts and numbers, whatever they round, in
    /// every memory order. A tensor whose strides are not those of the memory order is sent as one whose strides are.
    #[test]
    fn every_device_rounds_to_8_bits_alike() {
        tch::manual_seed(2);
        let odd = Tensor::randn([3, 5, 9, 9], (tch::Kind::Float, tch::Device::Cpu));
        let _ = odd.get(0).get(0).fill_(0.0);
        let _ = odd.get(1).get(1).get(2).get(3).fill_(f64::NAN);
        let _ = odd.get(2).get(3).fill_(1e-40);
        let rough = (Tensor::randn([2, 128], (tch::Kind::Float, tch::Device::Cpu)) * 40.0).round() / 80.0;
        let wire = Kind::Int8(proto::tensor::Block::Of32);
        let all = [odd, rough, Tensor::from_slice(&[f32::MAX, 1.0])];
        let layouts = [Layout::ChannelsLast, Layout::RowMajor];
        for (values, layout) in all.iter().flat_map(|values| layouts.map(|layout| (values, layout))) {
            let settled = settled(layout, values.shallow_clone()).unwrap();
            let gpu = gpu::Gpu::new(fake::LateStreams::new(3, usize::MAX));
            let devices: [Box<dyn Device>; 2] = [Box::new(gpu), open(tch::Device::Cpu).unwrap()];
            let [gpu, cpu] = devices.map(|mut device| {
                device.compute_in(Precision::F32, layout).unwrap();
                let [data, again] = [values, &settled].map(|values| {
                    let named = vec![("x".to_owned(), values.shallow_clone())];
                    let sent = device.download(named, Carried::ErrorSignals, wire).unwrap();
                    sent.complete().unwrap().remove(0).1
                });
                let back = device.upload(&[("x".into(), data.clone())]).unwrap().remove(0).1;
                assert_eq!((data.kind(), back.size()), (wire, values.size()));
                assert_eq!(back.stride(), settled.stride(), "{layout}");
                let numbers = in_memory_order(layout, &back).unwrap();
                assert_eq!(
                    to_bits(&numbers),
                    data.to_f32().into_iter().map(f32::to_bits).collect::<Vec<_>>()
                );
                // The largest number of a block is exact but for one rounding, and half a scale is less than 1 / 253 of it.
                let off = (&back - values).abs().nan_to_num(0.0, 0.0, 0.0);
                assert!(
                    off.max().double_value(&[])
                        <= values.nan_to_num(0.0, 0.0, 0.0).abs().max().double_value(&[]) / 253.0
                );
                assert_eq!(
                    to_bits(&back),
                    to_bits(&int8::as_received(values, proto::tensor::Block::Of32, layout).unwrap())
                );
                let noted = device.noted(0).unwrap();
                let bytes = data.into_bytes();
                assert_eq!(bytes, again.into_bytes());
                (bytes, noted)
            });
            assert_eq!(gpu, cpu);
        }
    }

    /// The bits of the elements of `tensor`, in the order of its dimensions.
    fn to_bits(tensor: &Tensor) -> Vec<u32> {
        let numbers: Vec<f32> = tensor.reshape([-1]).try_into().unwrap();
        numbers.into_iter().map(f32::to_bits).collect()
    }
}
