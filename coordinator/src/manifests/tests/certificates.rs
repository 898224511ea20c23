//! The certificates that cert-manager would make: issued here from the same fields, and given to the programs' own
//! check.

use super::*;
use proto::identity::Identity;
use proto::link::Role;
use proto::transport::tls::{Credentials, Security};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose as Purpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::UnixTime;
use std::fs;
use std::time::SystemTime;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// The certificate that cert-manager makes from a Certificate's fields.
fn params(certificate: &Value) -> CertificateParams {
    let spec = &certificate["spec"];
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, words(&spec["commonName"]));
    params.distinguished_name.push(DnType::OrganizationName, words(&spec["subject"]["organizations"][0]));
    params.is_ca = match spec["isCA"].as_bool() {
        Some(true) => IsCa::Ca(BasicConstraints::Unconstrained),
        _ => IsCa::ExplicitNoCa,
    };
    for usage in items(&spec["usages"]) {
        match usage.as_str().unwrap() {
            "cert sign" => params.key_usages.push(KeyUsagePurpose::KeyCertSign),
            "digital signature" => params.key_usages.push(KeyUsagePurpose::DigitalSignature),
            "server auth" => params.extended_key_usages.push(Purpose::ServerAuth),
            "client auth" => params.extended_key_usages.push(Purpose::ClientAuth),
            other => panic!("{other}"),
        }
    }
    let text = |name: &Value| words(name).try_into().unwrap();
    params.subject_alt_names.extend(items(&spec["uris"]).iter().map(|uri| SanType::URI(text(uri))));
    params.subject_alt_names.extend(items(&spec["dnsNames"]).iter().map(|name| SanType::DnsName(text(name))));
    params
}

/// A key of the kind that a Certificate orders.
fn key(certificate: &Value) -> KeyPair {
    let due = serde_json::json!({ "algorithm": "ECDSA", "size": 256, "encoding": "PKCS8" });
    let mut order = certificate["spec"]["privateKey"].clone();
    order.as_object_mut().unwrap().remove("rotationPolicy");
    assert_eq!(order, due, "{}", name(certificate));
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

#[test]
fn cert_manager_makes_certificates_that_both_programs_believe() {
    let folder = tempfile::tempdir().unwrap();
    let split = made(&SPLIT);
    let objects = split.resources("cert-manager/kustomization.yaml");
    let issuers = of_kind(&objects, "Issuer");
    let issuer_of = |certificate: &Value| {
        let wanted = &certificate["spec"]["issuerRef"];
        assert_eq!((&wanted["group"], &wanted["kind"]), (&"cert-manager.io".into(), &"Issuer".into()));
        issuers.iter().find(|issuer| issuer["metadata"]["name"] == wanted["name"]).unwrap()["spec"].clone()
    };
    let (authority, leaves): (Vec<Value>, Vec<Value>) = of_kind(&objects, "Certificate")
        .into_iter()
        .partition(|certificate| certificate["spec"]["isCA"] == true);
    let [authority] = &authority[..] else { panic!("one CA is due") };
    assert!(issuer_of(authority)["selfSigned"].is_object());
    let (ca_params, ca_key) = (params(authority), key(authority));
    let ca = ca_params.self_signed(&ca_key).unwrap();
    let ca_file = folder.path().join("ca.crt");
    fs::write(&ca_file, ca.pem()).unwrap();
    let issuer = Issuer::new(ca_params, ca_key);

    let mut roles = Vec::new();
    for leaf in &leaves {
        assert_eq!(issuer_of(leaf)["ca"]["secretName"], authority["spec"]["secretName"]);
        let own = key(leaf);
        let certificate = params(leaf).signed_by(&own, &issuer).unwrap();
        let [cert_file, key_file] = ["tls.crt", "tls.key"].map(|file| folder.path().join(file));
        fs::write(&cert_file, certificate.pem()).unwrap();
        fs::write(&key_file, own.serialize_pem()).unwrap();
        let files = Credentials { ca: ca_file.clone(), certificate: cert_file, key: key_file };
        let identity: Identity = Security::open(&files).unwrap().identity().unwrap();
        assert_eq!(identity.deployment(), "demo");
        assert_eq!(
            name(leaf),
            format!("{}-tls", prepare::file_stem(identity.role())),
            "the Secret is its own"
        );

        // The chain and the uses, which the other end of a connection demands.
        let anchors = [anchor_from_trusted_cert(ca.der()).unwrap()];
        let verified = |usage: KeyUsage| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let leaf = EndEntityCert::try_from(certificate.der()).unwrap();
            let algorithms = &[webpki::ring::ECDSA_P256_SHA256];
            leaf.verify_for_usage(
                algorithms,
                &anchors,
                &[],
                UnixTime::since_unix_epoch(now),
                usage,
                None,
                None,
            )
            .is_ok()
        };
        let (as_client, as_server) = (verified(KeyUsage::client_auth()), verified(KeyUsage::server_auth()));
        assert_eq!((as_client, as_server), (true, identity.role() != Role::Coordinator), "{identity}");
        roles.push(identity.role());
    }
    let stages = (0..5).map(Role::Stage).chain((0..5).map(Role::Backward));
    assert!(roles.into_iter().eq(stages.chain([Role::Coordinator])));
}

#[test]
fn the_secrets_are_of_the_files_that_the_command_makes_and_none_has_the_key_of_the_ca() {
    for (run, made) in variants() {
        let component = &made.read("certificates/kustomization.yaml")[0];
        for (secret, process) in items(&component["secretGenerator"])
            .iter()
            .zip(made.nodes().iter().chain([&"coordinator".to_owned()]))
        {
            let files: Vec<String> = items(&secret["files"]).iter().map(words).collect();
            let due = [
                "ca.crt=ca.pem".to_owned(),
                format!("tls.crt={process}.pem"),
                format!("tls.key={process}-key.pem"),
            ];
            assert_eq!((name(secret), files), (format!("{process}-tls"), due.to_vec()), "{run}");
        }
        assert!(made.text("certificates/.gitignore").ends_with("\n*.pem\n"));
    }
}
