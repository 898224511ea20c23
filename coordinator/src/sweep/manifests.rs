//! `coordinator sweep --manifests`: the files by which Kubernetes runs a sweep, each trial in a pod of its own.

use super::SweepOptions;
use super::common::{self, DATA_PATH, LOOKED_AT};
use super::sources::Sources;
use super::space::Settings;
use super::spec::Spec;
use crate::config::{Config, Environment};
use crate::console::answer;
use crate::manifests::{self, DeployedSweep, SNAPSHOT_STEPS, SweepOrder, TrialLoad};
use crate::plan::{self, Needs};
use crate::prepare;
use crate::run_error::RunError;
use std::collections::HashSet;
use std::path::Path;
use toml::Value;

/// Writes the manifests of the sweep into the folder `out`.
///
/// # Errors
/// A fault of the sweep; trials that depend on each other; or a folder that cannot be written.
pub fn manifests(
    options: SweepOptions<'_>,
    order: &SweepOrder,
    out: &Path,
    environment: &Environment<'_>,
) -> Result<(), RunError> {
    if order.parallel == Some(0) {
        return Err(RunError::configuration(
            "--parallel 0 lets no pod run: give the most pods at once, or leave it out",
        ));
    }
    let sources = Sources::read_independent(options, environment)?;
    sources.doubts(environment).iter().for_each(|doubt| tracing::warn!("{doubt}"));
    let sweep = deployed(sources, environment)?;
    manifests::write_at("--manifests", &manifests::trials(order, &sweep)?, out)?;
    answer(format_args!("{}", manifests::told(order, &sweep, out)))
}

fn deployed(sources: Sources, environment: &Environment<'_>) -> Result<DeployedSweep, RunError> {
    let load = load(&sources, environment)?;
    let Sources { spec, plan, base, .. } = sources;
    let mut set = spec.set.clone();
    if let Some(steps) = snapshots(&spec, &base, environment) {
        set.insert(SNAPSHOTS.to_owned(), Value::from(steps));
    }
    // Without an environment, data.path stays as the user wrote it.
    let config = common::parse(&spec, &Settings::new(), &base, &Environment::empty()).ok();
    let path = config.as_ref().and_then(manifests::other_path);
    if let Some(path) = &path {
        set.insert(DATA_PATH.to_owned(), Value::from(path.display().to_string()));
    }
    let spec = Spec { base: "base.toml".into(), set, ..spec };
    let sweep = toml::to_string(&spec).map_err(RunError::internal)?;
    Ok(DeployedSweep { name: spec.name, trials: plan.len(), sweep, base, load, drops_path: path.is_some() })
}

/// The key of the steps between snapshots.
const SNAPSHOTS: &str = "snapshot.every_steps";

/// The steps between snapshots, where neither the sweep nor its base sets them: without snapshots, a trial would begin
/// again at the end of each of its pods. Snapshots change no bit of a result.
fn snapshots(spec: &Spec, base: &str, environment: &Environment<'_>) -> Option<i64> {
    let of_cases = spec.cases.iter().flat_map(|case| case.set.keys());
    let chosen = spec.set.keys().chain(spec.space.keys()).chain(of_cases).any(|key| key == SNAPSHOTS);
    let none = common::parse(spec, &Settings::new(), base, environment)
        .map_or(true, |config| config.snapshot.every_steps == 0);
    (!chosen && none).then_some(SNAPSHOT_STEPS as i64)
}

/// The load of the largest of the trials that can run.
fn load(sources: &Sources, environment: &Environment<'_>) -> Result<TrialLoad, RunError> {
    let Sources { spec, plan, base, common } = sources;
    let spec = Spec { set: common.clone(), ..spec.clone() };
    let (mut largest, mut known) = (TrialLoad { data: Some(0), ..TrialLoad::default() }, HashSet::new());
    for trial in 0..plan.len().min(LOOKED_AT) {
        let own = plan.propose(trial, &[]);
        // Of a number with a fraction, nothing but a zero decides a size: there is a state for a momentum, or none.
        let sizes = own.iter().map(|(key, value)| match value {
            Value::Float(number) => format!("{key} {}", *number == 0.0),
            value => format!("{key} {value}"),
        });
        if !known.insert(sizes.collect::<Vec<_>>()) {
            continue;
        }
        let Ok(config) = common::parse(&spec, &own, base, environment) else { continue };
        let load = of_trial(&config)?;
        largest = TrialLoad {
            threads: largest.threads.max(load.threads),
            memory: largest.memory.max(load.memory),
            data: largest.data.zip(load.data).map(|(one, other)| one.max(other)),
            snapshots: largest.snapshots.max(load.snapshots),
        };
    }
    Ok(largest)
}

