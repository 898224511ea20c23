//! The stages whose backward nodes get certificates: those with layers whose W and B are on two hosts.

use std::collections::BTreeSet;
use std::str::FromStr;

/// The stages that have a backward node: `0,2,…`, or `all`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackwardOf {
    /// Every stage.
    All,
    /// These stages.
    Stages(BTreeSet<u32>),
}

impl Default for BackwardOf {
    /// No stage.
    fn default() -> Self {
        Self::Stages(BTreeSet::new())
    }
}

impl BackwardOf {
    /// The stages of `stages` that have a backward node, in order.
    ///
    /// # Errors
    /// A sentence, where there is no such stage.
    pub(super) fn among(&self, stages: u32) -> Result<BTreeSet<u32>, String> {
        let Self::Stages(named) = self else { return Ok((0..stages).collect()) };
        match named.last() {
            Some(stage) if *stage >= stages => Err(format!(
                "--backward names stage {stage}, and the last stage is {}",
                stages.saturating_sub(1)
            )),
            _ => Ok(named.clone()),
        }
    }
}

impl FromStr for BackwardOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let number = |stage: &str| {
            stage.parse().map_err(|_| format!("'{stage}' is no stage's number: give 0,2,… or all"))
        };
        text.split(',').map(number).collect::<Result<_, _>>().map(Self::Stages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_named_by_number_or_all_together() {
        let among = |text: &str| {
            let stages = text.parse::<BackwardOf>().and_then(|backward| backward.among(3))?;
            Ok::<_, String>(stages.into_iter().collect::<Vec<_>>())
        };
        assert_eq!(among("all"), Ok(vec![0, 1, 2]));
        assert_eq!(among("2,0"), Ok(vec![0, 2]));
        assert_eq!(among("1,3"), Err("--backward names stage 3, and the last stage is 2".into()));
        for strange in ["", "1,", "-1", "a", "All", "0-2"] {
            let said = among(strange).unwrap_err();
            assert!(said.contains("is no stage's number"), "{strange}: {said}");
        }
        assert_eq!(BackwardOf::default().among(3), Ok(BTreeSet::new()));
    }
}
