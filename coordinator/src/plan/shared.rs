//! The prediction of a run whose nodes share the cores of one host, as the nodes of `train --local` do.

use super::{Plan, PlanError, costs, pace_of};
use crate::model::Network;
use crate::partition::Estimator;
use crate::pipeline::timing::Costs;
use serde::Serialize;
use std::ops::Range;

/// The pace of nodes on one host. It does not include the cores' work for links and copies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shared {
    /// The cores that the nodes share.
    pub cores: usize,
    /// Seconds of one step among consecutive steps.
    pub step_seconds: f64,
    /// Images per second.
    pub images_per_s: f64,
}

impl Plan {
    /// The plan with the pace of its nodes on one host of `cores`, each with `threads` threads.
    ///
    /// # Errors
    /// As [`super::plan`].
    pub fn sharing(
        self,
        network: &Network,
        ranges: &[Range<usize>],
        estimator: &Estimator,
        (cores, threads): (usize, u32),
    ) -> Result<Self, PlanError> {
        let at_once = Some((cores / threads.max(1) as usize).max(1));
        let costs = Costs { at_once, ..costs(network, ranges, estimator) };
        let step_seconds = pace_of(estimator.workload(), ranges.len(), &costs)?.step;
        let images_per_s = f64::from(self.batch) / step_seconds;
        Ok(Self { here: Some(Shared { cores, step_seconds, images_per_s }), ..self })
    }
}
