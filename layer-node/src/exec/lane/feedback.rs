//! Error feedback: what rounding took from an error signal is added to the next microbatch's.
//!
//! ```text
//! c(m) = e(m) + r(m − 1)      the error signal of microbatch m, with the residual of the one before it
//! sent   round(c(m))
//! r(m) = c(m) − round(c(m))   in f32, for each sample's place in its microbatch; r(−1) = 0 in every step
//! ```
//!
//! The residual belongs to other samples than those to which it is added. The sum of a value's error over the
//! microbatches of a step keeps all but the last residual, and so do the gradients as far as activations are alike from
//! sample to sample, as those of a bias are. No residual outlasts a step, so a snapshot needs none. An evaluation has no
//! error signals. Activations get no feedback: a residual in them would change what a sample is.

use crate::exec::device::int8;
use crate::stage::Values;
use crate::torch;
use proto::microbatch::MicrobatchId;
use proto::spec::layout::Layout;
use proto::spec::stage::StageSpec;
use proto::tensor::{Block, Kind};
use std::collections::HashMap;
use tch::{TchError, Tensor};

/// The residuals of the open step.
pub struct Feedback {
    block: Block,
    /// The memory order of the error signals on the link, which decides what their blocks are.
    layout: Layout,
    residuals: HashMap<String, Tensor>,
}

impl Feedback {
    /// The feedback of the stage `spec`; `None` where it has none.
    pub fn of(spec: &StageSpec) -> Option<Self> {
        match spec.wire {
            Kind::Int8(block) if spec.error_feedback => {
                Some(Self { block, layout: spec.layout, residuals: HashMap::new() })
            }
            _ => None,
        }
    }

    /// The error signals of `m` with the residuals of the microbatch before it, in f32. The residuals of samples that
    /// `m` does not have are dropped.
    ///
    /// # Errors
    /// When memory or device fail.
    pub fn correct(&mut self, m: MicrobatchId, errors: Values) -> Result<Values, TchError> {
        if m.index == 0 {
            self.residuals.clear();
        }
        let correct = |(name, error): (String, Tensor)| {
            let corrected = match self.residuals.get(&name) {
                Some(residual) => sum(&error, residual)?,
                None => error.f_to_kind(tch::Kind::Float)?,
            };
            let residual = corrected.f_sub(&int8::as_received(&corrected, self.block, self.layout)?)?;
            self.residuals.insert(name.clone(), residual);
            Ok((name, corrected))
        };
        errors.into_iter().map(correct).collect()
    }
}

/// The sum of `error` and `residual` over the samples that both have, and `error` for the others. The sum is made in new
/// memory: a stage may hand on the error that it received, and the bytes of a message are never written.
fn sum(error: &Tensor, residual: &Tensor) -> Result<Tensor, TchError> {
    let samples = error.size()[0].min(residual.size()[0]);
    let sum = torch::copy(&error.f_to_kind(tch::Kind::Float)?)?;
    torch::add_scaled(&mut sum.f_narrow(0, 0, samples)?, &residual.f_narrow(0, 0, samples)?, 1.0)?;
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::link::Carried;
    use proto::spec::precision::Precision;
    use proto::tensor::Receiving;

    #[test]
    fn the_sum_over_a_steps_microbatches_keeps_all_but_the_last_residual() {
        tch::manual_seed(1);
        let inputs = vec![proto::spec::graph::Value { name: "x".into(), shape: vec![40] }];
        let layer = proto::spec::graph::LayerSpec::new("y", &["x"], proto::spec::graph::Op::Relu);
        let spec = StageSpec { wire: Kind::Int8(Block::Of32), ..StageSpec::alone(vec![layer], inputs) };
        assert!(Feedback::of(&spec).is_none());
        let mut feedback = Feedback::of(&StageSpec { error_feedback: true, ..spec }).unwrap();
        let options = (tch::Kind::Float, tch::Device::Cpu);
        let mut step = |step: u64, errors: &[Tensor]| {
            let send = |(index, error): (u32, &Tensor)| {
                let values = vec![("x".to_owned(), error.shallow_clone())];
                let corrected = feedback.correct(MicrobatchId { step, index }, values).unwrap().remove(0).1;
                int8::as_received(&corrected, Block::Of32, Layout::default()).unwrap()
            };
            (0..).zip(errors).map(send).collect::<Vec<_>>()
        };
        let errors: Vec<Tensor> = [3, 3, 2].map(|samples| Tensor::randn([samples, 40], options)).into();
        let sent = step(1, &errors);
        assert_eq!(sent[0], int8::as_received(&errors[0], Block::Of32, Layout::default()).unwrap());
        let total = |values: &[Tensor]| {
            values.iter().fold(Tensor::zeros([2, 40], options), |sum, value| sum + value.narrow(0, 0, 2))
        };
        let off = (total(&sent) - total(&errors)).abs().max().double_value(&[]);
        let largest = errors.iter().map(|error| error.abs().max().double_value(&[])).fold(0.0, f64::max);
        assert!(off <= 0.51 * largest / 127.0, "{off} of {largest}");
        assert_eq!(step(2, &errors), sent, "a step begins without residuals");
    }

    /// The residual is that of the blocks which cross the link. The error signal lies in the bytes of a message, as one
    /// does that a stage hands on, and those stay as they were.
    #[test]
    fn a_residual_is_what_the_link_took_and_no_message_is_written() {
        tch::manual_seed(3);
        let inputs = vec![proto::spec::graph::Value { name: "x".into(), shape: vec![3, 5, 5] }];
        let layer = proto::spec::graph::LayerSpec::new("y", &["x"], proto::spec::graph::Op::Relu);
        let options = (tch::Kind::Float, tch::Device::Cpu);
        for layout in [Layout::ChannelsLast, Layout::RowMajor] {
            let spec = StageSpec {
                wire: Kind::Int8(Block::Of32),
                error_feedback: true,
                layout,
                ..StageSpec::alone(vec![layer.clone()], inputs.clone())
            };
            let mut device = crate::exec::device::open(tch::Device::Cpu).unwrap();
            device.compute_in(Precision::F32, layout).unwrap();
            let mut feedback = Feedback::of(&spec).unwrap();
            let numbers = Tensor::randn([2, 3, 5, 5], options);
            let mut bytes = Receiving::new(4 * numbers.numel());
            let along = Vec::<f32>::try_from(numbers.reshape([-1])).unwrap();
            along.iter().for_each(|number| bytes.extend(&number.to_le_bytes()));
            let data = bytes.into_tensor(Kind::F32, vec![2, 3, 5, 5]).unwrap();
            let before = data.clone().into_bytes().to_vec();
            let mut corrected = Vec::new();
            for index in 0..2 {
                let error = device.upload(&[("x".into(), data.clone())]).unwrap();
                assert_eq!(
                    error[0].1.data_ptr() as *const u8,
                    data.pieces()[0].as_ptr(),
                    "the bytes are shared"
                );
                corrected.push(feedback.correct(MicrobatchId { step: 1, index }, error).unwrap().remove(0).1);
            }
            let first = vec![("x".to_owned(), corrected[0].shallow_clone())];
            let sent = device.download(first, Carried::ErrorSignals, spec.wire).unwrap().complete().unwrap();
            let received = device.upload(&sent).unwrap().remove(0).1;
            assert_eq!(corrected[1], &corrected[0] + (&corrected[0] - received), "{layout}");
            assert_eq!(data.into_bytes(), before);
        }
    }
}
