//! Tests of the command: it makes certificates in a folder, and other code than its own reads them back.

use super::*;
use proto::identity::Identity;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

const DAY: u64 = 86_400;
const ALGORITHMS: &[&dyn rustls_pki_types::SignatureVerificationAlgorithm] =
    &[webpki::ring::ECDSA_P256_SHA256];

fn order(stages: u32) -> Order {
    Order {
        stages,
        backward: BackwardOf::default(),
        hosts: Vec::new(),
        days: 365,
        deployment: None,
        kubernetes: false,
    }
}

fn after(days: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs((20_000 + days) * DAY)
}

fn der(folder: &Path, name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.join(name)).unwrap()
}

/// Whether `name` proves its identity by the folder's CA, `days` after the first, for the given use.
fn proves(folder: &Path, name: &str, days: u64, usage: KeyUsage) -> Result<(), webpki::Error> {
    let (ca, leaf) = (der(folder, CA), der(folder, name));
    let anchors = [anchor_from_trusted_cert(&ca).unwrap()];
    let time = UnixTime::since_unix_epoch(after(days).duration_since(SystemTime::UNIX_EPOCH).unwrap());
    let leaf = EndEntityCert::try_from(&leaf).unwrap();
    leaf.verify_for_usage(ALGORITHMS, &anchors, &[], time, usage, None, None).map(drop)
}

/// The alternative names of a certificate.
fn names(folder: &Path, name: &str) -> Vec<String> {
    let der = der(folder, name);
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let text = |name: &GeneralName| match name {
        GeneralName::URI(text) | GeneralName::DNSName(text) => (*text).to_owned(),
        GeneralName::IPAddress(bytes) => format!("{bytes:?}"),
        other => panic!("{other:?}"),
    };
    names.value.general_names.iter().map(text).collect()
}

fn refused(order: &Order, folder: &Path, now: SystemTime) -> String {
    let before = contents(folder);
    let error = issue(order, folder, now).unwrap_err();
    assert_eq!(error.cause.code(), 2, "{error}");
    assert_eq!(contents(folder), before, "a refusal changes nothing: {error}");
    error.sentence
}

fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn each_process_gets_an_identity_that_verifies_and_a_key_that_nobody_else_reads() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = &temporary.path().join("new/certs");
    let hosts = ["gpu.lab", "1=10.0.0.3"].map(|host| host.parse().unwrap()).to_vec();
    let ordered = Order { hosts, deployment: Some("lab".into()), ..order(2) };
    let said = issue(&ordered, folder, after(0)).unwrap();
    assert!(
        said.contains("stage 1      ca.pem stage-1.pem stage-1-key.pem ") && !said.contains("renewed"),
        "{said}"
    );
    let files: Vec<String> = contents(folder).into_iter().map(|(name, _)| name).collect();
    let processes = ["ca", "coordinator", "stage-0", "stage-1"];
    let all: Vec<String> =
        processes.iter().flat_map(|p| [format!("{p}-key.pem"), format!("{p}.pem")]).collect();
    assert_eq!(files, all, "and no temporary file");

    for name in &files {
        let mode = fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
        let pem = fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(mode == 0o600, name.ends_with("-key.pem"), "{name} {mode:o}");
        assert_eq!(pem.contains("PRIVATE KEY"), name.ends_with("-key.pem"), "{name}");
    }
    let loopback = ["localhost", "[127, 0, 0, 1]", "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]"];
    assert_eq!(names(folder, "stage-0.pem"), [&["neuropil:lab:stage:0", "gpu.lab"], &loopback[..]].concat());
    let both = ["neuropil:lab:stage:1", "gpu.lab", "[10, 0, 0, 3]"];
    assert_eq!(names(folder, "stage-1.pem"), [&both[..], &loopback[..]].concat());
    assert_eq!(names(folder, "coordinator.pem"), ["neuropil:lab:coordinator"]);

    for (name, usage, good) in [
        ("stage-0.pem", KeyUsage::server_auth(), true),
        ("stage-0.pem", KeyUsage::client_auth(), true),
        ("coordinator.pem", KeyUsage::client_auth(), true),
        ("coordinator.pem", KeyUsage::server_auth(), false),
    ] {
        assert_eq!(proves(folder, name, 0, usage).is_ok(), good, "{name} {usage:?}");
    }
    let client = KeyUsage::client_auth;
    assert!(proves(folder, "stage-0.pem", 364, client()).is_ok());
    assert!(matches!(proves(folder, "stage-0.pem", 366, client()), Err(webpki::Error::CertExpired { .. })));
    let ca = der(folder, CA);
    let (_, ca) = X509Certificate::from_der(&ca).unwrap();
    let constraints = ca.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca && constraints.value.path_len_constraint == Some(0));
    assert!(ca.key_usage().unwrap().unwrap().value.key_cert_sign());
    assert!(ca.validity().not_before.timestamp() < (20_000 * DAY) as i64, "for a host whose clock is behind");
    assert_eq!(ca.validity().not_after.timestamp(), ((20_000 + 3650) * DAY) as i64);
}

