//! Figures: the measured speeds of nodes and links, as `coordinator bench` writes them into a file of TOML and
//! `plan --rates` reads them.

use std::collections::BTreeMap;

use proto::spec::graph::Op;
use serde::{Deserialize, Serialize};

use super::{LinkRate, Rates};

/// The version of the file's form.
const FORM: u32 = 2;
/// The least and the most bytes or multiply-adds in a second, and the longest round trip in seconds: a file that says
/// otherwise is damaged.
const LEAST: f64 = 1.0;
const MOST: f64 = 1e18;
const LONGEST: f64 = 60.0;

/// The measured speeds of a pipeline's nodes and links.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// The version of the file's form, 2.
    pub neuropil_rates: u32,
    /// The release of Neuropil that measured.
    pub release: String,
    /// The number format in which the layers computed (`node.precision`).
    pub precision: String,
    /// The number format of the links (`network.wire`).
    pub wire: String,
    /// The nodes in the order of their stages.
    #[serde(rename = "node")]
    pub nodes: Vec<NodeFigures>,
    /// The links between neighbours, the one above stage 0 first; absent with one node.
    #[serde(rename = "link", default)]
    pub links: Vec<LinkFigures>,
    /// The coordinator's host. It is the end of the file: a file without it was cut off.
    pub coordinator: HostFigures,
}

/// The measured speed of the coordinator's host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFigures {
    /// Bytes per second that are copied from memory to memory.
    pub copy_bytes_per_second: f64,
}

/// The measured speed of one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeFigures {
    /// The control address.
    pub address: String,
    /// The device, as the node describes it.
    pub device: String,
    /// Compute threads.
    pub threads: u32,
    /// Multiply-adds per second over F, E and G, for each kind of weight layer that the network has.
    #[serde(default)]
    pub macs_per_second: BTreeMap<String, f64>,
    /// Bytes per second that are read and written over F and E, for each other kind of layer that the network has.
    #[serde(default)]
    pub bytes_per_second: BTreeMap<String, f64>,
}

/// The measured speed of one link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkFigures {
    /// The stage below.
    pub from: u32,
    /// The stage above.
    pub to: u32,
    /// The way of the tensors: `gRPC`, `gRPC over TLS` or `shared memory`.
    pub transport: String,
    /// Bytes per second of one direction, from the memory of one node's torch to that of the other.
    pub bytes_per_second: f64,
    /// Seconds of a small message up and its answer down, beyond the computing.
    pub round_trip_seconds: f64,
}

/// The reason why a text holds no figures, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: write the file anew with coordinator bench --out")]
pub struct FiguresError(String);

impl Figures {
    /// The figures of `nodes` and `links`, measured by this release.
    pub fn new(
        [precision, wire]: [String; 2],
        copy_bytes_per_second: f64,
        nodes: Vec<NodeFigures>,
        links: Vec<LinkFigures>,
    ) -> Self {
        let (neuropil_rates, release) = (FORM, env!("CARGO_PKG_VERSION").to_owned());
        let coordinator = HostFigures { copy_bytes_per_second };
        Self { neuropil_rates, release, precision, wire, nodes, links, coordinator }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// A text that is no such file, is torn, or has a number that no host has.
    pub fn parse(text: &str) -> Result<Self, FiguresError> {
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| FiguresError(format!("it is torn ({})", error.message())))?;
        match table.get("neuropil_rates").and_then(toml::Value::as_integer) {
            Some(form) if form == i64::from(FORM) => {}
            Some(form) => {
                return Err(FiguresError(format!("it has form {form}, and this release reads {FORM}")));
            }
            None => return Err(FiguresError("it has no key neuropil_rates, so it holds no rates".into())),
        }
        // The last line of a file that was cut off may still be a number, but has no end.
        if !text.ends_with('\n') {
            return Err(FiguresError("it is torn (its last line has no end)".into()));
        }
        let figures: Self = toml::Value::Table(table)
            .try_into()
            .map_err(|error: toml::de::Error| FiguresError(format!("it is damaged ({})", error.message())))?;
        figures.check()?;
        Ok(figures)
    }

