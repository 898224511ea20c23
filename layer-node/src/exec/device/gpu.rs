//! A GPU: the worker gives work to its streams, and waits for it once in a step.
//!
//! ```text
//! upload    bytes ─▶ pinned memory ═ stream up ═▶ tensor ─event─┐
//! compute                                        stream compute ▼ F … E … G … ─event─┐
//! download                                                          stream down ═════▼ pinned memory ─event─▶ sender
//! ```
//!
//! While one microbatch is computed, the next is copied to the GPU, and outputs are copied to main memory. The sender
//! waits for the copies of a message ([`Download::Pending`]). The notes of a step stay on the GPU until the step is
//! closed, and so do the times of its actions, which are events of the stream that computes.

use super::notes::{Noted, extremes, largest, may_overflow, vanishing};
use super::times::{Action, Computed};
use super::{Device, Download, Numbers, Pending, int8, sent_as, shape_of};
use crate::exec::precision;
use crate::stage::{StageError, Values};
use crate::torch;
use crate::torch::streams::{Event, Streams};
use proto::link::Carried;
use proto::spec::layout::Layout;
use proto::spec::precision::Precision;
use proto::tensor::{Kind, TensorData};
use tch::{TchError, Tensor};

/// A GPU, by its streams.
pub struct Gpu<S: Streams> {
    streams: S,
    numbers: Numbers,
    /// The step of the action that began last.
    step: u64,
    /// The values of steps under way that are not checked yet.
    unread: Vec<Unread>,
    /// The counts of numbers that become 0 in the steps under way, still on the GPU.
    vanishing: Vec<Vanishing>,
    /// The actions of the steps under way, each with its step. The last action may still be open.
    actions: Vec<(u64, Action<S::Event>)>,
}

/// The count of numbers of one value that become 0, still on the GPU.
struct Vanishing {
    step: u64,
    numbers: Tensor,
    of: Carried,
}

/// The extremes of one value, still on the GPU.
struct Unread {
    step: u64,
    extremes: [Tensor; 2],
    /// The kind of the value, if it is no output of the stage.
    sent: Option<Carried>,
    wire: Kind,
}

impl<S: Streams> Gpu<S> {
    /// The GPU with these streams.
    pub fn new(streams: S) -> Self {
        Self {
            streams,
            numbers: Numbers::DEFAULT,
            step: 0,
            unread: Vec::new(),
            vanishing: Vec::new(),
            actions: Vec::new(),
        }
    }

    fn note(&mut self, values: &Values, sent: Option<Carried>, wire: Kind) -> Result<(), StageError> {
        let (step, of) = (self.step, sent.unwrap_or(Carried::Activations));
        for (_, tensor) in values {
            let extremes = extremes(tensor)?;
            let numbers = vanishing(tensor, wire)?;
            self.vanishing.extend(numbers.map(|numbers| Vanishing { step, numbers, of }));
            self.unread.extend(extremes.map(|extremes| Unread { step, extremes, sent, wire }));
        }
        Ok(())
    }

    /// Makes the stream that computes wait for the copies, and marks the time in which it has nothing else to do.
    fn await_all<'e>(&mut self, copied: impl Iterator<Item = &'e S::Event>) -> Result<(), TchError> {
        let idle = self.streams.mark()?;
        for event in copied {
            self.streams.wait(event)?;
        }
        if let Some((_, action)) = self.actions.last_mut() {
            action.idle.push([idle, self.streams.mark()?]);
        }
        Ok(())
    }
}

impl<S: Streams> Device for Gpu<S> {
    fn options(&self) -> (tch::Device, tch::Kind) {
        (self.streams.device(), self.numbers.kind)
    }

    fn compute_in(&mut self, precision: Precision, layout: Layout) -> Result<(), StageError> {
        self.numbers = Numbers { kind: precision::set(precision, self.streams.device())?, layout };
        Ok(())
    }

    fn upload(&mut self, tensors: &[(String, TensorData)]) -> Result<Values, StageError> {
        let numbers = self.numbers;
        let mut begun = Vec::with_capacity(tensors.len());
        for (name, data) in tensors {
            let (sizes, wire) = (numbers.sizes(data), data.kind());
            let (held, kind) = int8::held(wire, &sizes, data.len());
            let mut pinned = self.streams.pinned(&held, kind)?;
            torch::fill(&mut pinned, data.pieces())?;
            let (tensor, copied) = self.streams.upload(&pinned)?;
            begun.push(((name, wire, sizes), tensor, copied));
        }
        self.await_all(begun.iter().map(|(_, _, copied)| copied))?;
        let computed = |((name, wire, sizes), tensor, _): ((&String, Kind, Vec<i64>), Tensor, _)| {
            let tensor = match wire {
                Kind::Int8(block) => int8::decode(&tensor, &sizes, block)?,
                _ => tensor,
            };
            Ok((name.clone(), numbers.received(tensor)?))
        };
        begun.into_iter().map(computed).collect()
    }

