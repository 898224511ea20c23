//! A family of metrics: one per set of labels, shown in the order of the labels.
//!
//! The crate's own family is a hash map, whose series change places from process to process.

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

/// Metrics `M` by their labels `L`; clones share them.
#[derive(Debug)]
pub struct Family<L, M>(Arc<Mutex<BTreeMap<L, M>>>);

impl<L, M> Clone for Family<L, M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<L, M> Default for Family<L, M> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<L: Ord, M> Family<L, M> {
    fn hold(&self) -> MutexGuard<'_, BTreeMap<L, M>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The metric with these labels; a new one begins at its default. The handle shares the metric's value.
    pub fn of(&self, labels: &L) -> M
    where
        L: Clone,
        M: Clone + Default,
    {
        let mut all = self.hold();
        if let Some(known) = all.get(labels) {
            return known.clone();
        }
        all.entry(labels.clone()).or_default().clone()
    }

    /// Removes the metric with these labels, if there is one.
    pub fn remove(&self, labels: &L) {
        self.hold().remove(labels);
    }
}

impl<L: Ord + EncodeLabelSet, M: EncodeMetric + TypedMetric> EncodeMetric for Family<L, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        self.hold().iter().try_for_each(|(labels, metric)| metric.encode(encoder.encode_family(labels)?))
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }

    fn is_empty(&self) -> bool {
        self.hold().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::registry::Registry;

    #[test]
    fn the_series_have_one_order_however_they_came() {
        let shown = |order: &[&'static str]| {
            let family = Family::<Vec<(&str, &str)>, Counter>::default();
            order.iter().for_each(|layer| _ = family.of(&vec![("layer", layer)]).inc());
            family.of(&vec![("layer", "b")]).inc();
            family.remove(&vec![("layer", "c")]);
            let (mut registry, mut text) = (Registry::default(), String::new());
            registry.register("seen", "Seen", family);
            encode(&mut text, &registry).unwrap();
            text
        };
        let lines = "seen_total{layer=\"a\"} 1\nseen_total{layer=\"b\"} 2\nseen_total{layer=\"d\"} 1\n";
        let due = format!("# HELP seen Seen.\n# TYPE seen counter\n{lines}# EOF\n");
        for order in [["a", "b", "c", "d"], ["d", "c", "b", "a"], ["b", "d", "a", "c"]] {
            assert_eq!(shown(&order), due);
        }
    }
}
