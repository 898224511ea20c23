//! `coordinator bench`: the speed of each kind of layer on every node, and of every link between neighbours.
//!
//! All nodes together are a chain of stages that each have the same single layer. A step has one microbatch, so one node
//! computes at a time, and every node's report has the times of its own F, E and G by its own clock:
//!
//! ```text
//! stage k      F ends ├──────────── round trip ────────────┤ E starts
//! stage k+1               F starts ├── inner time ──┤ E ends
//! ```
//!
//! The difference of the two times is that of the link between k and k+1, whatever the clocks of both hosts say. A chain
//! of long messages and a chain of short ones then give the link's rate.

mod layers;

use super::signals;
use crate::config::Config;
use crate::driver::{Chain, FailureCollector, NodeAddress, Part, chain, forget};
use crate::model::Network;
use crate::model::profile::{LayerProfile, Profile};
use crate::node::{self, Nodes, Rooms, temporary};
use crate::partition::{Figures, LinkFigures, NodeFigures};
use crate::pipeline::{Schedule, Shape, lane};
use crate::prepare::{Placement, cut, roles};
use crate::record::RunIdentity;
use crate::run_error::{Cause, RunError};
use futures::future::join_all;
use layers::{LONG, Probe, SHORT};
use proto::control::{Description, Span, StepDone};
use proto::lane::{Action, Lane};
use proto::link::{Peer, Role};
use proto::spec::graph::Value;
use proto::spec::stage::StageSpec;
use proto::spec::transport::Carriage;
use proto::transport::address::path_of;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Steps that do not count, because memory, caches and connections are cold.
const WARM_UP: u64 = 2;
/// Steps that count.
const STEPS: u64 = 7;
/// The longest waits for a node that is to forget the measurement: it was there a moment ago.
const FORGETTING: Duration = Duration::from_secs(5);
/// Bytes that are copied at once, more than caches hold.
const COPIED: usize = 64 << 20;
/// How often they are copied.
const COPIES: usize = 5;

/// Measures the nodes at `placement`, which are those of a run of `config`, and their links.
///
/// No weight crosses a link: every layer is drawn by its node. A node that works for a run refuses, and so does a node
/// that is pinned to a stage. Nodes end without a snapshot of the measurement; the snapshots of a run
/// before it wait in their folder `previous`, where an evaluation and `--resume` find them.
///
/// # Errors
/// The node that refused, was lost or fell silent; or an interrupt.
pub async fn gauge(config: &Config, network: &Network, placement: &Placement) -> Result<Figures, RunError> {
    let stop = signals::listen(signals::GIVING_UP)?;
    let folder = temporary("bench")?;
    let ranges = cut(config, network)?;
    let mut roles = roles(network, &ranges);
    // Only the nodes of stages have links to neighbours.
    roles.retain(|role| matches!(role, Role::Stage(_)));
    placement.check(&roles)?;
    placement.check_transport(config.network.transport)?;
    let (failures, rooms) = (FailureCollector::default(), Rooms::within(folder.path()));
    let finding = Nodes::find(placement, &roles, &config.node, &rooms, &failures);
    let nodes = signals::or_stopped(&stop, finding).await?;
    let gauge = Gauge {
        config,
        network,
        placement,
        addresses: &nodes.addresses()[..roles.len()],
        run: RunIdentity::draw()?.id,
        failures: &failures,
        stop,
    };
    let figures = match gauge.descriptions(&roles).await {
        Ok(found) => {
            let figures = gauge.measure(found).await;
            gauge.forget().await;
            figures
        }
        Err(failure) => Err(failure),
    };
    let has_logs = matches!(nodes, Nodes::Local(_));
    nodes.stop().await;
    if has_logs && matches!(&figures, Err(failure) if failure.cause.is_of_a_node()) {
        let _ = folder.keep();
    }
    figures
}

/// A measurement of one pipeline.
struct Gauge<'a> {
    config: &'a Config,
    network: &'a Network,
    placement: &'a Placement,
    addresses: &'a [NodeAddress],
    /// The run's name on the wire.
    run: String,
    failures: &'a FailureCollector,
    stop: CancellationToken,
}