/// The load of a trial with this configuration.
fn of_trial(config: &Config) -> Result<TrialLoad, RunError> {
    let (network, data) = prepare::network(config)?;
    let estimator = prepare::estimator(config, &network)?;
    let ranges = prepare::cut(config, &network)?;
    let plan = plan::plan(&network, &ranges, &estimator).map_err(RunError::configuration)?;
    let inputs = Needs::of(&network, &ranges, &estimator, false).map_err(RunError::configuration)?.inputs;
    let halves = || plan.stages.iter().filter_map(|stage| stage.backward.as_ref());
    let nodes = (plan.stages.len() + halves().count()) as u64;
    let memory =
        plan.stages.iter().map(|stage| stage.memory_bytes).chain(halves().map(|half| half.memory_bytes));
    let weights =
        plan.stages.iter().map(|stage| stage.memory.weights).chain(halves().map(|half| half.memory.weights));
    // Beside the newest snapshots: the one that is being written, and the best.
    let kept = u64::from(config.snapshot.keep_last) + 2;
    Ok(TrialLoad {
        threads: nodes * u64::from(config.node.threads),
        memory: inputs + memory.sum::<u64>(),
        data,
        snapshots: kept * weights.sum::<u64>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::sweep::space::Plan;
    use clap::Parser;
    use serde_json::{Value as Json, json};
    use std::fs;
    use tempfile::TempDir;

    const BASE: &str = "data.path = \"data/mnist\"\n[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"linear\"\nout = 20\n\
                        [[layer]]\nkind = \"linear\"\nout = 10\n";
    const SWEEP: &str = "base = \"mnist.toml\"\nmethod = \"random\"\ntrials = 6\nparallel = 2\ncores = 8\n[set]\nmodel.image = 28\n\
                         model.channels = 1\n[space]\n\"optimizer.lr\" = { low = 0.1, high = 1 }\n\
                         pipeline.stages = { values = [1, 2] }";

    /// The folder that the command writes.
    struct Written {
        folder: TempDir,
        sweep: String,
    }

    impl Written {
        fn new(order: &SweepOrder) -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("mnist.toml"), BASE).unwrap();
            fs::write(folder.path().join("lr.toml"), SWEEP).unwrap();
            let written = Self { folder, sweep: "lr.toml".into() };
            written.write(order).unwrap();
            written
        }

        fn write(&self, order: &SweepOrder) -> Result<(), String> {
            let config = &self.folder.path().join(&self.sweep);
            let options =
                SweepOptions { config, run_dir: None, parallel: None, cores: None, set: &[], resume: false };
            let out = self.folder.path().join("out");
            manifests(options, order, &out, &Environment::empty()).map_err(|failure| failure.sentence)
        }

        fn text(&self, name: &str) -> String {
            fs::read_to_string(self.folder.path().join("out").join(name)).unwrap()
        }

        /// The objects of a file.
        fn all(&self, name: &str) -> Vec<Json> {
            serde_saphyr::from_multiple(&self.text(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
        }

        /// The only object of a file.
        fn one(&self, name: &str) -> Json {
            let [only] = <[Json; 1]>::try_from(self.all(name)).unwrap();
            only
        }
    }

    fn order() -> SweepOrder {
        SweepOrder {
            image: Default::default(),
            data: Default::default(),
            claim: None,
            queue: None,
            parallel: None,
        }
    }

    #[test]
    fn a_sweep_becomes_an_indexed_job_whose_pods_each_run_the_trial_of_their_number() {
        let written = Written::new(&order());
        let (job, collect) = (written.one("trials.yaml"), written.one("collect.yaml"));
        let spec = &job["spec"];
        assert_eq!([&spec["completions"], &spec["parallelism"]], [6, 6]);
        assert_eq!([&spec["completionMode"], &spec["podReplacementPolicy"]], ["Indexed", "Failed"]);
        assert!(spec["backoffLimitPerIndex"].as_u64() > Some(0) && spec["suspend"].is_null(), "{spec}");
        assert_eq!(job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"], "default");
        let rules = spec["podFailurePolicy"]["rules"].as_array().unwrap();
        let rules = rules
            .iter()
            .map(|rule| (rule["action"].as_str().unwrap(), rule["onExitCodes"]["values"].clone()));
        let due = [("Ignore", Json::Null), ("FailIndex", json!([1, 2, 3, 5])), ("Count", json!([4, 75]))];
        assert_eq!(rules.collect::<Vec<_>>(), due);

        for (job, index) in [(&job, "3"), (&collect, "")] {
            let pod = &job["spec"]["template"]["spec"];
            let container = &pod["containers"][0];
            assert_eq!(
                [&pod["restartPolicy"], &container["name"], &container["command"][0]],
                ["Never", "coordinator", "coordinator"]
            );
            let args =
                container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
            let args: Vec<String> =
                args.map(|argument| argument.replace("$(JOB_COMPLETION_INDEX)", index)).collect();
            assert_eq!(args.contains(&format!("--trial={index}")), !index.is_empty(), "{args:?}");
            assert!(args.contains(&"--run-dir=/var/lib/neuropil/runs/lr".into()), "{args:?}");
            Cli::try_parse_from(std::iter::once("coordinator".to_owned()).chain(args)).unwrap();
            assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        }
        // Two stages with a thread each would take two cores, but a trial shares eight among its nodes.
        let resources = &job["spec"]["template"]["spec"]["containers"][0]["resources"];
        assert_eq!([&resources["requests"]["cpu"], &resources["limits"]["cpu"]], ["8", "9"]);
    }

    #[test]
    fn what_the_pods_mount_is_there_and_says_the_same_sweep() {
        let written = Written::new(&order());
        let (kustomization, shared) = (written.one("kustomization.yaml"), written.all("sweep.yaml"));
        assert_eq!(kustomization["resources"], json!(["sweep.yaml", "trials.yaml"]));
        let config = &kustomization["configMapGenerator"][0];
        assert_eq!(config["files"], json!(["sweep.toml", "base.toml"]));
        let [claim, policy] = &shared[..] else { panic!("{shared:?}") };
        assert_eq!(
            [&claim["kind"], &claim["spec"]["accessModes"][0]],
            ["PersistentVolumeClaim", "ReadWriteMany"]
        );
        for name in ["trials.yaml", "collect.yaml"] {
            let template = &written.one(name)["spec"]["template"];
            let volumes = template["spec"]["volumes"].as_array().unwrap();
            assert_eq!(volumes[0]["persistentVolumeClaim"]["claimName"], claim["metadata"]["name"]);
            assert_eq!(volumes[1]["configMap"]["name"], config["name"]);
            let mounts = template["spec"]["containers"][0]["volumeMounts"].as_array().unwrap();
            let names = |list: &[Json]| list.iter().map(|one| one["name"].to_string()).collect::<Vec<_>>();
            assert_eq!(names(mounts), names(volumes));
            for (key, value) in policy["spec"]["podSelector"]["matchLabels"].as_object().unwrap() {
                assert_eq!(&template["metadata"]["labels"][key], value);
            }
        }
        let here = written.folder.path().display().to_string();
        for name in
            ["kustomization.yaml", "sweep.yaml", "trials.yaml", "collect.yaml", "sweep.toml", "base.toml"]
        {
            let text = written.text(name);
            assert!(text.starts_with("# Written by `coordinator sweep --manifests`"), "{text}");
            assert!(!text.contains(&here) && !text.lines().any(|line| line.ends_with(' ')), "{text}");
        }

        let of_user = Spec::load(&written.folder.path().join("lr.toml")).unwrap();
        let of_pods = Spec::load(&written.folder.path().join("out/sweep.toml")).unwrap();
        assert_eq!((of_pods.name.as_str(), of_pods.parallel, of_pods.cores), ("lr", 1, Some(8)));
        assert_eq!(of_pods.set[SNAPSHOTS], Value::Integer(100), "a trial survives its pod");
        let [user, pods] = [&of_user, &of_pods].map(|spec| Plan::new(spec).unwrap());
        assert!((0..6).all(|trial| user.propose(trial, &[]) == pods.propose(trial, &[])));
        assert_eq!(written.text("base.toml").split_once('\n').unwrap().1, BASE);
        assert!(of_pods.base.ends_with("base.toml"));
    }

    #[test]
    fn the_user_names_claims_and_a_queue() {
        let order = SweepOrder {
            data: "mnist".parse().unwrap(),
            claim: Some("1e3".parse().unwrap()),
            queue: Some("7".parse().unwrap()),
            parallel: Some(2),
            ..order()
        };
        let written = Written::new(&order);
        let job = written.one("trials.yaml");
        assert_eq!((&job["spec"]["suspend"], &job["spec"]["parallelism"]), (&json!(true), &json!(2)));
        assert_eq!(job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"], "7", "a name is no number");
        let pod = &job["spec"]["template"]["spec"];
        let claims = |at: usize| pod["volumes"][at]["persistentVolumeClaim"]["claimName"].clone();
        assert_eq!([claims(0), claims(2)], ["1e3", "mnist"]);
        assert_eq!(pod["containers"][0]["env"], json!([{"name": "NEUROPIL_DATA", "value": "/data"}]));
        let kinds: Vec<Json> = written.all("sweep.yaml").into_iter().map(|one| one["kind"].clone()).collect();
        assert_eq!(kinds, ["NetworkPolicy"]);

        // The command replaces what it wrote, and nothing else.
        written.write(&order).unwrap();
        fs::write(written.folder.path().join("out/sweep.yaml"), "mine").unwrap();
        let why = written.write(&order).unwrap_err();
        assert!(why.contains("sweep.yaml is there already") && why.ends_with("another --manifests"), "{why}");
    }

    #[test]
    fn a_folder_of_this_machine_is_none_of_the_pods() {
        let written = Written::new(&order());
        assert!(
            !written.text("sweep.toml").contains("data.path"),
            "a place within NEUROPIL_DATA stays in the base"
        );
        fs::write(written.folder.path().join("mnist.toml"), BASE.replace("data/mnist", "/home/me/sets"))
            .unwrap();
        written.write(&order()).unwrap();
        let sweep = written.text("sweep.toml");
        assert!(sweep.contains("\"data.path\" = \"data/fashion-mnist\""), "{sweep}");
    }
}