    /// The text of the file.
    ///
    /// # Errors
    /// A text that TOML cannot hold.
    pub fn text(&self) -> Result<String, toml::ser::Error> {
        let head = "# Measured by coordinator bench; plan --rates FILE believes these figures. docs/files.md explains the keys.\n\n";
        Ok(format!("{head}{}", toml::to_string(self)?))
    }

    /// The keys of a configuration whose values are not those of the measurement, each with the value measured at.
    pub fn differing(&self, [precision, wire]: [String; 2]) -> Vec<String> {
        let keys = [("node.precision", &self.precision, precision), ("network.wire", &self.wire, wire)];
        let differing = keys.into_iter().filter(|(_, measured, set)| *measured != set);
        differing.map(|(key, measured, _)| format!("{key} = \"{measured}\"")).collect()
    }

    fn check(&self) -> Result<(), FiguresError> {
        if self.nodes.is_empty() {
            return Err(FiguresError("it names no node".into()));
        }
        if let Some(node) = self.nodes.iter().find(|node| node.threads == 0) {
            return Err(FiguresError(format!("{} cannot compute with 0 threads", node.address)));
        }
        let linked = self.links.iter().map(|link| (link.from, link.to));
        let due = (1..self.nodes.len() as u32).map(|above| (above - 1, above));
        if !linked.eq(due) {
            let (nodes, links) = (self.nodes.len(), self.links.len());
            return Err(FiguresError(format!(
                "its {links} links do not lead from each of its {nodes} nodes to the next"
            )));
        }
        let of_nodes = self.nodes.iter().flat_map(|node| {
            let kinds = node.macs_per_second.iter().chain(&node.bytes_per_second);
            kinds.map(|(kind, rate)| (format!("the speed of {kind} at {}", node.address), *rate))
        });
        let of_links = self
            .links
            .iter()
            .map(|link| (format!("the rate from stage {} to {}", link.from, link.to), link.bytes_per_second));
        let copy = ("copy_bytes_per_second".to_owned(), self.coordinator.copy_bytes_per_second);
        let possible = |rate: f64| (LEAST..=MOST).contains(&rate);
        if let Some((what, rate)) = of_nodes.chain(of_links).chain([copy]).find(|(_, rate)| !possible(*rate))
        {
            return Err(FiguresError(format!("{what} cannot be {rate:?}")));
        }
        match self.links.iter().find(|link| !(0.0..=LONGEST).contains(&link.round_trip_seconds)) {
            Some(link) => {
                let (from, to, seconds) = (link.from, link.to, link.round_trip_seconds);
                Err(FiguresError(format!("the round trip from stage {from} to {to} cannot be {seconds:?} s")))
            }
            None => Ok(()),
        }
    }

    /// The rates of a layer of the kind `op`: those of the slowest node, since a pipeline is as fast as its slowest
    /// stage. What was not measured has the rate of `usual`.
    pub fn of(&self, op: &Op, usual: Rates) -> Rates {
        let slowest = |all: fn(&NodeFigures) -> &BTreeMap<String, f64>| {
            let rates = self.nodes.iter().filter_map(|node| all(node).get(kind(op)?));
            rates.copied().reduce(f64::min)
        };
        Rates {
            macs_per_second: slowest(|node| &node.macs_per_second).unwrap_or(usual.macs_per_second),
            bytes_per_second: slowest(|node| &node.bytes_per_second).unwrap_or(usual.bytes_per_second),
            ..usual
        }
    }

    /// The rates that hold for the whole pipeline: links have the rate of the slowest link and half of the longest round
    /// trip. `usual` stands for what was not measured; the multiply-adds and bytes are those of the slowest kind of layer.
    pub fn rates(&self, usual: Rates) -> Rates {
        let slowest = |all: fn(&NodeFigures) -> &BTreeMap<String, f64>, usual: f64| {
            self.nodes.iter().flat_map(|node| all(node).values().copied()).reduce(f64::min).unwrap_or(usual)
        };
        let link = self.links.iter().map(|link| link.bytes_per_second).reduce(f64::min);
        let trip = self.links.iter().map(|link| link.round_trip_seconds).reduce(f64::max);
        Rates {
            macs_per_second: slowest(|node| &node.macs_per_second, usual.macs_per_second),
            bytes_per_second: slowest(|node| &node.bytes_per_second, usual.bytes_per_second),
            link: link.and_then(|rate| LinkRate::gbit(rate * 8.0 / 1e9)).unwrap_or(usual.link),
            latency: trip.map_or(usual.latency, |trip| trip / 2.0),
        }
    }
}

