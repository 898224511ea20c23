//! The base that is kept in the repository, and the configuration that the pods get.

use super::*;
use std::collections::BTreeMap;
use std::fs;

#[test]
fn deploy_base_is_what_the_command_writes_for_the_demo() {
    let folder = root().join("deploy/base");
    let written: BTreeMap<_, _> = made(&[]).files.into_iter().map(|file| (file.path, file.text)).collect();
    let mut found = BTreeMap::new();
    for inner in ["", "certificates", "cert-manager", "jobset"] {
        for entry in fs::read_dir(folder.join(inner)).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_file() && entry.extension().is_none_or(|ending| ending != "pem") {
                let path = entry.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
                found.insert(path, fs::read_to_string(entry).unwrap());
            }
        }
    }
    let again = "cargo run --bin coordinator -- manifests --config examples/fashion.toml --name demo --out deploy/base";
    assert!(written.keys().eq(found.keys()), "run {again}: {:?} {:?}", written.keys(), found.keys());
    for (path, text) in written {
        assert_eq!(found[&path], text, "deploy/base/{path} is not what the command writes: run {again}");
    }
}

#[test]
fn the_configuration_of_the_pods_names_no_folder_of_this_machine_and_waits_for_pods() {
    let read = |sets: &[&str]| {
        let text = made(sets).text("config.toml").to_owned();
        let config = config::parse(&text, "config.toml", &[], &Environment::empty()).unwrap();
        (config.data.path.display().to_string(), config.network.connect_deadline, config.snapshot.every_steps)
    };
    let default = "data/fashion-mnist".to_owned();
    assert!(!made(&[]).text("config.toml").contains("path ="), "the folder is that of NEUROPIL_DATA");
    assert_eq!(read(&[]), (default.clone(), 600.0, 100));
    assert!(!made(&[]).said.contains("data.path"));
    assert_eq!(read(&["network.connect_deadline=30", "snapshot.every_steps=7"]), (default.clone(), 30.0, 7));
    for (given, stays) in [
        ("/home/me/sets", false),
        ("own/letters", true),
        ("/data/letters", true),
        ("/database", false),
        ("/usr/share/neuropil/data/x", true),
    ] {
        let set = format!("data.path={given}");
        assert_eq!(read(&[&set]).0, if stays { given } else { default.as_str() });
        assert_eq!(made(&[&set]).said.contains("data.path is left out"), !stays, "{given}");
    }
}

#[test]
fn a_name_is_refused_where_the_names_of_its_pods_would_be_too_long() {
    let named = |name: &str| try_made(&Order { name: Some(name.parse().unwrap()), ..order() }, &[]);
    // 63, less "-coordinator" and "-0-0-12345".
    let longest = "a".repeat(41);
    assert!(named(&longest).is_ok());
    let why = named(&format!("{longest}a")).unwrap_err();
    assert_eq!(why.cause.code(), 2);
    assert!(why.sentence.ends_with("give a --name of at most 41 characters"), "{why}");
    let unnamed = Order { name: None, stem: "x".repeat(80), ..order() };
    let made = try_made(&unnamed, &SPLIT).unwrap();
    assert!(made.said.starts_with(&format!("run '{}' in ", "x".repeat(36))), "{}", made.said);
}

#[test]
fn the_report_names_the_commands_that_come_next() {
    let said = |sets: &[&str]| made(sets).said;
    let whole = said(&[]);
    assert!(
        whole.starts_with("run 'demo' in deploy/base: a coordinator and 5 stages, by the image neuropil:")
    );
    for line in [
        "coordinator certificates --kubernetes --stages 5 --out deploy/base/certificates\n",
        "printf 'resources: [\"../%s\"]\\ncomponents: [\"../%s/certificates\"]\\n' base base > deploy/base-overlay/kustomization.yaml\n",
        "kubectl apply -k deploy/base-overlay\n",
        "kubectl logs -f job/coordinator --pod-running-timeout=10m\n",
    ] {
        assert!(whole.contains(&format!("    {line}")), "{whole}");
    }
    assert!(
        said(&SPLIT).contains("5 stages with 5 backward nodes, ") && said(&SPLIT).contains("--backward all")
    );
    let within = |out: &str| try_made(&Order { out: out.into(), ..order() }, &[]).unwrap().said;
    assert!(within("deploy/base/").contains("mkdir -p deploy/base-overlay\n"), "{}", within("deploy/base/"));
    assert!(within(".").contains("    kubectl apply -k OVERLAY\n"), "{}", within("."));
    let one = said(&[SPLIT[0], "pipeline.placement=[\"conv3\"]"]);
    assert!(one.contains("1 backward node,") && one.contains("--stages 5 --backward 2 --out"), "{one}");
}
