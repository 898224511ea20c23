//! Tests of names: of Services, peers, ports, volumes, Secrets, ConfigMaps and claims.

use crate::object::{has, list, name, named, text};
use crate::rendering::{COMPONENT, COORDINATOR, INSTANCE, Pod, Rendering, all, of_labels};
use coordinator::config::{Environment, parse};
use coordinator::prepare;
use serde_json::Value;

#[test]
fn a_service_stands_for_one_pod_and_a_stateful_set_is_found_by_its_own() {
    for rendering in all() {
        let (at, nodes) = (&rendering.name, rendering.nodes());
        assert!(!nodes.is_empty(), "{at}");
        for service in rendering.of_kind("Service") {
            let (spec, selector) = (&service["spec"], of_labels(&service["spec"]["selector"]));
            assert_eq!(spec["clusterIP"], "None", "{at}: {}", name(service));
            assert_eq!(spec["publishNotReadyAddresses"], true, "{at}: {}", name(service));
            let selected = rendering
                .pods()
                .into_iter()
                .filter(|pod| pod.is_selected(&selector))
                .map(|pod| pod.component);
            assert_eq!(selected.collect::<Vec<_>>(), [name(service)], "{at}");
            let pod = nodes.iter().find(|pod| pod.component == name(service)).unwrap();
            for port in list(&spec["ports"]) {
                assert_eq!(pod.port(text(&port["name"])), port["port"].as_u64(), "{at}: {port}");
                assert!(port["targetPort"].is_null(), "{at}: {port}");
            }
        }
        for pod in nodes {
            assert!(rendering.find("Service", pod.component).is_some(), "{at}: {}", pod.component);
        }
        for set in rendering.of_kind("StatefulSet") {
            assert_eq!(set["spec"]["serviceName"], name(set), "{at}");
            assert_eq!(set["spec"]["replicas"], 1, "{at}: {}", name(set));
            let selector = &set["spec"]["selector"];
            let selected =
                rendering.pods().into_iter().filter(|pod| pod.is_selected(selector)).map(|pod| pod.component);
            assert_eq!(selected.collect::<Vec<_>>(), [name(set)], "{at}");
        }
    }
}

#[test]
fn the_coordinator_is_told_every_node_in_order_by_a_name_and_a_port_that_exist() {
    for rendering in all() {
        let (at, coordinator, nodes) = (&rendering.name, rendering.coordinator(), rendering.nodes());
        let address = |pod: &Pod<'_>| format!("{}:{}", pod.component, pod.port("control").unwrap());
        let of = |is_backward| {
            let half = nodes.iter().filter(|pod| pod.place().unwrap().1 == is_backward);
            half.map(address).collect::<Vec<_>>().join(",")
        };
        assert_eq!(coordinator.argument("--nodes"), Some(&*of(false)), "{at}");
        assert_eq!(coordinator.argument("--backward-nodes").unwrap_or_default(), of(true), "{at}");
        assert_eq!(coordinator.argument("--name"), Some(&*rendering.run()), "{at}");
        assert_eq!(coordinator.argument("--resume"), Some("auto"), "{at}");
        let stages: Vec<_> = nodes.iter().map(|pod| pod.place().unwrap()).filter(|place| !place.1).collect();
        let expected: Vec<_> = (0..stages_of(&rendering)).map(|stage| (stage, false)).collect();
        assert_eq!(stages, expected, "{at}: the stages of the configuration");
    }
}

/// How many stages the configuration in the ConfigMap makes.
fn stages_of(rendering: &Rendering) -> u32 {
    let map = rendering.find("ConfigMap", "config").expect("a configuration");
    let config = parse(text(&map["data"]["config.toml"]), "config.toml", &[], &Environment::empty()).unwrap();
    let network = config.network(config.input_shape().expect("a shape without data")).unwrap();
    prepare::cut(&config, &network).unwrap().len().try_into().unwrap()
}

#[test]
fn a_node_listens_on_the_ports_that_its_pod_declares_and_its_probes_ask_for_its_health() {
    for rendering in all() {
        let at = &rendering.name;
        for pod in rendering.pods() {
            let flags: &[_] = match pod.component {
                COORDINATOR => &[("--metrics", "metrics")],
                _ => &[
                    ("--listen", "data"),
                    ("--control", "control"),
                    ("--health", "health"),
                    ("--metrics", "metrics"),
                ],
            };
            for (flag, port) in flags {
                let number = pod.port(port).unwrap_or_else(|| panic!("{at}: {} has {port}", pod.component));
                assert_eq!(
                    pod.argument(flag),
                    Some(&*format!("0.0.0.0:{number}")),
                    "{at}: {}",
                    pod.component
                );
            }
            assert_eq!(list(&pod.container()["ports"]).len(), flags.len(), "{at}: {}", pod.component);
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                let port = pod.container()[probe]["grpc"]["port"].as_u64();
                assert_eq!(port, pod.port("health"), "{at}: {probe} of {}", pod.component);
            }
        }
    }
}

