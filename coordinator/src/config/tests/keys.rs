//! The table of keys, and what finds its way back to it.

use toml::Table;

use super::{UNSET, refusal, set};
use crate::config::allowed::Allowed;
use crate::config::keys::{ANY_LAYER, KEYS};
use crate::config::nearest::nearest;

#[test]
fn the_table_of_keys_and_the_types_agree() {
    let printed: Table = set(&UNSET).unwrap().to_toml().unwrap().parse().unwrap();
    let has = |path: &str| match path.split_once('.') {
        Some((table, key)) => printed[table].as_table().unwrap().contains_key(key),
        None => printed.contains_key(path),
    };
    for key in KEYS.iter().filter(|key| !key.path.contains(ANY_LAYER) && key.path != "model.width") {
        assert!(has(&key.path) || key.path.starts_with("rule."), "{} is not in the types", key.path);
        let Allowed::Words(words) = key.allowed else { continue };
        for word in words {
            let rule = match key.path.as_str() {
                "rule.name" if *word == "custom" => "rule.task=true",
                "rule.magnitude" => "rule.name=sign_symmetry",
                path if path.starts_with("rule.") && path != "rule.name" => "rule.name=weight_mirror",
                _ => "seed=0",
            };
            let sets = [rule, "model.classes=10"];
            let word = format!("{}={word}", key.path);
            assert!(set(&[&sets[..], &[&word]].concat()).is_ok(), "{word} is in the table only");
        }
    }
    for (table, value) in &printed {
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
