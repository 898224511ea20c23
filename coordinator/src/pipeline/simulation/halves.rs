//! The scripts of a stage and of its backward node, as far as they exchange messages of the split layers.
//!
//! ```text
//! F  samples, ascending ──▶      U  noise, ascending ──▶
//! E  of each layer, descending: its error ──▶, ◀── the error at its x
//! ```

use super::engine::{Kind, Message, Op, Pipe};
use proto::lane::{Action, Lane};
use proto::microbatch::MicrobatchId;

/// The messages of one split layer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Crossing {
    /// x or y, in F.
    pub(super) sample: bool,
    /// The error at y, in E.
    pub(super) error: bool,
    /// The error at x, in E, unless the network's input lies below.
    pub(super) returned: bool,
    /// Noise, after U.
    pub(super) noise: bool,
}

/// The order of a stage's requests to its backward node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Requests {
    /// A layer's error goes out once the reply of the layer above it is there.
    InTurn,
    /// The errors of all layers go out before the first reply is taken.
    ErrorsFirst,
}

/// The queue in which a stage keeps the replies of its backward node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Replies {
    /// A queue of their own.
    Own,
    /// The queue in which activations arrive; the stage takes out whichever message it needs.
    WithActivations,
}

/// The split layers of one stage, and how its two hosts speak with each other.
#[derive(Clone, Debug)]
pub(super) struct Halves {
    /// The split layers, ascending; a stage without any has no backward node.
    pub(super) layers: Vec<Crossing>,
    /// Whether the samples go out in E, computed again, and not in F.
    pub(super) recompute: bool,
    pub(super) requests: Requests,
    pub(super) replies: Replies,
}

/// The two directions between the halves of a stage.
#[derive(Clone, Copy)]
pub(super) struct Between {
    pub(super) there: Pipe,
    pub(super) back: Pipe,
}

/// One message between the halves of a stage, from the stage's side.
enum Exchange {
    Out(Message),
    In(Message),
}

impl Halves {
    /// The messages of `action`, in the order of the stage's side.
    fn exchanges(&self, action: Action) -> Vec<Exchange> {
        match action {
            Action::Forward(m) if !self.recompute => self.samples(m),
            Action::Error(m) => {
                let samples = if self.recompute { self.samples(m) } else { Vec::new() };
                samples.into_iter().chain(self.errors(m)).collect()
            }
            Action::Forward(_) | Action::Gradient(_) => Vec::new(),
            Action::Update(step) => {
                let after = MicrobatchId { step, index: 0 };
                self.of(after, Kind::Noise, |layer| layer.noise).map(Exchange::Out).collect()
            }
        }
    }

    fn samples(&self, m: MicrobatchId) -> Vec<Exchange> {
        self.of(m, Kind::Sample, |layer| layer.sample).map(Exchange::Out).collect()
    }

    fn errors(&self, m: MicrobatchId) -> Vec<Exchange> {
        let message = |layer, kind: fn(usize) -> Kind| Message { kind: kind(layer), microbatch: m };
        let layers = || self.layers.iter().enumerate().rev();
        let out =
            |(at, layer): (usize, &Crossing)| layer.error.then(|| Exchange::Out(message(at, Kind::Request)));
        let back =
            |(at, layer): (usize, &Crossing)| layer.returned.then(|| Exchange::In(message(at, Kind::Reply)));
        match self.requests {
            Requests::InTurn => layers().flat_map(|layer| [out(layer), back(layer)]).flatten().collect(),
            Requests::ErrorsFirst => layers().filter_map(out).chain(layers().filter_map(back)).collect(),
        }
    }

    /// The messages of one kind about `microbatch`, of the layers that have one, ascending.
    fn of(
        &self,
        microbatch: MicrobatchId,
        kind: fn(usize) -> Kind,
        has: fn(&Crossing) -> bool,
    ) -> impl Iterator<Item = Message> {
        let layers = self.layers.iter().enumerate().filter(move |(_, layer)| has(layer));
        layers.map(move |(layer, _)| Message { kind: kind(layer), microbatch })
    }

    /// The part of `action` in which the stage speaks with its backward node.
    pub(super) fn asked(&self, action: Action, between: Between) -> Vec<Op> {
        let op = |exchange| match exchange {
            Exchange::Out(message) => Op::Put(between.there.from, message),
            Exchange::In(message) => Op::Take(between.back.to, message),
        };
        self.exchanges(action).into_iter().map(op).flat_map(|op| [op, Op::Work]).collect()
    }

    /// The script of the backward node, which follows the stage's lane. It answers each error as it takes it.
    pub(super) fn answering(&self, lane: &Lane, between: Between) -> Vec<Op> {
        let in_turn = Self { requests: Requests::InTurn, ..self.clone() };
        let op = |exchange| match exchange {
            Exchange::Out(message) => Op::Take(between.there.to, message),
            Exchange::In(message) => Op::Put(between.back.from, message),
        };
        let of_action = |&action: &Action| {
            let exchanges = in_turn.exchanges(action).into_iter().map(op);
            exchanges.flat_map(|op| [op, Op::Work]).chain([Op::Work, Op::Done(action)]).collect::<Vec<_>>()
        };
        lane.actions().iter().flat_map(of_action).collect()
    }
}
