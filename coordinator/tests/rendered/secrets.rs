//! Tests of the Secrets: each process has a certificate of its own, and the CA's key is nowhere.

use crate::object::{list, name, text, texts};
use crate::rendering::all;
use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use std::collections::BTreeSet;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

#[test]
fn every_process_has_a_secret_with_its_identity_and_its_key_and_no_secret_has_the_key_of_the_ca() {
    for rendering in all() {
        let expected: BTreeSet<_> =
            rendering.pods().iter().map(|pod| format!("{}-tls", pod.component)).collect();
        if rendering.of_kind("Certificate").next().is_some() {
            assert_eq!(
                rendering.of_kind("Secret").count(),
                0,
                "{}: cert-manager makes all Secrets",
                rendering.name
            );
            continue;
        }
        let found: BTreeSet<_> = rendering.of_kind("Secret").map(|secret| name(secret).to_owned()).collect();
        assert_eq!(found, expected, "{}", rendering.name);
        let mut deployments = BTreeSet::new();
        for secret in rendering.of_kind("Secret") {
            let (at, data) = (format!("{}: {}", rendering.name, name(secret)), &secret["data"]);
            assert_eq!(secret["type"], "kubernetes.io/tls", "{at}");
            let keys: Vec<_> = data.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["ca.crt", "tls.crt", "tls.key"], "{at}");
            // Without kustomize there are no values.
            if !data["tls.key"].is_null() {
                deployments.insert(holds(data, &role(name(secret)), &at));
            }
        }
        // Processes of two deployments refuse each other.
        assert!(deployments.len() < 2, "{}: {deployments:?}", rendering.name);
    }
}

/// Checks the values of a Secret for a process of this role, and returns the process's deployment.
fn holds(data: &Value, role: &str, at: &str) -> String {
    let [authority, own] = ["ca.crt", "tls.crt"].map(|key| decoded(&data[key]));
    let [authority, own] = [&authority, &own].map(|pem| CertificateDer::from_pem_slice(pem).unwrap());
    let [authority, own] = [&authority, &own].map(|der| X509Certificate::from_der(der).unwrap().1);
    let key = String::from_utf8(decoded(&data["tls.key"])).unwrap();
    assert_eq!(key.matches("PRIVATE KEY-----").count(), 2, "{at}: one key, between its marks");
    let public = KeyPair::from_pem(&key).unwrap().subject_public_key_info();
    assert!(authority.is_ca() && !own.is_ca(), "{at}");
    assert_eq!(own.public_key().raw, public, "{at}: the key is that of the certificate");
    assert_ne!(authority.public_key().raw, public, "{at}: the key is not that of the CA");
    let names = own.subject_alternative_name().unwrap().expect("names");
    let [identity] = names.value.general_names.iter().filter_map(uri).collect::<Vec<_>>()[..] else {
        panic!("{at}: one identity")
    };
    let deployment =
        identity.strip_prefix("neuropil:").and_then(|rest| rest.strip_suffix(&format!(":{role}")));
    deployment.unwrap_or_else(|| panic!("{at}: {identity} is for {role}")).to_owned()
}

fn uri<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    match name {
        GeneralName::URI(uri) => Some(uri),
        _ => None,
    }
}

/// The bytes of a Secret's value, which is base64 as the body of a PEM block is.
fn decoded(value: &Value) -> Vec<u8> {
    let block = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", text(value));
    CertificateDer::from_pem_slice(block.as_bytes()).unwrap().to_vec()
}

/// The role, as an identity spells it, of the process that a Secret is for.
fn role(secret: &str) -> String {
    let component = secret.strip_suffix("-tls").unwrap();
    match component.strip_prefix("stage-") {
        None => component.to_owned(),
        Some(stage) => format!("stage:{}", stage.replace("-backward", ":backward")),
    }
}

#[test]
fn cert_manager_makes_the_same_identities_from_a_ca_of_its_own() {
    for rendering in all().iter().filter(|rendering| rendering.of_kind("Certificate").next().is_some()) {
        let (of_ca, of_processes): (Vec<_>, Vec<_>) =
            rendering.of_kind("Certificate").partition(|certificate| certificate["spec"]["isCA"] == true);
        let [of_ca] = of_ca[..] else { panic!("one CA") };
        let issuer = |certificate: &Value| {
            let issuer = text(&certificate["spec"]["issuerRef"]["name"]).to_owned();
            rendering.find("Issuer", &issuer).unwrap_or_else(|| panic!("there is no issuer {issuer}"))
        };
        assert!(!issuer(of_ca)["spec"]["selfSigned"].is_null(), "{of_ca}");
        let secrets: BTreeSet<_> =
            of_processes.iter().map(|each| text(&each["spec"]["secretName"]).to_owned()).collect();
        let expected: BTreeSet<_> =
            rendering.pods().iter().map(|pod| format!("{}-tls", pod.component)).collect();
        assert_eq!(secrets, expected);
        assert_eq!(of_processes.len(), expected.len());
        for certificate in of_processes {
            let spec = &certificate["spec"];
            assert_eq!(
                issuer(certificate)["spec"]["ca"]["secretName"],
                of_ca["spec"]["secretName"],
                "{spec}"
            );
            let secret = text(&spec["secretName"]);
            let identity = format!("neuropil:{}:{}", rendering.run(), role(secret));
            assert_eq!(texts(&spec["uris"]), [identity]);
            // Every node dials its neighbour, and is dialled.
            for usage in ["client auth", "server auth"] {
                let is_dialled = secret != "coordinator-tls" || usage == "client auth";
                assert!(!is_dialled || list(&spec["usages"]).iter().any(|each| each == usage), "{spec}");
            }
            assert!(spec["isCA"] != true, "{spec}");
        }
        // No pod mounts the Secret of the CA, which holds its key.
        let volumes = rendering.pods().iter().map(|pod| pod.spec["volumes"].to_string()).collect::<String>();
        assert!(!volumes.contains(text(&of_ca["spec"]["secretName"])), "{volumes}");
    }
}
