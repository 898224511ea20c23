//! Renewal: files that change are used by new connections, and those that cannot be used are not.

use e2e::certificates::{Authority, Leaf};
use e2e::harm::eventually;
use e2e::scrape::scrape;
use e2e::{Bench, Node};
use std::fs;
use std::time::{Duration, SystemTime};

#[test]
fn renewed_files_are_used_without_a_restart_and_a_bad_file_keeps_the_old_one() {
    let bench = Bench::new();
    let lab = Authority::new(&bench.path("lab"));
    let short = Leaf { until: 3, ..Leaf::stage(0) };
    let files = lab.issue("stage-0", &short);
    let coordinator = lab.issue("coordinator", &Leaf::coordinator()).flags();
    let state = bench.path("host-0");
    let metered = [files.flags(), vec!["--metrics".into(), "127.0.0.1:0".into()]].concat();
    let node = Node::logged(&state, &metered);
    let log = || fs::read_to_string(Node::log_of(&state)).unwrap();
    assert!(log().contains("the certificate of --tls-cert expires at"), "{}", log());

    let expiry = || {
        let scraped = scrape(node.address("metrics")).unwrap().value("neuropil_certificate_expiry_seconds");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        (scraped - now.as_secs_f64()) / Duration::from_secs(24 * 60 * 60).as_secs_f64()
    };
    assert!((2.0..4.0).contains(&expiry()), "{}", expiry());
    let flags: Vec<_> = coordinator.iter().map(String::as_str).collect();
    let check = || {
        let ended = bench.ended(&[&["check", "--nodes", node.address("control")], &flags[..]].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout
    };
    let before = check();
    assert!(before.contains("stage 0"), "{before}");

    lab.issue("stage-0", &Leaf { until: 33, ..short.clone() });
    eventually("the renewed certificate", || expiry() > 30.0);
    assert_ne!(check(), before, "the date of its end has changed");

    fs::write(&files.certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    eventually("a sentence", || expiry() > 30.0 && log().contains("the old ones stay in use: --tls-cert"));
    check();
    lab.issue("stage-0", &Leaf { uris: Leaf::stage(1).uris, ..short });
    eventually("a sentence", || expiry() > 30.0 && log().contains("name neuropil:lab:stage:1"));
    check();
}
