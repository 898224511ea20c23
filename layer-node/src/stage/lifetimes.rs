//! The lifetimes of values within one pass through a stage.

use proto::spec::stage::StageSpec;
use std::collections::HashSet;

/// For each layer: the values whose last consumer it is, and its own value if that has no consumer. Outputs are never
/// included.
pub(super) fn last_taken(spec: &StageSpec) -> Vec<Vec<String>> {
    let mut needed: HashSet<&str> = spec.outputs.iter().map(String::as_str).collect();
    let downwards = spec.layers.iter().rev().map(|layer| {
        let seen = layer.inputs.iter().chain([&layer.name]);
        seen.filter(|name| needed.insert(name.as_str())).cloned().collect()
    });
    let mut last: Vec<Vec<String>> = downwards.collect();
    last.reverse();
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::spec::graph::{LayerSpec, Op, Value};

    #[test]
    fn a_value_is_dropped_after_its_last_consumer_and_an_output_never() {
        let layer = |name: &str, inputs: &[&str]| {
            let op = if inputs.len() > 1 { Op::Add } else { Op::Relu };
            LayerSpec::new(name, inputs, op)
        };
        let layers = vec![
            layer("a", &["x"]),
            layer("unused", &["x"]),
            layer("b", &["a"]),
            layer("twice", &["a", "a"]),
            layer("sum", &["twice", "b"]),
        ];
        let inputs = ["x", "skip"].map(|name| Value { name: name.into(), shape: vec![1] });
        let outputs = ["b", "sum", "skip"].map(String::from);
        let spec = StageSpec { outputs: outputs.into(), ..StageSpec::alone(layers, inputs.into()) };
        let last: Vec<String> = last_taken(&spec).iter().map(|names| names.join(" ")).collect();
        assert_eq!(last, ["", "x unused", "", "a", "twice"]);
    }
}