    fn download(&mut self, values: Values, of: Carried, wire: Kind) -> Result<Download, StageError> {
        let mut copies = Vec::with_capacity(values.len());
        for (name, tensor) in values {
            let (kind, shape) = (sent_as(&tensor, wire), shape_of(&tensor));
            let tensor = self.numbers.sent(tensor, wire)?;
            let sent = match kind {
                Kind::Int8(block) => {
                    let int8::Encoded { bytes, vanished } = int8::encode(&tensor, block)?;
                    self.vanishing.push(Vanishing { step: self.step, numbers: vanished, of });
                    bytes
                }
                _ => tensor,
            };
            let (pinned, copied) = self.streams.download(&sent)?;
            copies.push(Copy { name, kind, shape, pinned, copied, source: sent });
        }
        Ok(Download::Pending(Box::new(copies)))
    }

    fn note_outputs(&mut self, outputs: &Values, wire: Kind) -> Result<(), StageError> {
        self.note(outputs, None, wire)
    }

    fn note_sent(&mut self, values: &Values, of: Carried, wire: Kind) -> Result<(), StageError> {
        if may_overflow(wire) { self.note(values, Some(of), wire) } else { Ok(()) }
    }

    fn noted(&mut self, step: u64) -> Result<Noted, StageError> {
        let mut noted = Noted::GOOD;
        let unread: Vec<Unread> = self.unread.extract_if(.., |value| value.step == step).collect();
        let vanishing = self.vanishing.extract_if(.., |value| value.step == step);
        // One copy for all of the step's counts, and one for its extremes. Only here the worker waits for the GPU.
        let (counts, kinds): (Vec<Tensor>, Vec<Carried>) =
            vanishing.map(|Vanishing { numbers, of, .. }| (numbers, of)).unzip();
        if !counts.is_empty() {
            let counts: Vec<i64> = Tensor::f_stack(&counts, 0)?.try_into()?;
            counts.into_iter().zip(kinds).for_each(|(numbers, of)| noted.vanished(numbers as u64, of));
        }
        let extremes: Vec<&Tensor> = unread.iter().flat_map(|value| &value.extremes).collect();
        if extremes.is_empty() {
            return Ok(noted);
        }
        let read: Vec<f64> = Tensor::f_stack(&extremes, 0)?.f_to_kind(tch::Kind::Double)?.try_into()?;
        for (value, read) in unread.iter().zip(read.chunks_exact(2)) {
            let largest = largest([read[0], read[1]]);
            match value.sent {
                None => noted.output(largest, value.wire),
                Some(of) => noted.sent(largest, of, value.wire),
            }
        }
        Ok(noted)
    }

    fn abandon(&mut self) {
        self.step = 0;
        self.unread.clear();
        self.vanishing.clear();
        self.actions.clear();
    }

    fn begin(&mut self, step: u64) -> Result<(), StageError> {
        self.step = step;
        self.actions.push((step, Action::begun(self.streams.mark()?)));
        Ok(())
    }

    fn end(&mut self) -> Result<(), StageError> {
        let ended = self.streams.mark()?;
        if let Some((_, action)) = self.actions.last_mut() {
            action.ended = Some(ended);
        }
        Ok(())
    }

    fn times(&mut self, step: u64) -> Result<Option<Vec<Computed>>, StageError> {
        let actions: Vec<_> = self.actions.extract_if(.., |(of, _)| *of == step).collect();
        let now = self.streams.mark()?;
        now.synchronize()?;
        let computed = |(_, action): &(u64, Action<S::Event>)| action.computed(&now);
        Ok(Some(actions.iter().map(computed).collect::<Result<_, _>>()?))
    }

    fn is_asynchronous(&self) -> bool {
        true
    }
}

/// A tensor of a message on its way to main memory.
struct Copy<E> {
    name: String,
    kind: Kind,
    shape: Vec<u64>,
    /// The bytes of the tensor, which have a shape of their own in a format of 8 bits.
    pinned: Tensor,
    copied: E,
    /// Held until the copy is done, so that no layer finds the tensor alone and writes into it while it is read.
    source: Tensor,
}

impl<E: Event> Pending for Vec<Copy<E>> {
    fn bytes(&self) -> u64 {
        self.iter().map(|copy| torch::byte_len(&copy.pinned) as u64).sum()
    }

    fn complete(self: Box<Self>) -> Result<Vec<(String, TensorData)>, StageError> {
        let complete = |Copy { name, kind, shape, pinned, copied, source }: Copy<E>| {
            copied.synchronize()?;
            drop(source);
            Ok((name, TensorData::new(kind, shape, vec![torch::lend(&pinned)?])?))
        };
        self.into_iter().map(complete).collect()
    }
}