#[test]
fn a_folder_keeps_its_ca_and_keys_and_gets_what_is_missing() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let hosts = vec!["1=gpu.lab".parse().unwrap()];
    issue(&Order { hosts, ..order(3) }, folder, after(0)).unwrap();
    let first = contents(folder);
    // The key of stage 1 was moved to its host.
    fs::remove_file(folder.join("stage-1-key.pem")).unwrap();
    fs::remove_file(folder.join("stage-0.pem")).unwrap();
    let said = issue(&order(2), folder, after(300)).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    for (line, change) in [(3, "added to its key"), (4, "renewed, new key"), (5, "renewed, key unchanged")] {
        assert!(lines[line].contains(change), "{said}");
    }
    assert!(said.contains("not renewed, because --stages is lower: stage 2\n"), "{said}");

    let same = |name: &str| {
        first.iter().find(|(other, _)| other == name).unwrap().1 == fs::read(folder.join(name)).unwrap()
    };
    for (name, kept) in [
        (CA, true),
        (CA_KEY, true),
        ("stage-0-key.pem", true),
        ("stage-1-key.pem", false),
        ("coordinator-key.pem", true),
        ("coordinator.pem", false),
        ("stage-2.pem", true),
    ] {
        assert_eq!(same(name), kept, "{name}");
    }
    for name in ["stage-0.pem", "stage-1.pem", "coordinator.pem"] {
        assert!(proves(folder, name, 600, KeyUsage::client_auth()).is_ok(), "{name}");
        let key = fs::read_to_string(folder.join(name.replace(".pem", "-key.pem"))).unwrap();
        assert!(x509::belongs(&KeyPair::from_pem(&key).unwrap(), &der(folder, name)), "{name}");
    }
    assert!(proves(folder, "stage-2.pem", 600, KeyUsage::client_auth()).is_err());
    assert!(
        names(folder, "stage-1.pem").contains(&"gpu.lab".into()),
        "a renewed certificate keeps its names"
    );
    let identity: Identity = names(folder, "stage-0.pem")[0].parse().unwrap();
    assert!(said.starts_with(&format!("deployment '{}' in ", identity.deployment())), "{said}");

    // The CA has 150 days left.
    let said = issue(&order(1), folder, after(3500)).unwrap();
    assert!(said.contains("in 150 days, and so does the CA"), "{said}");
}