#[test]
fn every_volume_is_mounted_and_is_of_an_object_that_exists() {
    for rendering in all() {
        for pod in rendering.pods() {
            let at = format!("{}: {}", rendering.name, pod.component);
            let templates = list(&pod.owner["volumeClaimTemplates"]);
            let volumes: Vec<_> =
                list(&pod.spec["volumes"]).iter().map(|volume| text(&volume["name"])).collect();
            let mut volumes: Vec<_> = volumes.into_iter().chain(templates.iter().map(name)).collect();
            let mounts = list(&pod.container()["volumeMounts"]).iter();
            let mut mounted: Vec<_> = mounts.map(|mount| text(&mount["name"])).collect();
            volumes.sort();
            mounted.sort();
            assert_eq!(volumes, mounted, "{at}");
            for volume in list(&pod.spec["volumes"]) {
                is_there(&rendering, volume, &at);
            }
            let tls = named(&pod.spec["volumes"], "tls").expect("a volume of the certificate");
            assert_eq!(tls["secret"]["secretName"], format!("{}-tls", pod.component), "{at}");
            of_certificates(&pod, &at);
        }
    }
}

/// Checks that the Secret, the ConfigMap or the claim of a volume is in the rendering. The claim of the data is the
/// user's own; it is only read.
fn is_there(rendering: &Rendering, volume: &Value, at: &str) {
    if let Some(secret) = volume["secret"]["secretName"].as_str() {
        let mut certificates = rendering.of_kind("Certificate");
        let is_made = certificates.any(|certificate| certificate["spec"]["secretName"] == secret);
        assert!(is_made || rendering.find("Secret", secret).is_some(), "{at}: {secret}");
    }
    if let Some(map) = volume["configMap"]["name"].as_str() {
        assert!(rendering.find("ConfigMap", map).is_some(), "{at}: {map}");
    }
    let claim = &volume["persistentVolumeClaim"];
    match claim["claimName"].as_str() {
        Some(_) if volume["name"] == "data" => assert_eq!(claim["readOnly"], true, "{at}"),
        Some(claim) => assert!(rendering.find("PersistentVolumeClaim", claim).is_some(), "{at}: {claim}"),
        None => {}
    }
}

/// Checks that the programs look for their certificate where the Secret is mounted.
fn of_certificates(pod: &Pod<'_>, at: &str) {
    let mount = named(&pod.container()["volumeMounts"], "tls").unwrap();
    for (variable, file) in
        [("NEUROPIL_TLS_CA", "ca.crt"), ("NEUROPIL_TLS_CERT", "tls.crt"), ("NEUROPIL_TLS_KEY", "tls.key")]
    {
        let value = named(&pod.container()["env"], variable).map(|variable| &variable["value"]);
        let path = format!("{}/{file}", text(&mount["mountPath"]));
        assert_eq!(value, Some(&Value::from(path)), "{at}: {variable}");
    }
}

#[test]
fn all_objects_of_a_run_have_its_labels_and_no_selector_has_a_version() {
    for rendering in all() {
        let run = rendering.run();
        for object in &rendering.objects {
            let (at, labels) =
                (format!("{}: {}", rendering.name, name(object)), &object["metadata"]["labels"]);
            // What belongs to no run: the dashboard and the alerts of all runs.
            let is_of_run = !["PodMonitor", "PrometheusRule"].iter().any(|kind| object["kind"] == *kind)
                && labels["grafana_dashboard"].is_null();
            // A base that was not rendered lacks the labels of what kustomize generates.
            if is_of_run && !labels.is_null() {
                assert_eq!(labels[INSTANCE], *run, "{at}");
                assert_eq!(labels["app.kubernetes.io/name"], "neuropil", "{at}");
                let is_of_run_alone = labels[COMPONENT].is_null();
                assert!(is_of_run_alone || labels["app.kubernetes.io/part-of"] == "neuropil", "{at}");
            }
            for selector in selectors(&object["spec"]) {
                assert!(!selector.to_string().contains("app.kubernetes.io/version"), "{at}: {selector}");
            }
        }
        let service = rendering.of_kind("Service").next().expect("a Service");
        let selector = service["spec"]["selector"].as_object().unwrap();
        assert!(
            has(&service["metadata"]["labels"], selector),
            "{}: a Service has the labels that it selects",
            rendering.name
        );
    }
}

/// Every selector within a value.
fn selectors(value: &Value) -> Vec<&Value> {
    let is_selector =
        |key: &str| ["selector", "labelSelector", "podSelector", "namespaceSelector"].contains(&key);
    match value {
        Value::Object(fields) => {
            let found = fields.iter().filter(|(key, _)| is_selector(key)).map(|(_, selector)| selector);
            found.chain(fields.values().flat_map(selectors)).collect()
        }
        Value::Array(elements) => elements.iter().flat_map(selectors).collect(),
        _ => Vec::new(),
    }
}
