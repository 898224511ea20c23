//! The warning about error signals of which many numbers became 0 in the number format of the links.

use super::step::Step;
use crate::config::Config;
use proto::tensor::Kind;

/// The share of a stage's error signals in one step from which on a run is warned.
const SHARE: f64 = 0.01;

/// The warning about the stage that lost the largest share of its error signals in `step`, if it is a large one.
pub fn lost(step: &Step, config: &Config) -> Option<String> {
    // A loss scale helps f16 alone: the scales of blocks follow the error signals, and their small numbers become 0.
    if config.network.kind() != Kind::F16 {
        return None;
    }
    let share = |bytes: u64, lost: u64| if bytes == 0 { 0.0 } else { lost as f64 * 2.0 / bytes as f64 };
    let stages =
        step.stages.iter().map(|stage| (stage.stage, stage.bytes_backward, stage.underflow_backward));
    let halves = step.backward.iter().map(|half| (half.stage, half.bytes_split, half.underflow_split));
    let shares = stages.chain(halves).map(|(stage, bytes, lost)| (stage, share(bytes, lost)));
    let (stage, share) = shares.max_by(|one, other| one.1.total_cmp(&other.1))?;
    (share > SHARE).then(|| {
        format!(
            "{:.0} % of the error signals that stage {stage} sent in step {} became 0 in {}, the number format of the links: \
             raise train.loss_scale ({}) in a new run, or set network.wire to \"bf16\"; metrics.jsonl has the counts of \
             every step",
            100.0 * share, step.step, config.network.kind(), config.train.loss_scale
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

    fn step(lost: [u64; 3]) -> Step {
        let [first, second, half] = lost;
        let line = format!(
            r#"{{"step":7,"stages":[{{"stage":0,"bytes_backward":0,"underflow_backward":{first}}},
            {{"stage":1,"bytes_backward":2000,"underflow_backward":{second}}}],
            "backward":[{{"stage":1,"bytes_split":200,"underflow_split":{half}}}]}}"#
        );
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn a_large_share_is_told_with_its_stage_and_the_remedy() {
        let text = "network.wire = 'f16'\n[[layer]]\nkind = 'flatten'\n[[layer]]\nkind = 'linear'\nout = 10";
        let config = parse(text, "c.toml", &[], &Environment::empty()).unwrap();
        let said = |counts| lost(&step(counts), &config).unwrap_or_default();
        assert_eq!([said([0, 10, 1]), said([0; 3])], [""; 2]);
        let due = "12 % of the error signals that stage 1 sent in step 7 became 0 in f16, the number format of the \
                   links: raise train.loss_scale (1024) in a new run";
        assert!(said([0, 120, 0]).starts_with(due), "{}", said([0, 120, 0]));
        assert!(said([0, 0, 50]).starts_with("50 % of the error signals that stage 1 sent"));
    }
}
