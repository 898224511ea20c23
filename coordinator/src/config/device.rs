//! `node.device`: the devices of local nodes.

use super::allowed::Allowed::{self, Any, List, Named};
use serde::{Deserialize, Serialize};

/// The devices that local nodes take in turn, by the names that `layer-node serve --device` takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Devices {
    /// One for all.
    All(String),
    /// The first for the first node, and so on; from the beginning again where there are more nodes.
    InTurn(Vec<String>),
}

const DEVICE: Allowed = Named("\"cpu\", \"cuda\" or \"cuda:N\"", is_device);

/// What the key takes.
pub(super) const DEVICES: Allowed = Any(
    "\"cpu\", \"cuda:N\", or a list of them that local nodes take in turn",
    &[DEVICE, List("a list of devices", &DEVICE)],
);

fn is_device(name: &str) -> bool {
    match name.split_once(':') {
        None => matches!(name, "cpu" | "cuda"),
        Some((kind, number)) => kind == "cuda" && number.parse::<u8>().is_ok(),
    }
}

impl Devices {
    /// The CPU.
    pub(super) fn cpu() -> Self {
        Self::All("cpu".into())
    }

    /// Whether every node computes on a CPU.
    pub fn are_cpus(&self) -> bool {
        match self {
            Devices::All(device) => kind(device) == "cpu",
            Devices::InTurn(devices) => devices.iter().all(|device| kind(device) == "cpu"),
        }
    }

    /// The device of the node of this number, the first being 0.
    pub fn of(&self, node: usize) -> &str {
        match self {
            Devices::All(device) => device,
            Devices::InTurn(devices) => {
                devices.get(node % devices.len().max(1)).map_or("cpu", String::as_str)
            }
        }
    }
}

/// The kind of a device, `cpu` or `cuda`: devices of one kind compute alike.
pub(crate) fn kind(device: &str) -> &str {
    device.split(':').next().unwrap_or(device)
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, parse};

    #[test]
    fn local_nodes_take_the_devices_in_turn() {
        let devices = |set: &str| {
            let parsed = parse(
                "model.name = \"mlp\"",
                "c.toml",
                &[format!("node.device={set}")],
                &Environment::empty(),
            );
            parsed.map(|config| (0..4).map(|node| config.node.device.of(node).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(devices("cpu").unwrap(), ["cpu"; 4]);
        assert_eq!(devices("cuda:3").unwrap(), ["cuda:3"; 4]);
        let turns = devices("[\"cuda:0\", \"cuda:1\", \"cpu\"]").unwrap();
        assert_eq!(turns, ["cuda:0", "cuda:1", "cpu", "cuda:0"]);
        for wrong in ["gpu", "cuda:x", "cuda:1:2", "[]", "[\"tpu\"]", "1"] {
            let why = devices(wrong).unwrap_err().to_string();
            assert!(why.contains("it must be \"cpu\", \"cuda:N\", or a list of them"), "{wrong}: {why}");
        }
    }
}
