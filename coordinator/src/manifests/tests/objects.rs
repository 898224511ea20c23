//! Names, labels and ports: everything that an object refers to exists.

use super::*;
use std::collections::BTreeSet;

#[test]
fn whatever_a_pod_mounts_and_a_stateful_set_names_is_there() {
    for (run, made) in variants() {
        let base = made.base();
        let names = |kind: &str| of_kind(&base, kind).iter().map(name).collect::<BTreeSet<_>>();
        let generated = |file: &str, kind: &str| -> BTreeSet<String> {
            items(&made.read(file)[0][kind]).iter().map(name).collect()
        };
        let secrets = generated("certificates/kustomization.yaml", "secretGenerator");
        let maps = generated("kustomization.yaml", "configMapGenerator");
        let certified = made.resources("cert-manager/kustomization.yaml");
        let certified =
            of_kind(&certified, "Certificate").iter().map(|c| words(&c["spec"]["secretName"])).collect();
        assert_eq!(
            &secrets | &BTreeSet::from(["ca".to_owned()]),
            certified,
            "{run}: both make the same Secrets"
        );
        let sets = of_kind(&base, "StatefulSet");
        let mut mounted = BTreeSet::new();
        for workload in sets.iter().chain(&of_kind(&base, "Job")) {
            let volumes = items(&pod(workload)["spec"]["volumes"]);
            let claims = items(&workload["spec"]["volumeClaimTemplates"]);
            let known: Vec<String> = volumes.iter().chain(claims).map(name).collect();
            let mounts = items(&container(pod(workload))["volumeMounts"]);
            assert!(
                mounts.iter().map(name).collect::<BTreeSet<_>>().iter().eq(BTreeSet::from_iter(&known)),
                "{run}"
            );
            for volume in volumes {
                if let Some(secret) = volume["secret"]["secretName"].as_str() {
                    assert!(secrets.contains(secret), "{run}: {secret}");
                    mounted.insert(secret.to_owned());
                }
                if let Some(map) = volume["configMap"]["name"].as_str() {
                    assert!(maps.contains(map), "{run}: {map}");
                }
                if let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() {
                    assert!(names("PersistentVolumeClaim").contains(claim), "{run}: {claim}");
                }
            }
        }
        assert_eq!(mounted, secrets, "{run}: no Secret is left over, and that of the CA is in no pod");
        for set in &sets {
            assert!(names("Service").contains(&words(&set["spec"]["serviceName"])), "{run}");
            assert_eq!(set["spec"]["serviceName"], set["metadata"]["name"], "{run}");
        }
        let addresses: Vec<String> = args(&of_kind(&base, "Job")[0])
            .iter()
            .filter_map(|arg| arg.strip_prefix("--nodes=").or(arg.strip_prefix("--backward-nodes=")))
            .flat_map(|list| list.split(',').map(|address| address.strip_suffix(":7101").unwrap().to_owned()))
            .collect();
        assert_eq!(addresses, made.nodes(), "{run}: every node is named, in order");
    }
}

fn args(workload: &Value) -> Vec<String> {
    items(&container(pod(workload))["args"]).iter().map(words).collect()
}

#[test]
fn selectors_take_the_pods_that_they_are_meant_for() {
    for (run, made) in variants() {
        let base = made.base();
        let workloads = [of_kind(&base, "StatefulSet"), of_kind(&base, "Job")].concat();
        // Each pod with the name of its process.
        let pods: Vec<(String, &Value)> =
            workloads.iter().map(|workload| (name(workload), &pod(workload)["metadata"]["labels"])).collect();
        let taken = |selector: &Value| -> Vec<&str> {
            pods.iter()
                .filter(|(_, labels)| selects(selector, labels))
                .map(|(name, _)| name.as_str())
                .collect()
        };
        for set in of_kind(&base, "StatefulSet") {
            assert_eq!(taken(&set["spec"]["selector"]), [name(&set)], "{run}");
        }
        for service in of_kind(&base, "Service") {
            let selector = serde_json::json!({ "matchLabels": service["spec"]["selector"] });
            assert_eq!(taken(&selector), [name(&service)], "{run}");
            assert_eq!(service["spec"]["clusterIP"], "None");
            assert_eq!(
                service["spec"]["publishNotReadyAddresses"], true,
                "{run}: a run needs nodes before they are ready"
            );
        }
        let all: Vec<&str> = pods.iter().map(|(name, _)| name.as_str()).collect();
        for policy in of_kind(&base, "NetworkPolicy") {
            let own = name(&policy);
            let due: Vec<&str> = match own.as_str() {
                "default-deny" | "dns" | "metrics" => all.clone(),
                "health" => all.iter().copied().filter(|name| *name != "coordinator").collect(),
                _ => vec![own.as_str()],
            };
            assert_eq!(taken(&policy["spec"]["podSelector"]), due, "{run}: {own}");
        }
        let budgets = of_kind(&base, "PodDisruptionBudget");
        assert_eq!(budgets.len(), 1);
        assert_eq!(
            taken(&budgets[0]["spec"]["selector"]),
            made.nodes(),
            "{run}: the nodes, not the coordinator"
        );
    }
}

#[test]
fn ports_are_those_of_the_containers() {
    for (run, made) in variants() {
        let base = made.base();
        let sets = of_kind(&base, "StatefulSet");
        for (set, service) in sets.iter().zip(of_kind(&base, "Service")) {
            let node = container(pod(set));
            let of = |list: &Value, number: &str| -> Vec<(String, u64)> {
                items(list).iter().map(|port| (name(port), port[number].as_u64().unwrap())).collect()
            };
            let ports = of(&node["ports"], "containerPort");
            assert_eq!(ports, of(&service["spec"]["ports"], "port"), "{run}");
            for (port, flag) in ports.iter().zip(["listen", "control", "health", "metrics"]) {
                assert!(args(set).contains(&format!("--{flag}=0.0.0.0:{}", port.1)), "{run}: {flag}");
            }
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                assert_eq!(node[probe]["grpc"]["port"], ports[2].1, "{run}: {probe} asks the health port");
            }
        }
    }
}
