//! Weight mirror: noise goes through W, and B learns from the output.
//!
//! ```text
//! loss of B = −10⁻³ Σ mean(z∘y) + 10⁻³ Σ B²      (amp, decay), x being noise
//! ```
//!
//! For inputs with covariance Σ, B settles along WΣ, which points where W does only if Σ is isotropic. So the layer
//! draws its own noise and sends it through W in mirror steps, between the steps of the task or before them. In
//! mirror steps W, its momentum and the statistics of batch norms stand still; in the code of Kunin et al. they
//! move. `rule.input = "activation"` takes the layer's input instead of noise. The rule does not read W: y is W's
//! output for x.
//! Akrout, Wilson, Humphreys, Lillicrap and Tweed, "Deep Learning without Weight Transport", NeurIPS 2019;
//! coefficients of Kunin et al. 2020.

use super::{Form, Surroundings, mirror};
use proto::spec::rule::{Alignment, Coefficients, Primitive};

pub(super) fn form(around: Surroundings) -> Form {
    Form::Learned {
        task: false,
        coefficients: Coefficients::new(&[(Primitive::Amp, 1e-3), (Primitive::Decay, 1e-3)]),
        alignment: Alignment { mirror: Some(mirror(around)), ..Alignment::default() },
    }
}