/// The name of a measured kind of layer, as in a configuration; `None` for layers that take no time of their own or
/// compute as another kind does.
pub fn kind(op: &Op) -> Option<&'static str> {
    match op {
        Op::Conv2d { .. } => Some("conv2d"),
        Op::Linear { .. } => Some("linear"),
        Op::BatchNorm { .. } => Some("batch_norm"),
        Op::MaxPool(_) => Some("max_pool"),
        Op::AvgPool(_) => Some("avg_pool"),
        Op::Relu | Op::Add | Op::Bias => Some("relu"),
        Op::Flatten => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let node = |address: &str, conv, relu| NodeFigures {
            address: address.into(),
            device: "cpu".into(),
            threads: 1,
            macs_per_second: [("conv2d".to_owned(), conv)].into(),
            bytes_per_second: [("relu".to_owned(), relu)].into(),
        };
        let link = |from, rate, round_trip_seconds| LinkFigures {
            from,
            to: from + 1,
            transport: "gRPC".into(),
            bytes_per_second: rate,
            round_trip_seconds,
        };
        let nodes = vec![node("a:1", 2e10, 9e9), node("b:1", 1e10, 1e10), node("c:1", 3e10, 8e9)];
        let links = vec![link(0, 1.25e9, 2e-4), link(1, 1.25e8, 6e-3)];
        Figures::new(["f32".into(), "bf16".into()], 7e9, nodes, links)
    }

    #[test]
    fn what_was_written_is_read_and_the_slowest_counts() {
        let text = figures().text().unwrap();
        let read = Figures::parse(&text).unwrap();
        assert_eq!(read, figures());
        let usual = Rates::default();
        let rates = read.rates(usual);
        assert_eq!(rates.link.to_string(), "1 Gbit/s");
        assert_eq!((rates.latency, rates.macs_per_second, rates.bytes_per_second), (3e-3, 1e10, 8e9));
        let add = read.of(&Op::Add, usual);
        assert_eq!((add.bytes_per_second, add.macs_per_second), (8e9, usual.macs_per_second));
        let linear = Op::Linear { out: 1, bias: false, init: proto::spec::graph::Init::FanIn };
        assert_eq!(read.of(&linear, usual).macs_per_second, usual.macs_per_second, "not measured");
    }

    #[test]
    fn a_file_that_is_foreign_torn_or_wrong_is_refused_in_one_sentence() {
        let text = figures().text().unwrap();
        let said = |text: &str| Figures::parse(text).unwrap_err().to_string();
        let torn = said(&text[..text.find("[node.bytes").unwrap() + 9]);
        assert!(torn.starts_with("it is torn (") && torn.ends_with("coordinator bench --out"), "{torn}");
        assert!(
            (0..text.len()).all(|cut| Figures::parse(&text[..cut]).is_err()),
            "a file that was cut off anywhere"
        );
        let half = said(&text[..text.find("[[node]]").unwrap()]);
        assert!(half.starts_with("it is damaged (missing field `node`"), "{half}");
        assert!(said("[train]\nepochs = 3").starts_with("it has no key neuropil_rates"));
        assert!(said(&text.replace("neuropil_rates = 2", "neuropil_rates = 1")).contains("form 1"));
        assert!(said(&text.replace("release", "releases")).contains("unknown field"));
        let none = said(&text.replace("conv2d = 10000000000.0", "conv2d = -1.0"));
        assert!(none.starts_with("the speed of conv2d at b:1 cannot be -1"), "{none}");
        assert!(said(&text.replace("0.006", "nan")).starts_with("the round trip from stage 1 to 2"));
        let links = said(&text.replace("to = 2", "to = 3"));
        assert!(links.starts_with("its 2 links do not lead from each of its 3 nodes to the next"), "{links}");
        assert!(!torn.contains('\n') && !half.contains('\n'));
    }
}