#[test]
fn a_backward_node_gets_an_identity_of_its_own_and_hosts_of_its_own() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let hosts = ["all.lab", "1=w.lab", "1-backward=b.lab"].map(|host| host.parse().unwrap()).to_vec();
    let split = |text: &str, stages| Order { backward: text.parse().unwrap(), ..order(stages) };
    let ordered = Order { hosts, deployment: Some("lab".into()), ..split("1", 3) };
    let said = issue(&ordered, folder, after(0)).unwrap();
    let files = "ca.pem stage-1-backward.pem stage-1-backward-key.pem";
    let order_of = |words: &str| said.find(words).unwrap_or_else(|| panic!("{words}: {said}"));
    assert!(
        order_of("stage 2           ca.pem") < order_of(&format!("stage 1, backward {files} ")),
        "{said}"
    );
    assert!(order_of("stage 1, backward ") < order_of("coordinator       ca.pem"), "{said}");
    let own = ["neuropil:lab:stage:1:backward", "all.lab", "b.lab"];
    assert_eq!(names(folder, "stage-1-backward.pem")[..3], own);
    assert_eq!(names(folder, "stage-1.pem")[..3], ["neuropil:lab:stage:1", "all.lab", "w.lab"]);
    assert!(proves(folder, "stage-1-backward.pem", 0, KeyUsage::server_auth()).is_ok());
    let mode = fs::metadata(folder.join("stage-1-backward-key.pem")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert!(!folder.join("stage-0-backward.pem").exists());
    let der = der(folder, "stage-1-backward.pem");
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let name = certificate.subject().iter_common_name().next().unwrap().as_str().unwrap();
    assert_eq!(name, "stage 1, backward");

    // Without --backward the certificate stays as it is; with it, the certificate is renewed for the same key and
    // hosts.
    let held = || fs::read(folder.join("stage-1-backward.pem")).unwrap();
    let (first, key) = (held(), fs::read(folder.join("stage-1-backward-key.pem")).unwrap());
    let said = issue(&order(3), folder, after(1)).unwrap();
    let left = "not renewed, because --backward does not name it: the backward node of stage 1\n";
    assert!(said.contains(left) && held() == first, "{said}");
    let said = issue(&split("all", 2), folder, after(1)).unwrap();
    assert!(said.contains("not renewed, because --stages is lower: stage 2\n") && held() != first, "{said}");
    assert!(!said.contains("--backward") && folder.join("stage-0-backward.pem").exists(), "{said}");
    assert_eq!(fs::read(folder.join("stage-1-backward-key.pem")).unwrap(), key);
    assert_eq!(names(folder, "stage-1-backward.pem")[..3], own);
    let said = issue(&order(1), folder, after(1)).unwrap();
    assert!(said.contains("lower: stage 1, 2\n") && said.contains("backward node of stage 0, 1\n"), "{said}");

    let said = refused(&split("0,2", 2), folder, after(1));
    assert!(said.ends_with("--backward names stage 2, and the last stage is 1"), "{said}");
    for (host, why) in [
        ("1-backward=a", "a host of stage 1, backward, and --backward does not name stage 1"),
        ("5-backward=a", "a host of stage 5, backward, and the last stage is 1"),
    ] {
        let hosts = vec![host.parse().unwrap()];
        let said = refused(&Order { hosts, ..split("0", 2) }, folder, after(1));
        assert!(said.ends_with(why), "{said}");
    }
}

#[test]
fn on_kubernetes_a_certificate_names_the_service_of_its_process_unless_hosts_are_given() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let ordered = |hosts: &[&str], kubernetes| Order {
        backward: BackwardOf::All,
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        kubernetes,
        ..order(1)
    };
    let hosts = |order: &Order| {
        let said = issue(order, folder, after(0)).unwrap();
        let first = |name: &str| {
            names(folder, name)[1..].iter().take_while(|host| *host != "localhost").cloned().collect()
        };
        let [stage, half]: [Vec<String>; 2] = ["stage-0.pem", "stage-0-backward.pem"].map(first);
        (said, stage.join(" "), half.join(" "))
    };
    let refused = issue(&ordered(&[], true), folder, after(0)).unwrap_err().to_string();
    assert!(refused.contains("there is no kustomization.yaml: "), "{refused}");
    assert_eq!(folder.read_dir().unwrap().count(), 0, "no key lies where git does not ignore it");
    std::fs::write(folder.join("kustomization.yaml"), "- tls.crt=stage-0-backward.pem\n- ca.crt=ca.pem\n")
        .unwrap();
    let (said, stage, half) = hosts(&ordered(&["0=gpu.lab"], true));
    assert_eq!((stage.as_str(), half.as_str()), ("gpu.lab", "stage-0-backward"));
    assert!(said.contains("files for its Secret") && said.contains("kubectl apply -k OVERLAY"), "{said}");
    assert!(said.contains("out of every Secret") && !said.contains("--tls-ca"), "{said}");
    let (said, stage, _) = hosts(&ordered(&[], false));
    assert_eq!(stage, "gpu.lab", "a renewed certificate keeps its names");
    assert!(said.contains("--tls-ca") && !said.contains("kubectl"), "{said}");
}

#[test]
fn a_ca_outlives_its_certificates() {
    let temporary = tempfile::tempdir().unwrap();
    issue(&Order { days: 5000, ..order(1) }, temporary.path(), after(0)).unwrap();
    assert!(proves(temporary.path(), "stage-0.pem", 4999, KeyUsage::server_auth()).is_ok());
}

