//! Tests of the primitives and the rules through both programs: each primitive, alone, trains B in every layer, and each
//! rule trains by its name.

use coordinator::rule::Name;
use e2e::Bench;
use proto::spec::rule::Primitive;
use std::collections::BTreeMap;

const KEYS: &str = r#"
[train]
epochs = 1
batch = 32
max_steps = 1
[pipeline]
stages = ["classes"]
"#;

#[test]
fn every_primitive_moves_b_when_only_it_is_on() {
    let bench = Bench::new();
    let config = bench.tiny(KEYS);
    let matrices = |name: &str, set: &[&str]| -> BTreeMap<String, String> {
        let digests = bench.trained(&config, name, set).digests().into_iter();
        digests.filter(|(tensor, _)| tensor.ends_with(".weight_backward")).collect()
    };
    let drawn = matrices("drawn", &["rule.name=feedback_alignment"]);
    assert_eq!(drawn.len(), 2);
    for one in Primitive::ALL {
        let moved = matrices(&one.to_string(), &["rule.name=custom", &format!("rule.{one}=0.01")]);
        for (tensor, digest) in &drawn {
            assert_ne!(moved[tensor], *digest, "{one} does nothing to {tensor}");
        }
    }
}

#[test]
fn every_rule_trains_by_its_name_alone() {
    let bench = Bench::new();
    let config = bench.tiny(KEYS);
    // A custom rule has no loss of its own.
    for name in Name::ALL.iter().filter(|name| **name != Name::Custom) {
        let digests = bench.trained(&config, &name.to_string(), &[&format!("rule.name={name}")]).digests();
        assert!(digests.keys().any(|tensor| tensor.ends_with(".weight")), "{name}");
    }
}
