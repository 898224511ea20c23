//! The component that turns the run into a JobSet: the same pods, on claims of the same names.

use super::*;

#[test]
fn a_job_set_has_the_pods_of_the_base_and_leaves_none_of_its_workloads() {
    for (run, made) in variants() {
        let component = &made.read("jobset/kustomization.yaml")[0];
        let patches = items(&component["patches"]).iter().map(|patch| words(&patch["patch"]));
        let removed: Vec<(String, String)> = patches
            .map(|patch| serde_saphyr::from_str::<Value>(&patch).unwrap())
            .map(|patch| {
                assert_eq!(patch["$patch"], "delete");
                (words(&patch["kind"]), name(&patch))
            })
            .collect();
        let base = made.base();
        let workloads = [of_kind(&base, "StatefulSet"), of_kind(&base, "Job")].concat();
        let gone = workloads
            .iter()
            .chain(&of_kind(&base, "PodDisruptionBudget"))
            .map(|o| (words(&o["kind"]), name(o)))
            .collect::<Vec<_>>();
        assert_eq!(removed, gone, "{run}");

        let added = made.resources("jobset/kustomization.yaml");
        let sets = of_kind(&added, "JobSet");
        let claims: Vec<String> = of_kind(&added, "PersistentVolumeClaim").iter().map(name).collect();
        let due: Vec<String> = made.nodes().iter().map(|node| format!("state-{node}-0")).collect();
        assert_eq!((sets.len(), &claims), (1, &due), "{run}: a StatefulSet's claim has the same name");
        let jobs = items(&sets[0]["spec"]["replicatedJobs"]);
        assert!(jobs.iter().map(name).eq(workloads.iter().map(name)), "{run}");
        for (job, workload) in jobs.iter().zip(&workloads) {
            let (under, node) = (&job["template"]["spec"]["template"], name(workload));
            assert_eq!(plain(under), plain(pod(workload)), "{run}: {node}");
            assert_eq!(under["spec"]["restartPolicy"], "Never");
            let volumes = items(&under["spec"]["volumes"]).iter();
            let claim =
                volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str()).next();
            let due = if node == "coordinator" { "runs".into() } else { format!("state-{node}-0") };
            assert_eq!(claim, Some(due.as_str()), "{run}");
        }
        let coordinator = &jobs.last().unwrap()["template"]["spec"];
        let job = &workloads.last().unwrap()["spec"];
        assert_eq!(coordinator["podFailurePolicy"], job["podFailurePolicy"], "{run}");
    }
}

/// A pod without the parts that a JobSet must spell in another way than the base: the claims, the restarts, the
/// attempt.
fn plain(pod: &Value) -> Value {
    let mut pod = pod.clone();
    pod["spec"].as_object_mut().unwrap().remove("restartPolicy");
    let volumes = pod["spec"]["volumes"].as_array_mut().unwrap();
    volumes.retain(|volume| volume["persistentVolumeClaim"].is_null());
    let env = pod["spec"]["containers"][0]["env"].as_array_mut().unwrap();
    env.retain(|entry| entry["name"] != "NEUROPIL_ATTEMPT");
    pod
}
