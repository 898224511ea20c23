//! The counters of a node, for its metrics port.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use proto::control::StepDone;
use proto::host::{Memory, resident};
use proto::link::{Carried, Observer};
use proto::metrics::Family;
use proto::microbatch::{Message, Phase};
use proto::transport::admission::Refused;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// A sum of seconds.
type Seconds = Counter<f64, AtomicU64>;

/// The counters of a node; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    steps: Family<OfPhase, Counter>,
    compute: Family<OfPhase, Seconds>,
    wait: Family<OfPhase, Seconds>,
    send: Family<OfPhase, Seconds>,
    sent: Family<OfTraffic, Counter>,
    received: Family<OfTraffic, Counter>,
    refused_connections: Family<OfPlane, Counter>,
    refused_handshakes: Family<OfPlane, Counter>,
    /// Refused links: they named no run, another run, or an end that is taken.
    pub refused_links: Counter,
    /// Refused messages: neighbours sent them against the link's contract.
    refused_messages: Counter,
    /// 1 while a run is under way.
    pub busy: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct OfPhase {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct OfTraffic {
    phase: &'static str,
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct OfPlane {
    plane: &'static str,
}

impl Meters {
    /// Counts a finished step.
    pub fn step(&self, done: &StepDone) {
        let phase = name(done.phase);
        let of = OfPhase { phase };
        self.steps.of(&of).inc();
        self.compute.of(&of).inc_by(done.compute.as_secs_f64());
        self.wait.of(&of).inc_by(done.wait.as_secs_f64());
        self.send.of(&of).inc_by(done.send.as_secs_f64());
    }

    /// Counts what the port of `plane` refuses.
    pub fn refused(&self, plane: &'static str) -> Refused {
        let of = OfPlane { plane };
        Refused { connections: self.refused_connections.of(&of), handshakes: self.refused_handshakes.of(&of) }
    }

    /// All counters under their names.
    pub fn registry(&self) -> Registry {
        let mut all = Registry::default();
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        all.register("neuropil_build", "The release", build);
        all.register("neuropil_node_busy", "1 while a run is under way", self.busy.clone());
        all.register(
            "neuropil_node_steps",
            "Minibatches done; training ends in an update",
            self.steps.clone(),
        );
        let (compute, wait, send) = (self.compute.clone(), self.wait.clone(), self.send.clone());
        all.register_with_unit("neuropil_node_compute", "Time spent computing", Unit::Seconds, compute);
        all.register_with_unit(
            "neuropil_node_wait",
            "Time spent waiting for neighbours",
            Unit::Seconds,
            wait,
        );
        let help = "Time spent making messages and giving them to the links";
        all.register_with_unit("neuropil_node_send", help, Unit::Seconds, send);
        let (sent, received) = (self.sent.clone(), self.received.clone());
        let help = "Bytes of tensors sent to neighbours, forward to the one above, and split to the other half of the stage";
        all.register_with_unit("neuropil_node_sent", help, Unit::Bytes, sent);
        let help = "Bytes of tensors received from neighbours, forward from the one below, and split from the other half of the stage";
        all.register_with_unit("neuropil_node_received", help, Unit::Bytes, received);
        let help = "Connections closed to make room, for sending too much, or for silence";
        all.register("neuropil_node_refused_connections", help, self.refused_connections.clone());
        let help = "Handshakes that failed: a certificate that either end refused, or another protocol";
        all.register("neuropil_node_refused_handshakes", help, self.refused_handshakes.clone());
        let help = "Links that named no run, another one, or an end that is taken";
        all.register("neuropil_node_refused_links", help, self.refused_links.clone());
        let help = "Messages of neighbours that broke the contract of their link";
        all.register("neuropil_node_refused_messages", help, self.refused_messages.clone());
        all.register_collector(Box::new(MainMemory));
        #[cfg(feature = "leaks")]
        crate::leak::metrics(&mut all);
        all
    }
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Train => "train",
        Phase::Evaluate => "evaluate",
    }
}

impl Meters {
    /// The observer of a link to a neighbour, which counts the bytes of the tensors.
    pub fn of_neighbour(&self) -> Arc<dyn Observer> {
        let direction = |carried| match carried {
            Carried::Activations => "forward",
            Carried::ErrorSignals => "backward",
            Carried::LayerValues => SPLIT,
        };
        Arc::new(Traffic { meters: self.clone(), direction })
    }

    /// The observer of the link to the other half of the stage.
    pub fn of_other_half(&self) -> Arc<dyn Observer> {
        Arc::new(Traffic { meters: self.clone(), direction: |_| SPLIT })
    }
}

/// The direction of everything that the halves of a stage send each other.
const SPLIT: &str = "split";

/// The bytes of the tensors on one link.
struct Traffic {
    meters: Meters,
    /// The word for the direction of a message.
    direction: fn(Carried) -> &'static str,
}

impl Traffic {
    fn of(&self, carried: Carried, message: &Message) -> OfTraffic {
        OfTraffic { phase: name(message.header.phase), direction: (self.direction)(carried) }
    }
}

impl Observer for Traffic {
    fn received(&self, carried: Carried, message: &Message) {
        self.meters.received.of(&self.of(carried, message)).inc_by(message.payload());
    }

    fn sent(&self, carried: Carried, message: &Message) {
        self.meters.sent.of(&self.of(carried, message)).inc_by(message.payload());
    }

    fn refused(&self, _: Carried, _: &str) {
        self.meters.refused_messages.inc();
    }
}

/// The process's resident memory, under the name that Prometheus's own clients use, and the memory that it may use.
#[derive(Debug)]
struct MainMemory;

impl Collector for MainMemory {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut show = |name: &str, help: &str, bytes: u64| {
            let gauge = ConstGauge::new(bytes);
            let kind = gauge.metric_type();
            gauge.encode(encoder.encode_descriptor(name, help, Some(&Unit::Bytes), kind)?)
        };
        show("process_resident_memory", "Main memory that the process holds.", resident())?;
        let Some(memory) = Memory::now() else { return Ok(()) };
        let help = "Main memory that the process may use: the host's, or the lowest limit.";
        show("neuropil_node_memory_limit", help, memory.total)?;
        let help = "Main memory that the process may still take.";
        show("neuropil_node_memory_available", help, memory.available)
    }
}
