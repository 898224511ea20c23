//! Tests of the table of keys, and of the search for the nearest key.

use std::collections::BTreeSet;

use proto::spec::graph::Op;
use proto::spec::rule::{Magnitude, RuleSpec};
use toml::Table;

use super::{UNSET, UNSET_PHOTOS, refusal, set};
use crate::config::allowed::Allowed;
use crate::config::keys::{ANY_LAYER, KEYS};
use crate::config::typed::keys_of;
use crate::config::{layers, rule};
use crate::nearest::nearest;
use crate::rule::{Name, Surroundings};

#[test]
fn the_table_of_keys_and_the_types_agree() {
    let printed = |sets: &[&str]| set(sets).unwrap().to_toml().unwrap().parse::<Table>().unwrap();
    let printed = [printed(&UNSET), printed(&UNSET_PHOTOS)];
    let has = |path: &str| {
        printed.iter().any(|printed| match path.split_once('.') {
            Some((table, key)) => printed[table].as_table().unwrap().contains_key(key),
            None => printed.contains_key(path),
        })
    };
    // Keys of named models alone.
    let named = ["model.width", "model.last_gamma"];
    for key in KEYS.iter().filter(|key| !key.path.contains(ANY_LAYER) && !named.contains(&key.path.as_str()))
    {
        assert!(has(&key.path) || key.path.starts_with("rule."), "{} is not in the types", key.path);
        let Allowed::Words(words) = key.allowed else { continue };
        for word in words {
            let others: &[&str] = match key.path.as_str() {
                "rule.name" if *word == "custom" => &["rule.task=true"],
                "rule.magnitude" => &["rule.name=sign_symmetry"],
                path if path.starts_with("rule.") && path != "rule.name" => &["rule.name=weight_mirror"],
                "data.test_numbering" if *word == "devkit" => {
                    &["data.kind=image_folder", "data.test_labels=l", "data.synsets=s"]
                }
                "data.test_numbering" => &["data.kind=image_folder", "data.test_labels=l"],
                _ => &[],
            };
            let word = format!("{}={word}", key.path);
            let sets = [&["model.classes=10"], others, &[&word]].concat();
            assert!(set(&sets).is_ok(), "{word} is in the table only");
        }
    }
    for (table, value) in printed.iter().flatten() {
        let keys = value.as_table().into_iter().flat_map(Table::keys);
        for key in keys {
            let path = format!("{table}.{key}");
            assert!(KEYS.iter().any(|key| key.path == path), "{path} is not in the table of keys");
        }
    }
}

#[test]
fn every_key_with_a_letter_dropped_finds_its_way_back() {
    let all: Vec<&str> = KEYS.iter().map(|key| key.path.as_str()).collect();
    for key in &all {
        let own = key.find(ANY_LAYER).map_or(0, |at| at + ANY_LAYER.len() + 1);
        for at in (own..key.len()).filter(|at| key.as_bytes()[*at] != b'.') {
            let wrong = format!("{}{}", &key[..at], &key[at + 1..]);
            let near = nearest(&wrong, all.iter().copied()).unwrap();
            // beta1 and beta2 are equally near to beta.
            assert_eq!(near.trim_end_matches(['1', '2']), key.trim_end_matches(['1', '2']), "{wrong}");
            if !wrong.ends_with('.') {
                let sentence = refusal(&[&format!("{wrong}=1").replace(ANY_LAYER, "middle")]);
                let near = near.replace(ANY_LAYER, "middle");
                assert!(
                    sentence.starts_with("unknown key '")
                        && sentence.ends_with(&format!("did you mean '{near}'?"))
                );
            }
        }
    }
}

/// The names written down for the reference are the names that serde knows.
#[test]
fn the_tables_of_rules_and_layers_hold_what_their_types_do() {
    let around = Surroundings { weight_decay: 0.1, microbatch: 2 };
    let named = [Name::WeightMirror, Name::ProductFeedbackAlignment].map(|name| name.rule(around));
    let rules = [RuleSpec::SignSymmetry { magnitude: Magnitude::Fixed }].into_iter().chain(named);
    let typed = rules.flat_map(|rule| Table::try_from(rule).unwrap().into_iter().map(|(key, _)| key));
    let table = rule::keys::of_loss("rule").into_iter().map(|key| key.name().to_owned());
    assert_eq!(typed.collect::<BTreeSet<_>>(), table.collect::<BTreeSet<_>>());

    let kinds = layers::kinds();
    assert_eq!(layers::COMPUTES.map(|(kind, _)| kind), kinds);
    let common = ["kind", "name", "input", "inputs"];
    let typed = kinds.iter().flat_map(|kind| keys_of::<Op>("kind", kind)).chain(&common).copied();
    let (table, all) = (layers::keys(), |kinds: &Vec<_>| kinds.is_empty());
    assert_eq!(table.iter().map(|(key, _)| key.name()).collect::<BTreeSet<_>>(), typed.collect());
    assert!(table.iter().all(|(key, kinds)| all(kinds) == common.contains(&key.name())));
}

#[test]
fn a_rule_is_called_by_its_name() {
    let around = Surroundings { weight_decay: 0.1, microbatch: 2 };
    for name in crate::config::words::<Name>() {
        let rule = toml::Value::from(*name).try_into::<Name>().unwrap().rule(around);
        assert_eq!((rule.name(), &Table::try_from(&rule).unwrap()["name"]), (*name, &(*name).into()));
    }
}