impl Gauge<'_> {
    async fn measure(&self, descriptions: Vec<Description>) -> Result<Figures, RunError> {
        let node = |(address, found): (&NodeAddress, Description)| NodeFigures {
            address: address.control.clone(),
            device: found.device,
            threads: found.threads,
            macs_per_second: Default::default(),
            bytes_per_second: Default::default(),
        };
        let mut nodes: Vec<NodeFigures> = self.addresses.iter().zip(descriptions).map(node).collect();
        for probe in Probe::of(self.network)? {
            tracing::info!(layers = probe.kind, nodes = nodes.len(), "measuring");
            let reports = self.probe(&probe).await?;
            for (node, reports) in nodes.iter_mut().zip(&reports) {
                probe.note(node, self.config.node.precision, seconds(&reports[WARM_UP as usize..]));
            }
        }
        let links = self.links().await?;
        let formats = [self.config.node.precision.to_string(), self.config.network.kind().to_string()];
        Ok(Figures::new(formats, copy_rate(), nodes, links))
    }

    /// The nodes' descriptions; a node under a run is named before any of them is touched.
    async fn descriptions(&self, roles: &[Role]) -> Result<Vec<Description>, RunError> {
        let peers = roles.iter().zip(self.addresses);
        let peers: Vec<Peer> = peers.map(|(role, node)| Peer::of(*role).at(&node.control)).collect();
        let found = node::wait_for(&self.placement.security(), &peers, self.connect_deadline()).await?;
        match peers.iter().zip(&found).find_map(|(peer, node)| Some((peer, node.run.as_ref()?))) {
            Some((peer, run)) => Err(RunError::node(format!(
                "{peer} works for run {run}, and a measurement would disturb it: wait for its end"
            ))),
            None => Ok(found),
        }
    }

    /// The links between neighbours.
    async fn links(&self) -> Result<Vec<LinkFigures>, RunError> {
        if self.addresses.len() < 2 {
            return Ok(Vec::new());
        }
        tracing::info!(links = self.addresses.len() - 1, "measuring");
        let long = self.probe(&Probe::message(LONG)).await?;
        let short = self.probe(&Probe::message(SHORT)).await?;
        let bytes = self.config.network.kind().bytes(LONG - SHORT) as f64;
        let [long, short] = [long, short].map(|reports| trips(&reports));
        let link = |(below, (long, short)): (u32, (f64, f64))| LinkFigures {
            from: below,
            to: below + 1,
            transport: self.carriage(&self.addresses[below as usize + 1]).into(),
            // Both directions carry the message, and the short one has told what each message costs.
            bytes_per_second: 2.0 * bytes / (long - short).max(1e-9),
            round_trip_seconds: short.max(0.0),
        };
        Ok((0..).zip(long.into_iter().zip(short)).map(link).collect())
    }

    /// The carriage of the link that a node opens to the node `above` it.
    fn carriage(&self, above: &NodeAddress) -> &'static str {
        let is_local = path_of(&above.control).is_some();
        match self.config.network.transport.carriage(&above.control, is_local) {
            Ok(Carriage::SharedMemory) => "shared memory",
            _ if self.placement.security().identity().is_some() => "gRPC over TLS",
            _ => "gRPC",
        }
    }

    /// The reports of all stages of the chain in which every node has the layer of `probe`.
    async fn probe(&self, probe: &Probe) -> Result<Vec<Vec<StepDone>>, RunError> {
        let (specs, lane) = (self.stages(probe), one_microbatch()?);
        let of = self.chain(&specs, &lane, probe.samples);
        self.unless_stopped(chain(&of, self.failures)).await
    }

    /// Makes each node that can still be reached forget the updates of the measurement, also after a failure or an
    /// interrupt. The states of local nodes go with their folder.
    async fn forget(&self) {
        let (Placement::Remote { .. }, Ok(lane)) = (self.placement, one_microbatch()) else { return };
        let probe = Probe::message(SHORT);
        let alone = StageSpec { stages: 1, ..self.stage(&probe, 0) };
        let forgetting = self.addresses.iter().map(async |node| {
            let parts = vec![Part { spec: &alone, lane: &lane, node }];
            let all = self.chain(&[], &lane, probe.samples);
            let connect_deadline = FORGETTING.min(all.connect_deadline);
            let message_deadline = FORGETTING.min(all.message_deadline);
            let of = Chain { parts, connect_deadline, message_deadline, ..all };
            if let Err(failure) = forget(&of, &FailureCollector::default()).await {
                tracing::warn!(
                    node = node.control,
                    "the node may keep the state of the measurement: {failure}"
                );
            }
        });
        join_all(forgetting).await;
    }

    fn connect_deadline(&self) -> Duration {
        Duration::from_secs_f64(self.config.network.connect_deadline)
    }

    /// The chain of all nodes as these stages.
    fn chain<'b>(&'b self, specs: &'b [StageSpec], lane: &'b Lane, minibatch: u32) -> Chain<'b> {
        let network = &self.config.network;
        Chain {
            parts: specs.iter().zip(self.addresses).map(|(spec, node)| Part { spec, lane, node }).collect(),
            security: self.placement.security(),
            minibatch,
            steps: WARM_UP + STEPS,
            connect_deadline: self.connect_deadline(),
            message_deadline: Duration::from_secs_f64(network.message_deadline),
        }
    }

    /// The result of `work`, unless an interrupt comes first.
    async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, RunError>>,
    ) -> Result<T, RunError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {
                Err(RunError::new(Cause::Interrupted, "the measurement was interrupted"))
            }
            done = work => done,
        }
    }

    /// The stages of the nodes.
    fn stages(&self, probe: &Probe) -> Vec<StageSpec> {
        (0..self.addresses.len()).map(|at| self.stage(probe, at)).collect()
    }

    /// The stage of the node at a place in the chain: the layer takes the value of the one below.
    fn stage(&self, probe: &Probe, at: usize) -> StageSpec {
        let config = self.config;
        let input = Value { name: format!("value{at}"), shape: probe.shape.clone() };
        let layer = probe.layer(&format!("value{}", at + 1), &input.name);
        StageSpec {
            run: self.run.clone(),
            index: at as u32,
            stages: self.addresses.len() as u32,
            seed: config.seed,
            max_microbatch: probe.samples,
            wire: config.network.kind(),
            error_feedback: config.network.error_feedback,
            precision: config.node.precision,
            layout: config.node.layout,
            transport: config.network.transport,
            deterministic: config.node.deterministic,
            ..StageSpec::alone(vec![layer], vec![input])
        }
    }
}

