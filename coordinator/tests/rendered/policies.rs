//! Tests of the NetworkPolicies, by what they allow altogether: every pod, strangers among them, calls every pod at
//! every port.

use crate::object::{has, list, selects, text};
use crate::rendering::{COMPONENT, COORDINATOR, Pod, Rendering, all};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The label that every namespace has, with its name.
const NAMESPACE: &str = "kubernetes.io/metadata.name";
/// The namespace of the run.
const HOME: &str = "home";
/// The namespace of Prometheus in the base; the overlay `monitoring` names the same.
const MONITORING: &str = "monitoring";
/// The ports that are tried: those of the pods, that of DNS, and two at which nothing listens.
const PORTS: [(u64, &str); 8] = [
    (7100, "TCP"),
    (7101, "TCP"),
    (7102, "TCP"),
    (7103, "TCP"),
    (53, "TCP"),
    (53, "UDP"),
    (443, "TCP"),
    (7100, "UDP"),
];

/// A pod that calls or is called: its name here, its namespace and its labels.
#[derive(Clone)]
struct Party {
    name: String,
    namespace: &'static str,
    labels: Value,
}

/// A call that policies allow: from, to, and the port.
type Call = (String, String, (u64, &'static str));

#[test]
fn policies_allow_the_ring_control_metrics_health_and_dns_and_nothing_else() {
    for rendering in all() {
        let parties = parties(&rendering);
        let policies: Vec<_> = rendering.of_kind("NetworkPolicy").collect();
        let (mut allowed, mut expected) = (BTreeSet::new(), BTreeSet::new());
        for from in &parties {
            for to in parties.iter().filter(|to| to.name != from.name) {
                for port in PORTS {
                    let call: Call = (from.name.clone(), to.name.clone(), port);
                    if egress(&policies, from, to, port) && ingress(&policies, from, to, port) {
                        allowed.insert(call.clone());
                    }
                    if is_wanted(&rendering, from, to, port) {
                        expected.insert(call);
                    }
                }
            }
        }
        let extra: Vec<_> = allowed.difference(&expected).collect();
        let missing: Vec<_> = expected.difference(&allowed).collect();
        assert!(
            extra.is_empty() && missing.is_empty(),
            "{}: extra {extra:?}, missing {missing:?}",
            rendering.name
        );
        assert!(expected.len() > rendering.nodes().len() * 3, "{}: {expected:?}", rendering.name);
    }
}

/// The pods of the run, and pods that are not of it: a stranger, one with the labels of a stage in another namespace,
/// Prometheus, and the cluster's DNS.
fn parties(rendering: &Rendering) -> Vec<Party> {
    let party = |name: &str, namespace, labels: &Value| Party {
        name: name.to_owned(),
        namespace,
        labels: labels.clone(),
    };
    let pods = rendering.pods();
    let first = rendering.nodes()[0].labels;
    let own = pods.iter().map(|pod| party(pod.component, HOME, pod.labels));
    own.chain([
        party("stranger", HOME, &json!({ "app": "stranger" })),
        party("impostor", "elsewhere", first),
        party("prometheus", MONITORING, &json!({ "app.kubernetes.io/name": "prometheus" })),
        party("dns", "kube-system", &json!({ "k8s-app": "kube-dns" })),
        party("system", "kube-system", &json!({ "k8s-app": "other" })),
    ])
    .collect()
}

/// Whether the run needs the call, or the call leaves it alone.
fn is_wanted(rendering: &Rendering, from: &Party, to: &Party, port: (u64, &str)) -> bool {
    let pods = rendering.pods();
    let of_run = |party: &Party| pods.iter().find(|pod| pod.component == party.name);
    let (caller, called) = (of_run(from), of_run(to));
    match (caller, called, port) {
        // Policies say nothing about pods that are not of the run.
        (None, None, _) => true,
        (Some(_), None, (53, _)) => to.name == "dns",
        (Some(_), None, _) => false,
        // A node's health is anybody's to ask for; the pods of the run themselves never ask.
        (None, Some(called), (7102, "TCP")) => called.component != COORDINATOR,
        (None, Some(_), (7103, "TCP")) => from.name == "prometheus",
        (None, Some(_), _) => false,
        (Some(caller), Some(called), (7101, "TCP")) => {
            caller.component == COORDINATOR && called.component != COORDINATOR
        }
        (Some(caller), Some(called), (7100, "TCP")) => is_link(rendering, caller, called),
        (Some(_), Some(_), _) => false,
    }
}

/// Whether one pod sends data to the other by a link that it opens.
fn is_link(rendering: &Rendering, caller: &Pod<'_>, called: &Pod<'_>) -> bool {
    let last = rendering.nodes().last().unwrap().place().unwrap().0;
    match (caller.place(), called.place()) {
        (None, Some((stage, false))) => stage == 0 || stage == last,
        (Some((below, false)), Some((above, false))) => below + 1 == above,
        (Some((stage, false)), Some((half, true))) => stage == half,
        _ => false,
    }
}

fn egress(policies: &[&Value], from: &Party, to: &Party, port: (u64, &str)) -> bool {
    allows(policies, ("Egress", "egress", "to"), from, to, port)
}

fn ingress(policies: &[&Value], from: &Party, to: &Party, port: (u64, &str)) -> bool {
    allows(policies, ("Ingress", "ingress", "from"), to, from, port)
}

/// Whether policies let a pod of theirs speak in one direction with a peer. A pod that no policy selects speaks with
/// all.
fn allows(
    policies: &[&Value],
    way: (&str, &str, &str),
    pod: &Party,
    peer: &Party,
    port: (u64, &str),
) -> bool {
    let (kind, rules, peers) = way;
    let selecting = |policy: &&&Value| {
        let spec = &policy["spec"];
        pod.namespace == HOME
            && list(&spec["policyTypes"]).iter().any(|each| each == kind)
            && selects(&spec["podSelector"], &pod.labels)
    };
    let mut selecting = policies.iter().filter(selecting).peekable();
    selecting.peek().is_none()
        || selecting.flat_map(|policy| list(&policy["spec"][rules])).any(|rule| {
            let is_peer = rule[peers].is_null() || list(&rule[peers]).iter().any(|each| is_peer(each, peer));
            is_peer
                && (rule["ports"].is_null() || list(&rule["ports"]).iter().any(|each| is_port(each, port)))
        })
}

fn is_peer(rule: &Value, peer: &Party) -> bool {
    assert!(rule["ipBlock"].is_null(), "no policy speaks of addresses: {rule}");
    let namespace = json!({ NAMESPACE: peer.namespace });
    let is_near = match &rule["namespaceSelector"] {
        Value::Null => peer.namespace == HOME,
        selector => selects(selector, &namespace),
    };
    is_near && (rule["podSelector"].is_null() || selects(&rule["podSelector"], &peer.labels))
}

fn is_port(rule: &Value, (number, protocol): (u64, &str)) -> bool {
    assert!(rule["endPort"].is_null(), "no policy speaks of a range: {rule}");
    rule["port"].as_u64().expect("a policy numbers its ports") == number
        && text(&rule["protocol"]) == protocol
}

#[test]
fn every_policy_is_for_pods_of_the_run_alone() {
    for rendering in all() {
        for policy in rendering.of_kind("NetworkPolicy") {
            let selector = &policy["spec"]["podSelector"];
            let labels = selector["matchLabels"].as_object().expect("labels");
            let is_of_one = labels.contains_key(COMPONENT);
            let selected: Vec<_> =
                rendering.pods().into_iter().filter(|pod| pod.is_selected(selector)).collect();
            assert!(!selected.is_empty(), "{}: {policy}", rendering.name);
            assert!(!is_of_one || selected.len() == 1, "{}: {policy}", rendering.name);
            let run = json!({ "app.kubernetes.io/name": "neuropil", "app.kubernetes.io/instance": rendering.run() });
            assert!(has(&selector["matchLabels"], run.as_object().unwrap()), "{}: {policy}", rendering.name);
        }
    }
}
