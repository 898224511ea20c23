//! Tests of pods: their security, their image, their resources, and what starts them again.

use crate::object::{list, name, named, text, texts};
use crate::rendering::{COORDINATOR, Pod, Rendering, all, overlays};
use serde_json::{Value, json};

/// The kinds of volumes that the restricted profile allows.
const VOLUMES: [&str; 7] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "secret"];

#[test]
fn every_pod_keeps_the_restricted_profile_and_a_root_file_system_that_is_only_read() {
    for_every_pod(|pod, at| {
        let (security, container) = (&pod.spec["securityContext"], &pod.container()["securityContext"]);
        assert_eq!(security["runAsNonRoot"], true, "{at}");
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault", "{at}");
        assert_eq!(container["allowPrivilegeEscalation"], false, "{at}");
        assert_eq!(container["capabilities"], json!({ "drop": ["ALL"] }), "{at}");
        assert_eq!(container["readOnlyRootFilesystem"], true, "{at}");
        assert!(
            !["privileged", "runAsUser", "runAsNonRoot"].iter().any(|key| !container[key].is_null()),
            "{at}"
        );
        assert!(security["runAsUser"].as_u64().is_none_or(|user| user > 0), "{at}");
        for kind in ["hostNetwork", "hostPID", "hostIPC", "serviceAccountName"] {
            assert!(pod.spec[kind].is_null(), "{at}: {kind}");
        }
        assert_eq!(pod.spec["automountServiceAccountToken"], false, "{at}");
        assert_eq!(pod.spec["enableServiceLinks"], false, "{at}");
        assert!(list(&pod.container()["ports"]).iter().all(|port| port["hostPort"].is_null()), "{at}");
        for volume in list(&pod.spec["volumes"]) {
            let kinds: Vec<_> = volume.as_object().unwrap().keys().filter(|key| *key != "name").collect();
            assert!(matches!(kinds[..], [kind] if VOLUMES.contains(&kind.as_str())), "{at}: {volume}");
        }
    });
}

#[test]
fn every_pod_asks_for_what_it_needs_has_time_to_drain_and_keeps_away_from_the_others() {
    for_every_pod(|pod, at| {
        let resources = &pod.container()["resources"];
        for (kind, resource) in [("requests", "cpu"), ("requests", "memory"), ("limits", "memory")] {
            assert!(!resources[kind][resource].is_null(), "{at}: {kind} of {resource}");
        }
        // A node's drain takes seven seconds before it writes its state; the coordinator waits for all nodes' drains.
        let least = if pod.component == COORDINATOR { 90 } else { 30 };
        assert!(pod.spec["terminationGracePeriodSeconds"].as_u64() >= Some(least), "{at}");
        let [spread] = list(&pod.spec["topologySpreadConstraints"]) else { panic!("{at}: one spread") };
        assert_eq!(spread["topologyKey"], "kubernetes.io/hostname", "{at}");
        assert_eq!(spread["whenUnsatisfiable"], "ScheduleAnyway", "{at}");
        assert!(pod.is_selected(&spread["labelSelector"]), "{at}");
    });
}

#[test]
fn an_overlay_takes_the_variant_of_the_image_that_it_needs() {
    let Some(overlays) = overlays() else { return };
    for rendering in overlays {
        let variant = if rendering.name == "imagenet-gpu" { "neuropil:cuda" } else { "neuropil:demo" };
        for pod in rendering.pods() {
            assert_eq!(pod.container()["image"], variant, "{}: {}", rendering.name, pod.component);
            assert!(pod.spec["initContainers"].is_null(), "{}: {}", rendering.name, pod.component);
            let command = if pod.component == COORDINATOR { "coordinator" } else { "layer-node" };
            assert_eq!(texts(&pod.container()["command"]), [command], "{}", rendering.name);
        }
    }
}

