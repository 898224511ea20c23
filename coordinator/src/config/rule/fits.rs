//! Checks that a rule can learn as specified, with the optimizers and the minibatches of the run.

use proto::spec::rule::{Alignment, Centering, Coefficients, Mirror, Primitive, RuleSpec, Transfer};

use super::{Reader, is_usual};
use crate::config::ConfigError;
use crate::config::optimizer::Method;
use crate::rule::{Name, listed, matched_decay};

impl Reader<'_> {
    /// Refuses a rule that cannot do what its name or its keys promise.
    pub(super) fn check(&self, prefix: &str, rule: &RuleSpec) -> Result<(), ConfigError> {
        if let Some(product) = rule.product() {
            return self.check_alike(prefix, Name::ProductFeedbackAlignment, product.decay);
        }
        let RuleSpec::Learned { name, task, coefficients, alignment } = rule else { return Ok(()) };
        let fixed = Name::FeedbackAlignment;
        if !fixed.is(rule) && !task && coefficients.are_zero() {
            let why = format!(
                "is \"{name}\", which needs a coefficient other than 0 ({}) or task = true: a B that stays as it was drawn \
                 is \"{fixed}\"",
                listed(Primitive::ALL.into_iter(), "or")
            );
            return Err(self.refuse(&format!("{prefix}.name"), &why));
        }
        self.check_fed(prefix, *task, coefficients, alignment)?;
        match Name::KolenPollack.is(rule) {
            true => self.check_kolen_pollack(prefix, *task, coefficients),
            false => Ok(()),
        }
    }

    /// Refuses options without an effect, and mirror steps from which no primitive learns.
    fn check_fed(
        &self,
        prefix: &str,
        task: bool,
        c: &Coefficients,
        alignment: &Alignment,
    ) -> Result<(), ConfigError> {
        let refuse = |key: &str, why: &str| Err(self.refuse(&format!("{prefix}.{key}"), why));
        let Alignment { centering, transfer, per_position, update_noise, mirror, .. } = alignment;
        let fed = [
            ("input", mirror.is_some(), "is \"noise\""),
            ("centering", *centering != Centering::None, "says what is taken off x"),
            ("activation", *transfer != Transfer::Identity, "is put on y and z"),
            ("per_position", *per_position, "divides the sums over positions"),
        ];
        if !c.use_samples() {
            if let Some((key, _, what)) = fed.iter().find(|(_, set, _)| *set) {
                let learn = listed(Primitive::ALL.into_iter().filter(|one| one.uses_samples()), "and");
                let why = format!("{what}, of which only {learn} learn: give one of them a coefficient");
                return refuse(key, &why);
            }
            if *update_noise != 0.0 && !task && c.are_zero() {
                return refuse("update_noise", "is noise on the steps of B, which takes none: leave it out");
            }
        }
        let samples = mirror.map_or(self.smallest, |mirror| mirror.batch);
        if *centering == Centering::Batch && samples < 2 {
            return refuse(
                "centering",
                "is \"batch\", which leaves nothing of a single sample: set fewer 'pipeline.microbatches', or with \
                 noise a larger 'noise_batch'",
            );
        }
        mirror.map_or(Ok(()), |mirror| self.check_mirror(prefix, task, &mirror))
    }

    /// Refuses mirror steps that never happen, or that Adam cannot count.
    fn check_mirror(&self, prefix: &str, task: bool, mirror: &Mirror) -> Result<(), ConfigError> {
        if mirror.every == 0 && mirror.delay == 0 {
            let why = format!(
                "is 0, and so is '{prefix}.mirror_delay', so that B would never learn: set one of them"
            );
            return Err(self.refuse(&format!("{prefix}.mirror_every"), &why));
        }
        if self.b.name == Method::Adam && (mirror.every != 1 || mirror.delay > 0 || task) {
            let why = "is \"noise\", and Adam, which counts B's steps by those of W, needs one mirror step for each: \
                       set 'mirror_every' to 1, 'mirror_delay' to 0 and 'task' to false, or 'optimizer_b.name' to \"sgd\"";
            return Err(self.refuse(&format!("{prefix}.input"), why));
        }
        Ok(())
    }

    /// Checks that B follows W's task gradient and a decay, and nothing else.
    fn check_kolen_pollack(&self, prefix: &str, task: bool, c: &Coefficients) -> Result<(), ConfigError> {
        if let Some((key, value)) = c.terms().find(|(one, _)| *one != Primitive::Decay) {
            let why = format!(
                "is {value}, but kolen_pollack has no such term: leave it out, or call the rule \"custom\""
            );
            return Err(self.refuse(&format!("{prefix}.{key}"), &why));
        }
        if !task {
            return Err(self
                .refuse(&format!("{prefix}.task"), "is false, but kolen_pollack is the task gradient on B"));
        }
        self.check_alike(prefix, Name::KolenPollack, c.of(Primitive::Decay))
    }

    /// Checks the conditions under which ‖W − B‖, or ‖R − BᵀW‖, shrinks: both take the same steps, of the same gradient,
    /// with the same decay.
    fn check_alike(&self, prefix: &str, rule: Name, decay: f64) -> Result<(), ConfigError> {
        let matched = matched_decay(self.w.weight_decay);
        let (alike, follower) = match rule {
            Name::ProductFeedbackAlignment => ("R take the steps of BᵀW", "R"),
            _ => ("W and B take the same steps", "B"),
        };
        if (decay - matched).abs() > 1e-12 * matched {
            let why = format!(
                "is {decay}, but {rule} needs half of optimizer.weight_decay, {matched}: leave it out or set that"
            );
            return Err(self.refuse(&format!("{prefix}.decay"), &why));
        }
        let wrong = if self.w.name != Method::Sgd {
            "'optimizer.name' must be \"sgd\"".to_owned()
        } else if let Some(key) = self.w.difference(self.b) {
            format!("'optimizer_b.{key}' must be the same as 'optimizer.{key}'")
        } else if self.b.weight_decay != 0.0 {
            format!(
                "'optimizer_b.weight_decay' must be 0, not {}: the rule itself decays {follower}",
                self.b.weight_decay
            )
        } else if self.w.clip > 0.0 {
            format!(
                "'optimizer.clip' must be 0, not {}: the gradients of W and {follower} have norms of their own, and would be \
                 shortened by different factors",
                self.w.clip
            )
        } else if !is_usual(&self.course) {
            "'rule.schedule' and its keys must be left out: the decay follows that of W, whose course is \
             'optimizer.weight_decay_schedule'"
                .to_owned()
        } else {
            return Ok(());
        };
        let name = format!("{prefix}.name");
        Err(self.refuse(&name, &format!("is \"{rule}\", which lets {alike}: {wrong}")))
    }
}
