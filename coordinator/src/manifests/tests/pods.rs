//! Single pods: the parts that follow from the flags and from the plan, and the Job's treatment of the exit codes.

use super::*;
use crate::run_error::Cause;

#[test]
fn the_job_tries_again_exactly_where_another_start_may_end_otherwise() {
    let job = of_kind(&made(&[]).base(), "Job").remove(0);
    let rules = items(&job["spec"]["podFailurePolicy"]["rules"]);
    assert_eq!(rules[0]["action"], "Ignore", "a disruption comes before every exit code");
    assert_eq!(rules[0]["onPodConditions"][0]["type"], "DisruptionTarget");
    let action = |cause: Cause| {
        let applies = |rule: &&Value| {
            let on = &rule["onExitCodes"];
            on["containerName"] == "coordinator" && items(&on["values"]).contains(&cause.code().into())
        };
        words(&rules.iter().find(applies).unwrap_or_else(|| panic!("{cause:?} has no rule"))["action"])
    };
    use Cause::*;
    for cause in [Internal, Diverged, Configuration, Data, Violation] {
        assert_eq!(action(cause), "FailJob", "{cause:?}");
    }
    for cause in [Node, Protocol, StateGone, SnapshotGone, Interrupted] {
        assert_eq!(action(cause), "Count", "{cause:?}");
    }
    assert_eq!(pod(&job)["spec"]["restartPolicy"], "Never");
    assert_eq!(job["spec"]["podReplacementPolicy"], "Failed");
}

#[test]
fn data_comes_from_the_image_from_a_claim_or_from_a_volume_that_a_patch_fills() {
    let job = |data| {
        let made = try_made(&Order { data, ..order() }, &[]).unwrap();
        of_kind(&made.base(), "Job").remove(0)
    };
    let volume = |job: &Value| {
        let volumes = items(&pod(job)["spec"]["volumes"]);
        volumes.iter().find(|volume| volume["name"] == "data").cloned()
    };
    let folder = |job: &Value| {
        let env = items(&container(pod(job))["env"]);
        env.iter().find(|entry| entry["name"] == "NEUROPIL_DATA").map(|entry| words(&entry["value"]))
    };
    let within = job(DataVolume::Image);
    assert_eq!((volume(&within), folder(&within)), (None, None));
    let claim = job("1e3".parse().unwrap());
    let due = serde_json::json!({ "claimName": "1e3", "readOnly": true });
    assert_eq!(volume(&claim).unwrap()["persistentVolumeClaim"], due, "a name is no number");
    let empty = job("emptyDir".parse().unwrap());
    assert_eq!(volume(&empty).unwrap()["emptyDir"], serde_json::json!({}));
    for mounted in [claim, empty] {
        assert_eq!(folder(&mounted).as_deref(), Some("/data"));
    }
}

#[test]
fn a_run_from_parts_waits_for_them_at_every_start() {
    let id = "0123456789abcdef0123456789abcdef";
    let order = Order {
        init: Some(id.parse().unwrap()),
        backward: Some(crate::weights::Backward::Weight),
        ..order()
    };
    let job = of_kind(&try_made(&order, &[]).unwrap().base(), "Job").remove(0);
    let given = items(&container(pod(&job))["args"]);
    for flag in [&*format!("--init={id}"), "--backward=weight", "--resume=auto"] {
        assert!(given.contains(&flag.into()), "{given:?}");
    }
    assert!("0123".parse::<crate::weights::PartsId>().is_err());
}

#[test]
fn a_gpu_is_for_nodes_and_threads_are_those_of_the_configuration() {
    let nodes = |gpu| {
        let made = try_made(&Order { gpu, ..order() }, &["node.threads=3"]).unwrap();
        of_kind(&made.base(), "StatefulSet")
    };
    for (gpu, sets) in [(true, nodes(true)), (false, nodes(false))] {
        for set in sets {
            let node = container(pod(&set));
            let has = |arg: &str| items(&node["args"]).contains(&arg.into());
            assert!(has("--threads=3") && has("--device=cuda:0") == gpu);
            assert_eq!(node["resources"]["limits"]["nvidia.com/gpu"] == 1, gpu);
            assert_eq!(node["resources"]["limits"]["cpu"], "4");
            let shared = |volume: &&Value| volume["emptyDir"]["medium"] == "Memory";
            assert_eq!(items(&pod(&set)["spec"]["volumes"]).iter().any(|volume| shared(&volume)), gpu);
        }
    }
}