#[test]
fn the_coordinators_job_starts_it_again_unless_its_exit_code_says_that_it_would_end_the_same_way() {
    for rendering in all() {
        let (at, coordinator) = (&rendering.name, rendering.coordinator());
        assert_eq!(coordinator.spec["restartPolicy"], "Never", "{at}");
        let job = coordinator.owner;
        assert_eq!(job["podReplacementPolicy"], "Failed", "{at}");
        assert!(job["backoffLimit"].as_u64() >= Some(6), "{at}");
        let [disrupted, refused, retried] = list(&job["podFailurePolicy"]["rules"]) else {
            panic!("{at}: three rules")
        };
        assert_eq!(disrupted["action"], "Ignore", "{at}");
        let condition = json!([{ "type": "DisruptionTarget", "status": "True" }]);
        assert_eq!(disrupted["onPodConditions"], condition, "{at}");
        for (rule, action, codes) in
            [(refused, "FailJob", json!([1, 2, 3, 5])), (retried, "Count", json!([4, 75]))]
        {
            let exits = json!({ "containerName": "coordinator", "operator": "In", "values": codes });
            assert_eq!((&rule["action"], &rule["onExitCodes"]), (&json!(action), &exits), "{at}");
        }
    }
}

#[test]
fn evictions_take_one_stage_at_a_time_and_do_not_count_the_coordinator() {
    for rendering in all().into_iter().filter(|rendering| !is_job_set(rendering)) {
        let [budget] = rendering.of_kind("PodDisruptionBudget").collect::<Vec<_>>()[..] else {
            panic!("{}: one budget", rendering.name)
        };
        let spec = &budget["spec"];
        assert_eq!(spec["maxUnavailable"], 1, "{}", rendering.name);
        assert_eq!(spec["unhealthyPodEvictionPolicy"], "AlwaysAllow", "{}", rendering.name);
        for pod in rendering.pods() {
            let is_node = pod.component != COORDINATOR;
            assert_eq!(pod.is_selected(&spec["selector"]), is_node, "{}: {}", rendering.name, pod.component);
        }
    }
}

#[test]
fn each_stage_has_a_gpu_shared_memory_and_no_data_and_only_the_coordinator_has_the_data() {
    for rendering in all().into_iter().filter(|rendering| rendering.name.contains("imagenet-gpu")) {
        for pod in rendering.pods() {
            let (at, is_node) =
                (format!("{}: {}", rendering.name, pod.component), pod.component != COORDINATOR);
            let gpus = &pod.container()["resources"]["limits"]["nvidia.com/gpu"];
            assert_eq!(gpus.as_u64(), is_node.then_some(1), "{at}");
            assert_eq!(pod.argument("--device"), is_node.then_some("cuda:0"), "{at}");
            let mounts = &pod.container()["volumeMounts"];
            let shared = list(mounts).iter().find(|mount| mount["mountPath"] == "/dev/shm");
            let medium = shared
                .map(|mount| &named(&pod.spec["volumes"], name_of(mount)).unwrap()["emptyDir"]["medium"]);
            assert_eq!(medium, is_node.then_some(&json!("Memory")), "{at}");
            let data = named(mounts, "data");
            assert_eq!(data.map(|mount| &mount["readOnly"]), (!is_node).then_some(&json!(true)), "{at}");
            if let Some(mount) = data {
                let root = named(&pod.container()["env"], "NEUROPIL_DATA").map(|variable| &variable["value"]);
                assert_eq!(root, Some(&mount["mountPath"]), "{at}");
                let claim = &named(&pod.spec["volumes"], "data").unwrap()["persistentVolumeClaim"];
                assert_eq!(*claim, json!({ "claimName": "imagenet", "readOnly": true }), "{at}");
            }
        }
    }
}

fn name_of(mount: &Value) -> &str {
    text(&mount["name"])
}

/// Whether the run is one JobSet.
fn is_job_set(rendering: &Rendering) -> bool {
    rendering.of_kind("JobSet").map(name).next().is_some()
}

fn for_every_pod(check: impl Fn(&Pod<'_>, &str)) {
    for rendering in all() {
        let pods = rendering.pods();
        assert!(pods.len() > 1, "{} has pods", rendering.name);
        pods.iter().for_each(|pod| check(pod, &format!("{}: {}", rendering.name, pod.component)));
    }
}