#[test]
fn a_folder_that_cannot_be_trusted_is_refused_in_a_sentence_and_stays_as_it_is() {
    let temporary = tempfile::tempdir().unwrap();
    let (ours, theirs) = (&temporary.path().join("ours"), &temporary.path().join("theirs"));
    let named = |name: &str| Order { deployment: Some(name.into()), ..order(1) };
    issue(&named("lab"), ours, after(0)).unwrap();
    issue(&named("other"), theirs, after(0)).unwrap();

    let said = refused(&named("other"), ours, after(1));
    assert!(said.contains("its CA is of deployment 'lab', not of 'other': leave out --deployment"), "{said}");
    let said = refused(&order(1), ours, after(3651));
    assert!(said.contains("its CA expired at 2034-") && said.contains("another --out"), "{said}");
    let said = refused(&order(1), ours, SystemTime::UNIX_EPOCH);
    assert!(said.ends_with("check the clock"), "{said}");
    let hosts = vec!["1=gpu".parse().unwrap()];
    let said = refused(&Order { hosts, ..order(1) }, ours, after(1));
    assert!(said.ends_with("--host names a host of stage 1, and the last stage is 0"), "{said}");

    let lock = Folder::claim(ours).unwrap();
    let said = refused(&order(1), ours, after(1));
    assert!(said.starts_with("another coordinator makes certificates in "), "{said}");
    drop(lock);

    // Each fault: a file is replaced by the other folder's file, by other text, or by nothing.
    let foreign = |name: &str| Some(fs::read(theirs.join(name)).unwrap());
    for (name, other, why) in [
        (CA_KEY, None, "ca-key.pem is missing: put it back"),
        (CA_KEY, foreign(CA_KEY), "ca-key.pem is not the key of ca.pem"),
        (CA, None, "it holds certificates and no ca.pem"),
        (CA, foreign("stage-0.pem"), "ca.pem is no CA that this command made"),
        (CA, foreign(CA_KEY), "ca.pem is no certificate in PEM"),
        ("stage-0.pem", foreign("stage-0.pem"), "stage-0.pem is the certificate of 'neuropil:other:stage:0'"),
        ("stage-0.pem", foreign(CA), "stage-0.pem names no process of Neuropil"),
        ("stage-0-key.pem", Some(b"\xff".to_vec()), "stage-0-key.pem"),
        ("stage-0-key.pem", Some(b"text".to_vec()), "stage-0-key.pem is no private key in PEM"),
    ] {
        let file = ours.join(name);
        let mine = fs::read(&file).unwrap();
        match other {
            Some(other) => fs::write(&file, other).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let said = refused(&order(1), ours, after(1));
        assert!(said.contains(why) && !said.contains('\n') && !said.contains("PRIVATE"), "{name}: {said}");
        fs::write(&file, mine).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::set_permissions(ours.join(CA_KEY), fs::Permissions::from_mode(0o640)).unwrap();
    let said = refused(&order(1), ours, after(1));
    assert!(said.contains("ca-key.pem is a key that others can read (mode 0640)"), "{said}");
    let said = issue(&named("a b"), &temporary.path().join("x"), after(0)).unwrap_err().sentence;
    assert!(said.contains("a deployment's name has 1 to 63 letters"), "{said}");
}

#[test]
fn a_call_that_ended_early_is_made_good_by_the_next() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    issue(&order(2), folder, after(0)).unwrap();
    let kept = fs::read(folder.join(CA_KEY)).unwrap();
    // The call ended before any certificate was there, and in the middle of a key.
    for name in [CA, "stage-0.pem", "stage-1.pem", "coordinator.pem", "stage-1-key.pem"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    fs::write(folder.join(".stage-1-key.pem.writing"), "half").unwrap();
    fs::set_permissions(folder.join(".stage-1-key.pem.writing"), fs::Permissions::from_mode(0o644)).unwrap();
    issue(&order(2), folder, after(0)).unwrap();
    assert_eq!(fs::read(folder.join(CA_KEY)).unwrap(), kept);
    assert!(proves(folder, "stage-1.pem", 0, KeyUsage::server_auth()).is_ok());
    let mode = fs::metadata(folder.join("stage-1-key.pem")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}
