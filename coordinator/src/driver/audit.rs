//! The audit of a start of a run: the coordinator's own ledger, and the ledger of each node.

use proto::client::Node;
use proto::failure::{Failure, FailureKind};
use proto::ledger::{ControlMessage, Ledger, LinkLedger, MAX_REFUSALS};
use proto::link::Role;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long the counts of an empty pipeline may take to agree.
pub const SETTLING: Duration = Duration::from_secs(3);
/// The pause before the nodes are asked again.
const PAUSE: Duration = Duration::from_millis(50);
/// The least time that a node gets to answer. It is short, since after a failure the user waits for the reason
/// meanwhile.
const ANSWER: Duration = Duration::from_millis(500);

/// The means to audit one start of a run. They outlive the pipeline, since nodes keep their ledgers until the next
/// start.
#[derive(Clone)]
pub struct Audit {
    /// The run's name on the wire, and its start.
    pub(super) run: (String, u32),
    /// The account of both ends of the ring.
    pub(super) links: LinkLedger,
    /// The control planes of the nodes, stages first.
    pub(super) nodes: Vec<Node>,
    /// The most snapshots that a node held before the start.
    pub(super) held: usize,
}

/// The ledgers of one start of a run.
#[derive(Clone, Debug)]
pub struct Ledgers {
    /// The coordinator's own ledger.
    pub coordinator: Ledger,
    /// The ledger of each node by its role, stages first, or the reason why there is none.
    pub nodes: Vec<(Role, Result<Ledger, Failure>)>,
    /// The most snapshots that a node held before the start, which its description lists.
    pub held: usize,
}

impl Audit {
    /// The ledgers, once both ends of every connection count as many messages, or else after `settling`:
    /// [`SETTLING`] while the pipeline is open and empty, and nothing after a failure, when no message is under way.
    pub async fn ledgers(&self, settling: Duration) -> Ledgers {
        let (end, answer) = (Instant::now() + settling, settling.max(ANSWER));
        loop {
            let asking = self.nodes.iter().map(|node| async move {
                let late = |_| {
                    let (peer, seconds) = (node.peer(), answer.as_secs_f64());
                    let why = format!("{peer} did not show its ledger within {seconds} s");
                    Failure::new(FailureKind::Lost, why)
                };
                let ledger = timeout(answer, node.audit()).await.map_err(late).flatten();
                (node.peer().role, ledger)
            });
            let nodes = futures::future::join_all(asking).await;
            let ledgers = Ledgers { coordinator: self.own(), nodes, held: self.held };
            if ledgers.are_settled() || Instant::now() + PAUSE > end {
                return ledgers;
            }
            sleep(PAUSE).await;
        }
    }

    /// Notes that the coordinator refuses a report of the node at this place among all nodes, for the reason `why`.
    pub(super) fn refuse(&self, node: usize, why: &str) {
        self.nodes.get(node).iter().for_each(|node| node.refuse(why));
    }

    /// The coordinator's own ledger.
    fn own(&self) -> Ledger {
        let refusals = self.links.refusals().into_iter().chain(self.nodes.iter().flat_map(Node::refusals));
        Ledger {
            of: Role::Coordinator,
            run: self.run.0.clone(),
            incarnation: self.run.1,
            crossed: self.links.records(),
            consumed: Vec::new(),
            consumed_since: 0,
            control: self.nodes.iter().flat_map(Node::control_records).collect(),
            layers: Vec::new(),
            refusals: refusals.take(MAX_REFUSALS).collect(),
        }
    }
}

impl Ledgers {
    /// Whether both ends of every link and of every control plane count the same number of messages, or there is an end
    /// that nobody can ask any more.
    fn are_settled(&self) -> bool {
        let nodes = self.nodes.iter().map(|(_, ledger)| ledger.as_ref().ok()).collect::<Option<Vec<_>>>();
        let Some(nodes) = nodes else { return true };
        let (mut links, mut control) = (BTreeMap::new(), BTreeMap::new());
        for ledger in std::iter::once(&self.coordinator).chain(nodes) {
            for record in &ledger.crossed {
                links.entry(record.order()).or_insert_with(Vec::new).push(record.messages);
            }
            for record in ledger.control.iter().filter(|record| is_counted_by_both(record.message)) {
                let key = (record.from, record.to, record.message);
                control.entry(key).or_insert_with(Vec::new).push(record.messages);
            }
        }
        let agree = |counts: &Vec<u64>| matches!(counts[..], [one, other] if one == other);
        links.values().chain(control.values()).all(agree)
    }
}

/// Whether the node counts messages of this kind as well: a description or a ledger belongs to no start of a run.
fn is_counted_by_both(message: ControlMessage) -> bool {
    use ControlMessage::{Audit, Describe, Description, Ledger};
    !matches!(message, Describe | Description | Audit | Ledger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::ledger::{Chain, ControlRecord, LinkRecord};
    use proto::link::Carried;
    use proto::microbatch::Phase;

    fn ledger(of: Role, crossed: Vec<LinkRecord>, control: Vec<ControlRecord>) -> Ledger {
        Ledger {
            of,
            run: "run".into(),
            incarnation: 1,
            crossed,
            consumed: Vec::new(),
            consumed_since: 0,
            control,
            layers: Vec::new(),
            refusals: Vec::new(),
        }
    }

    #[test]
    fn counts_settle_once_both_ends_agree_or_an_end_is_gone() {
        let ends = [Role::Coordinator, Role::Stage(0)];
        let sent =
            |messages| LinkRecord { messages, ..LinkRecord::empty(ends, Carried::Activations, Phase::Train) };
        let told = |message, messages| {
            let [from, to] = ends;
            ControlRecord { from, to, message, messages, bytes: 0, largest: 0, chain: Chain::default() }
        };
        let own = |of, links, lanes| ledger(of, vec![sent(links)], vec![told(ControlMessage::Lane, lanes)]);
        let settled = |links, lanes| {
            let mut coordinator = own(ends[0], 5, 3);
            coordinator.control.push(told(ControlMessage::Audit, 9));
            Ledgers { coordinator, nodes: vec![(ends[1], Ok(own(ends[1], links, lanes)))], held: 0 }
                .are_settled()
        };
        assert!(settled(5, 3));
        assert!(!settled(4, 3) && !settled(5, 2));
        let coordinator = own(ends[0], 5, 3);
        let silent = vec![(ends[1], Ok(ledger(ends[1], Vec::new(), Vec::new())))];
        assert!(!Ledgers { coordinator: coordinator.clone(), nodes: silent, held: 0 }.are_settled());
        let gone = vec![(ends[1], Err(Failure::own("gone")))];
        assert!(Ledgers { coordinator, nodes: gone, held: 0 }.are_settled());
    }
}
