//! The network policies, evaluated: the ports that each process of a run, and each stranger, can reach.

use super::*;
use std::collections::BTreeSet;

/// A pod anywhere in the cluster.
struct Pod {
    name: String,
    labels: Value,
    /// The name of its namespace; that of the run is empty.
    namespace: &'static str,
}

impl Pod {
    fn outside(name: &str, namespace: &'static str, labels: Value) -> Self {
        Self { name: name.into(), labels, namespace }
    }

    /// Whether this pod is one of the peers of a rule.
    fn is_among(&self, peers: &Value) -> bool {
        peers.is_null() || items(peers).iter().any(|peer| self.is(peer))
    }

    fn is(&self, peer: &Value) -> bool {
        let namespace = serde_json::json!({ "kubernetes.io/metadata.name": self.namespace });
        let at_home = match &peer["namespaceSelector"] {
            Value::Null => self.namespace.is_empty(),
            selector => selects(selector, &namespace),
        };
        at_home && (peer["podSelector"].is_null() || selects(&peer["podSelector"], &self.labels))
    }
}

/// Whether the policies let `from` reach a TCP port of `to`.
fn reaches(policies: &[Value], from: &Pod, to: &Pod, port: u64) -> bool {
    let side = |own: &Pod, direction: &str, rules: &str, side: &str, other: &Pod| {
        let is_own = |policy: &&Value| {
            let spec = &policy["spec"];
            own.namespace.is_empty()
                && selects(&spec["podSelector"], &own.labels)
                && items(&spec["policyTypes"]).contains(&direction.into())
        };
        let own: Vec<&Value> = policies.iter().filter(is_own).collect();
        let allows = |rule: &Value| {
            let ports = items(&rule["ports"]);
            let has_port = ports.iter().any(|found| found["port"] == port && found["protocol"] == "TCP");
            has_port && other.is_among(&rule[side])
        };
        own.is_empty() || own.iter().any(|policy| items(&policy["spec"][rules]).iter().any(allows))
    };
    side(from, "Egress", "egress", "to", to) && side(to, "Ingress", "ingress", "from", from)
}

/// Everything that the policies of a run let through, as `FROM>TO:PORT`.
fn open(made: &Manifests) -> BTreeSet<String> {
    let base = made.base();
    let policies = of_kind(&base, "NetworkPolicy");
    let workloads = [of_kind(&base, "StatefulSet"), of_kind(&base, "Job")].concat();
    let of_run = workloads
        .iter()
        .map(|workload| Pod::outside(&name(workload), "", pod(workload)["metadata"]["labels"].clone()));
    let mut pods: Vec<Pod> = of_run.collect();
    pods.push(Pod::outside("stranger", "", serde_json::json!({ "app.kubernetes.io/name": "neuropil" })));
    pods.push(Pod::outside("elsewhere", "other", pods[0].labels.clone()));
    pods.push(Pod::outside("prometheus", "monitoring", serde_json::json!({})));
    pods.push(Pod::outside("dns", "kube-system", serde_json::json!({ "k8s-app": "kube-dns" })));
    let mut open = BTreeSet::new();
    for from in &pods {
        for to in pods.iter().filter(|to| to.name != from.name) {
            // Calls between two pods outside of the run concern no policy of the run.
            if [from, to].iter().any(|pod| made.nodes().contains(&pod.name) || pod.name == "coordinator") {
                let ports = [53, 443, 7100, 7101, 7102, 7103].into_iter();
                open.extend(
                    ports
                        .filter(|port| reaches(&policies, from, to, *port))
                        .map(|port| format!("{}>{}:{port}", from.name, to.name)),
                );
            }
        }
    }
    open
}

/// The ports that must be open, for the given links of the data plane.
fn due(nodes: &[String], links: &str) -> BTreeSet<String> {
    let mut due: BTreeSet<String> = links.split(' ').map(|link| format!("{link}:7100")).collect();
    due.insert("coordinator>dns:53".into());
    due.insert("prometheus>coordinator:7103".into());
    for node in nodes {
        due.insert(format!("coordinator>{node}:7101"));
        due.insert(format!("{node}>dns:53"));
        due.insert(format!("prometheus>{node}:7103"));
        // The port is open to everybody, but a pod of the run may not send the request.
        due.extend(["stranger", "elsewhere", "prometheus", "dns"].map(|from| format!("{from}>{node}:7102")));
    }
    due
}

#[test]
fn policies_let_the_ring_the_control_plane_and_the_halves_through_and_nothing_else() {
    let stages = |count: &'static str| format!("pipeline.stages={count}");
    for (sets, links) in [
        (vec![stages("1")], "coordinator>stage-0"),
        (vec![stages("2")], "coordinator>stage-0 coordinator>stage-1 stage-0>stage-1"),
        (
            vec![],
            "coordinator>stage-0 coordinator>stage-4 stage-0>stage-1 stage-1>stage-2 stage-2>stage-3 stage-3>stage-4",
        ),
        (vec![stages("1"), SPLIT[0].into(), SPLIT[1].into()], "coordinator>stage-0 stage-0>stage-0-backward"),
        (
            vec![stages("2"), SPLIT[0].into(), SPLIT[1].into()],
            "coordinator>stage-0 coordinator>stage-1 stage-0>stage-1 stage-0>stage-0-backward stage-1>stage-1-backward",
        ),
        (
            vec![SPLIT[0].into(), "pipeline.placement=[\"conv3\"]".into()],
            "coordinator>stage-0 coordinator>stage-4 stage-0>stage-1 stage-1>stage-2 stage-2>stage-3 stage-3>stage-4 \
             stage-2>stage-2-backward",
        ),
    ] {
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let made = made(&sets);
        let (open, due) = (open(&made), due(&made.nodes(), links));
        let [more, less] = [&open - &due, &due - &open];
        assert!(more.is_empty() && less.is_empty(), "{sets:?}: open is {more:?}, and closed is {less:?}");
    }
}