/// The lane of a step with one microbatch: F E G U.
fn one_microbatch() -> Result<Lane, RunError> {
    let shape = Shape::new(1, 1, 1).map_err(RunError::configuration)?;
    Ok(lane(Schedule::Gpipe, 0, shape))
}

/// The span of an action in a report.
fn span(step: &StepDone, of: fn(&Action) -> bool) -> Option<&Span> {
    step.spans.iter().find(|span| of(&span.action))
}

/// The median of F, E and G together, in seconds of one step.
fn seconds(steps: &[StepDone]) -> f64 {
    let of = |step: &StepDone| {
        let works = |span: &&Span| !matches!(span.action, Action::Update(_));
        let nanoseconds = |span: &Span| span.end_ns.saturating_sub(span.start_ns);
        step.spans.iter().filter(works).map(nanoseconds).sum::<u64>() as f64 / 1e9
    };
    median(steps.iter().map(of).collect())
}

/// The median round trip of each link, without the computing above it, in seconds.
fn trips(reports: &[Vec<StepDone>]) -> Vec<f64> {
    let pair = |pair: &[Vec<StepDone>]| {
        let [below, above] = pair else { return 0.0 };
        let trip = |(below, above): (&StepDone, &StepDone)| {
            let [sent, answered] = [span(below, is_forward)?.end_ns, span(below, is_error)?.start_ns];
            let [came, left] = [span(above, is_forward)?.start_ns, span(above, is_error)?.end_ns];
            Some((answered as f64 - sent as f64 - (left as f64 - came as f64)) / 1e9)
        };
        let counted = below.iter().zip(above).skip(WARM_UP as usize);
        median(counted.filter_map(trip).collect())
    };
    reports.windows(2).map(pair).collect()
}

fn is_forward(action: &Action) -> bool {
    matches!(action, Action::Forward(_))
}

fn is_error(action: &Action) -> bool {
    matches!(action, Action::Error(_))
}

/// The middle number; 0 of none.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(0.0)
}

/// Bytes per second that this host copies from memory to memory.
fn copy_rate() -> f64 {
    let (from, mut to) = (vec![1u8; COPIED], vec![0u8; COPIED]);
    let copy = |_| {
        let begun = Instant::now();
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&mut to);
        begun.elapsed().as_secs_f64()
    };
    COPIED as f64 / median((0..COPIES).map(copy).collect()).max(1e-9)
}

/// The needs of the layer of a probe, in the middle of a chain.
fn profile(probe: &Probe, precision: proto::spec::precision::Precision) -> Option<LayerProfile> {
    let input = Value { name: proto::spec::graph::INPUT.into(), shape: probe.shape.clone() };
    let layers = vec![probe.layer("value0", &input.name)];
    let network = Network { input, layers, blocks: vec![0] };
    Profile::new(&network, precision).ok()?.layers().first().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::microbatch::{MicrobatchId, Phase};

    #[test]
    fn a_round_trip_does_not_depend_on_the_clocks_of_two_hosts() {
        let step = |clock: u64, forward: [u64; 2], error: [u64; 2]| {
            let m = MicrobatchId { step: 1, index: 0 };
            let at = |milliseconds: u64| clock + milliseconds * 1_000_000;
            let span = |action, [start, end]: [u64; 2]| Span::of(action, at(start), at(end));
            let spans = vec![span(Action::Forward(m), forward), span(Action::Error(m), error)];
            StepDone { spans, ..StepDone::nothing(Phase::Train) }
        };
        let below = vec![step(5_000_000_000, [0, 2], [20, 21]); 9];
        let above = vec![step(77, [4, 5], [9, 13]); 9];
        let trip = trips(&[below.clone(), above])[0];
        assert!((trip - 0.009).abs() < 1e-9, "{trip}");
        assert!((seconds(&below) - 0.003).abs() < 1e-9);
    }
}
