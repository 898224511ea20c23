//! `ledger.json`: the ledgers of a run's starts, each as the coordinator and its nodes counted it.

use crate::driver::Ledgers;
use crate::run_error::RunError;
use proto::ledger::{ControlRecord, Ledger, LinkRecord};
use proto::link::{Carried, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The starts that the file keeps, the newest ones.
const STARTS: usize = 100;

/// The whole file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Starts {
    starts: Vec<Value>,
}

/// One start of a run.
#[derive(Debug, Serialize)]
struct Start<'a> {
    incarnation: u32,
    /// The messages that crossed the links.
    links: Vec<Counted<'a, LinkRecord>>,
    /// The messages that training consumed, over all starts.
    consumed: Vec<Counted<'a, LinkRecord>>,
    /// The update after which they begin.
    consumed_since: u64,
    /// The messages of the control planes.
    control: Vec<Counted<'a, ControlRecord>>,
    layers: Vec<Layer<'a>>,
    refusals: Vec<Refused<'a>>,
    /// The reasons why a node's ledger is missing.
    missing: Vec<String>,
}

/// A record, and the processes that counted it so.
#[derive(Debug, Serialize)]
struct Counted<'a, R: Serialize> {
    #[serde(flatten)]
    record: &'a R,
    counted_by: Vec<Role>,
}

/// The values that the rule of a layer read.
#[derive(Debug, Serialize)]
struct Layer<'a> {
    stage: Role,
    name: &'a str,
    read: Vec<&'static str>,
}

/// A message that was refused.
#[derive(Debug, Serialize)]
struct Refused<'a> {
    by: Role,
    from: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    sentence: &'a str,
}

impl Starts {
    /// The starts in the file at `path`. A file that is missing or damaged has none: no run depends on it.
    pub fn read(path: &Path) -> Self {
        let text = fs::read(path).ok();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Adds the start with these ledgers.
    ///
    /// # Errors
    /// No error in practice: every ledger has a form in JSON.
    pub fn add(&mut self, ledgers: &Ledgers) -> Result<(), RunError> {
        let start = serde_json::to_value(Start::of(ledgers)).map_err(RunError::internal)?;
        self.starts.push(start);
        let old = self.starts.len().saturating_sub(STARTS);
        self.starts.drain(..old);
        Ok(())
    }
}

impl<'a> Start<'a> {
    fn of(ledgers: &'a Ledgers) -> Self {
        let nodes = ledgers.nodes.iter().filter_map(|(_, ledger)| ledger.as_ref().ok());
        let all: Vec<&Ledger> = std::iter::once(&ledgers.coordinator).chain(nodes).collect();
        let since = all.iter().map(|ledger| ledger.consumed_since).max();
        let missing = ledgers.nodes.iter().filter_map(|(_, ledger)| ledger.as_ref().err());
        Self {
            incarnation: ledgers.coordinator.incarnation,
            links: counted(&all, |ledger| &ledger.crossed, LinkRecord::order),
            consumed: counted(&all, |ledger| &ledger.consumed, LinkRecord::order),
            consumed_since: since.unwrap_or_default(),
            control: counted(
                &all,
                |ledger| &ledger.control,
                |record| (record.from, record.to, record.message),
            ),
            layers: all.iter().flat_map(|ledger| layers(ledger)).collect(),
            refusals: all.iter().flat_map(|ledger| refusals(ledger)).collect(),
            missing: missing.map(ToString::to_string).collect(),
        }
    }
}

/// The records of all ledgers in the order of their keys. A record that several processes have alike is there once.
fn counted<'a, R: Serialize + PartialEq, K: Ord>(
    ledgers: &[&'a Ledger],
    records: impl Fn(&'a Ledger) -> &'a Vec<R>,
    key: impl Fn(&R) -> K,
) -> Vec<Counted<'a, R>> {
    let mut all: Vec<Counted<'a, R>> = Vec::new();
    for ledger in ledgers {
        for record in records(ledger) {
            match all.iter_mut().find(|known| known.record == record) {
                Some(known) => known.counted_by.push(ledger.of),
                None => all.push(Counted { record, counted_by: vec![ledger.of] }),
            }
        }
    }
    all.sort_by_key(|counted| key(counted.record));
    all
}

fn layers(ledger: &Ledger) -> impl Iterator<Item = Layer<'_>> {
    let layers = ledger.layers.iter();
    layers.map(|layer| Layer { stage: ledger.of, name: &layer.layer, read: layer.read.names() })
}

fn refusals(ledger: &Ledger) -> impl Iterator<Item = Refused<'_>> {
    ledger.refusals.iter().map(|refusal| Refused {
        by: ledger.of,
        from: refusal.from,
        kind: refusal.carried.map(|carried| match carried {
            Carried::Activations => "activation",
            Carried::ErrorSignals => "error_signal",
            Carried::LayerValues => "layer_values",
        }),
        sentence: &refusal.sentence,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::failure::{Failure, FailureKind};
    use proto::ledger::{Chain, ControlMessage, LayerReads, Refusal};
    use proto::microbatch::Phase;
    use proto::spec::graph::Value as Shaped;
    use proto::spec::reads::Reads;
    use proto::tensor::Kind;

    #[test]
    fn every_field_is_documented() {
        let ends = [Role::Coordinator, Role::Stage(0)];
        let link = LinkRecord::empty(ends, Carried::Activations, Phase::Train);
        let link = link.of(1, vec![Shaped { name: "input".into(), shape: vec![1] }], Kind::F32);
        let control = ControlRecord {
            from: ends[0],
            to: ends[1],
            message: ControlMessage::Describe,
            messages: 1,
            bytes: 1,
            largest: 1,
            chain: Chain::default(),
        };
        let refusal = Refusal { from: ends[1], carried: Some(Carried::Activations), sentence: "why".into() };
        let coordinator = Ledger {
            of: ends[0],
            run: "run".into(),
            incarnation: 1,
            crossed: vec![link.clone()],
            consumed: vec![link],
            consumed_since: 0,
            control: vec![control],
            layers: vec![LayerReads { layer: "fc".into(), read: Reads { x: true, ..Reads::default() } }],
            refusals: vec![refusal],
        };
        let lost = Err(Failure::new(FailureKind::Lost, "it is gone"));
        let mut starts = Starts::default();
        starts.add(&Ledgers { coordinator, nodes: vec![(ends[1], lost)], held: 0 }).unwrap();
        crate::documented::holds("ledger.json", &[serde_json::json!(starts)]);
    }
}
