//! Tests of Kolen-Pollack's law across processes: W and B receive the same updates, so their difference shrinks by
//! exactly 1 − ηλ a step for all data, as that of R and BᵀW does under product feedback alignment. A lost or doubled update
//! would break the law.

use e2e::Bench;

const KEYS: &str = r#"
[rule]
name = "kolen_pollack"
[train]
epochs = 200
batch = 32
max_steps = 200
[optimizer]
lr = 0.1
momentum = 0.0
nesterov = false
weight_decay = 0.05
schedule = "constant"
[pipeline]
microbatches = 2
stages = "per_layer"
[metrics]
layers_every = 1
"#;

/// The rules under the law, each with what it compares.
const RULES: [(&str, &str); 2] = [("kolen_pollack", "‖W − B‖"), ("product_feedback_alignment", "‖R − BᵀW‖")];

#[test]
fn the_difference_of_w_and_b_decays_by_the_law() {
    let bench = Bench::new();
    for (rule, _) in RULES {
        decays(&bench, rule);
    }
}

/// Checks the difference of every layer after each of 200 steps under `rule`.
fn decays(bench: &Bench, rule: &str) {
    let run = bench.trained(&bench.config(KEYS), rule, &[&format!("rule.name={rule}")]);
    let metrics = run.metrics();
    assert_eq!(metrics.len(), 200);
    let layers = metrics[0]["layers"].as_array().unwrap().len();
    assert_eq!(layers, 5);
    for layer in 0..layers {
        let of = |step: usize, key: &str| {
            let line: &serde_json::Value = &metrics[step];
            line["layers"][layer][key].as_f64().unwrap()
        };
        let name = &metrics[0]["layers"][layer]["name"];
        let mut checked = 0;
        for step in 1..200 {
            let law = (1.0f64 - 0.1 * 0.05).powi(step as i32);
            let measured = of(step, "difference") / of(0, "difference");
            assert!(
                (measured / law - 1.0).abs() < 1e-5,
                "{name}, step {}: {measured} is not {law}",
                step + 1
            );
            checked += usize::from(law > 0.01);
        }
        assert_eq!(checked, 199, "the law stays above 0.01 over these steps");
        let moved = (of(199, "norm") / of(0, "norm") - 1.0).abs();
        assert!(moved > 0.01, "{name}: W must move for the law to say anything, it changed by {moved}");
    }
}

/// The decay falls after five and after ten updates, and the run is resumed in between.
#[test]
fn the_alarm_knows_the_course_of_the_decay_over_processes_and_starts() {
    let bench = Bench::new();
    let course = "weight_decay_schedule = \"step\"\nweight_decay_boundaries = [1.0, 2.0]";
    let momentum = format!("momentum = 0.9\nnesterov = true\n{course}");
    let keys = KEYS.replace("momentum = 0.0\nnesterov = false", &momentum);
    let config = bench.config(&format!("{keys}\n[alarm]\nkolen_pollack = true\n"));
    for (rule, _) in RULES {
        let (named, parts) = (format!("rule.name={rule}"), format!("{rule}-parts"));
        let run = |name: &str, end: &str| bench.trained(&config, name, &[&named, end]);
        let whole = run(&format!("{rule}-whole"), "train.max_steps=15");
        let part = run(&parts, "train.max_steps=7");
        let more = ["--local", "--resume", "auto", "--set", &named, "--set", "train.max_steps=15"];
        let ended = bench.start(&parts, &config, &more).ended();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!((part.history(), part.digests()), (whole.history(), whole.digests()), "{rule}");
        let constant = ["train.max_steps=15", "optimizer.weight_decay_schedule=constant"];
        let constant =
            bench.trained(&config, &format!("{rule}-constant"), &[&named, constant[0], constant[1]]);
        let end = |run: &e2e::Run| run.metrics()[14]["layers"][0]["difference"].as_f64().unwrap();
        assert!(end(&constant) < 0.9 * end(&whole), "{rule}: the course of the decay has an effect");
    }
}

/// The test replaces a snapshot of one node by an earlier snapshot, so the node loses the updates in between.
#[test]
fn the_alarm_ends_a_run_in_which_updates_were_lost() {
    for (rule, compared) in RULES {
        lost(rule, compared);
    }
}

/// Checks that a lost update under `rule` ends the run with a sentence about what the rule `compared`.
fn lost(rule: &str, compared: &str) {
    let bench = Bench::new();
    let keys = format!("{KEYS}\n[alarm]\nkolen_pollack = true\n[snapshot]\nevery_steps = 5\n");
    let keys = keys.replace("kolen_pollack\"", &format!("{rule}\""));
    let config = bench.config(&keys.replace("max_steps = 200", "max_steps = 12"));
    let quiet = bench.trained(&config, "quiet", &[]);
    assert_eq!(quiet.metrics().len(), 12);

    // The run is cut short after its snapshots of steps 5 and 10. Then one node loses the updates in between.
    let run = bench.trained(&config, "lossy", &[]);
    let state = run.folder.join("state/stage-2");
    std::fs::remove_dir_all(state.join("step-00000012")).unwrap();
    let later = state.join("step-00000010/stage.safetensors");
    let other = bench.trained(&config, "other", &["snapshot.every_steps=6"]);
    let earlier = std::fs::read(other.folder.join("state/stage-2/step-00000006/stage.safetensors")).unwrap();
    let id = |run: &e2e::Run| run.json("run.json")["id"].as_str().unwrap().to_owned();
    let forged = forge(earlier, &[(&id(&other), &id(&run)), ("\"step\":\"6\"", "\"step\":\"10\"")]);
    std::fs::write(later, forged).unwrap();

    let ended = bench.start("lossy", &config, &["--local", "--resume", "auto"]).ended();
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(
        ended.last_line().contains("Kolen-Pollack's law is broken in layer 'branch2'"),
        "{}",
        ended.last_line()
    );
    assert!(ended.last_line().contains(compared), "{}", ended.last_line());
}

/// The state file `file` with some words of its header replaced.
fn forge(file: Vec<u8>, words: &[(&str, &str)]) -> Vec<u8> {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let mut header = String::from_utf8(file[8..8 + length].to_vec()).unwrap();
    for (old, new) in words {
        assert!(header.contains(old), "{old} in {header}");
        header = header.replace(old, new);
    }
    let header = header.trim_end().to_owned();
    let padded = format!("{header:<width$}", width = header.len().next_multiple_of(8));
    [&(padded.len() as u64).to_le_bytes()[..], padded.as_bytes(), &file[8 + length..]].concat()
}
