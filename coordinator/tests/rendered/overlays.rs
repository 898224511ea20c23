//! Tests of what single overlays are for. They need the rendered overlays.

use crate::object::{list, name, selects, text, texts};
use crate::rendering::{COORDINATOR, all, overlay, overlays};
use serde_json::json;

/// The label of Kueue that names the queue.
const QUEUE: &str = "kueue.x-k8s.io/queue-name";

#[test]
fn a_job_set_is_the_whole_run_and_ends_with_the_coordinator() {
    for rendering in ["jobset", "kueue"].iter().filter_map(|name| overlay(name)) {
        let at = &rendering.name;
        for kind in ["StatefulSet", "Job", "PodDisruptionBudget"] {
            assert_eq!(rendering.of_kind(kind).count(), 0, "{at}: {kind}");
        }
        let [set] = rendering.of_kind("JobSet").collect::<Vec<_>>()[..] else { panic!("{at}: one JobSet") };
        assert_eq!(name(set), rendering.run(), "{at}");
        let spec = &set["spec"];
        let success = json!({ "operator": "All", "targetReplicatedJobs": [COORDINATOR] });
        assert_eq!(spec["successPolicy"], success, "{at}");
        for job in list(&spec["replicatedJobs"]) {
            assert_eq!(job["replicas"].as_u64().unwrap_or(1), 1, "{at}");
            let labels = &job["template"]["spec"]["template"]["metadata"]["labels"];
            assert_eq!(job["name"], labels[crate::rendering::COMPONENT], "{at}");
            let spec = &job["template"]["spec"];
            assert!(spec["volumeClaimTemplates"].is_null(), "{at}");
            let env = spec["template"]["spec"]["containers"][0]["env"].to_string();
            assert!(
                env.contains("NEUROPIL_ATTEMPT") && env.contains("jobset.sigs.k8s.io/execution-attempt"),
                "{at}: {env}"
            );
        }
        // Each node's volume is its own.
        let mut claims: Vec<_> = rendering.of_kind("PersistentVolumeClaim").map(name).collect();
        let count = claims.len();
        claims.sort();
        claims.dedup();
        assert_eq!(
            (claims.len(), count),
            (rendering.pods().len(), rendering.pods().len()),
            "{at}: {claims:?}"
        );
        for pod in rendering.pods() {
            let own = list(&pod.spec["volumes"])
                .iter()
                .filter_map(|each| each["persistentVolumeClaim"]["claimName"].as_str());
            claims.retain(|claim| !own.clone().any(|own| own == *claim));
        }
        assert!(claims.is_empty(), "{at}: nobody mounts {claims:?}");
    }
}

#[test]
fn only_kueue_suspends_and_it_has_a_queue() {
    let Some(overlays) = overlays() else { return };
    for rendering in overlays {
        let is_queued = rendering.name == "kueue";
        for object in &rendering.objects {
            let is_set = object["kind"] == "JobSet";
            assert_eq!(
                object["spec"]["suspend"] == true,
                is_queued && is_set,
                "{}: {}",
                rendering.name,
                name(object)
            );
            let queue = object["metadata"]["labels"][QUEUE].as_str();
            assert_eq!(queue.is_some(), is_queued && is_set, "{}: {}", rendering.name, name(object));
        }
    }
}

#[test]
fn prometheus_scrapes_every_pod_from_the_namespace_that_the_policy_names() {
    let Some(rendering) = overlay("monitoring") else { return };
    let [monitor] = rendering.of_kind("PodMonitor").collect::<Vec<_>>()[..] else { panic!("one PodMonitor") };
    let spec = &monitor["spec"];
    assert!(rendering.pods().iter().all(|pod| selects(&spec["selector"], pod.labels)), "{spec}");
    let [endpoint] = list(&spec["podMetricsEndpoints"]) else { panic!("one endpoint") };
    assert!(rendering.pods().iter().all(|pod| pod.port(text(&endpoint["port"])).is_some()), "{endpoint}");
    let labels: Vec<_> =
        list(&endpoint["relabelings"]).iter().map(|each| text(&each["targetLabel"])).collect();
    assert_eq!(labels, ["run", "component"], "the labels that the alerts and the dashboard name");
    for source in list(&endpoint["relabelings"]).iter().flat_map(|each| texts(&each["sourceLabels"])) {
        let label = source.strip_prefix("__meta_kubernetes_pod_label_").expect("a label of the pod");
        let as_metric = |key: &str| key.replace(['.', '/', '-'], "_");
        let has = |labels: &serde_json::Value| {
            labels.as_object().unwrap().keys().any(|key| as_metric(key) == label)
        };
        assert!(rendering.pods().iter().all(|pod| has(pod.labels)), "{label}");
    }
}

#[test]
fn a_volume_survives_its_pod_and_belongs_to_one_node() {
    for rendering in all() {
        for set in rendering.of_kind("StatefulSet") {
            let [template] = list(&set["spec"]["volumeClaimTemplates"]) else {
                panic!("{}: one volume", name(set))
            };
            assert_eq!(texts(&template["spec"]["accessModes"]), ["ReadWriteOnce"], "{}", rendering.name);
            let retention = &set["spec"]["persistentVolumeClaimRetentionPolicy"];
            assert!(
                retention.is_null() || retention["whenScaled"] == "Retain",
                "{}: {retention}",
                rendering.name
            );
        }
    }
}
