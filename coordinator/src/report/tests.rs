//! Tests of the page: it is safe, self-contained, the same every time, and true about runs that failed.

use std::fs;
use std::path::Path;

use super::{PLOT_SCRIPT, Run, render, render_evaluation};
use crate::record::{
    Assessment, BackwardTrace, ClassScore, Confusion, LayerTrace, NodeSummary, StageTrace, Step, TWO_HOSTS,
};
use proto::spec::stage::Half;

/// A run of three steps in which every string is `text`.
fn run(text: &str) -> Run {
    let json = serde_json::to_string(text).unwrap();
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "config.toml", &format!("[rule]\nname = {json}\n"));
    let step = |i: u64| {
        format!(
            r#"{{"step":{i},"epoch":0,"loss":2.3,"accuracy":0.1,"images_per_s":9.0,"later":[1],"stages":
            [{{"stage":0,"compute_s":0.1,"wait_s":null,"bytes_forward":5,"bytes_backward":0}}],"layers":
            [{{"name":{json},"angle_deg":71.2,"norm_ratio":1.01,"norm":5.1,"difference":7.0}}]}}"#
        )
    };
    let lines: String = (1..=3).map(|i| step(i).replace('\n', "") + "\n").collect();
    write(dir.path(), "metrics.jsonl", &lines);
    let evaluation = r#"{"step":3,"epoch":0,"loss":0.4,"top1":0.861,"top5":0.99,"samples":10000}"#;
    write(dir.path(), "evaluations.jsonl", evaluation);
    let summary = format!(
        r#"{{"status":{json},"error":{json},"rule":{json},"schedule":{json},"stages":1,"test_top1":0.861,"nodes":
        [{{"stage":0,"address":{json},"layers":[{{"name":{json},"parameters":1288}}],"bytes_sent":15}}]}}"#
    );
    write(dir.path(), "summary.json", &summary);
    Run { name: text.to_owned(), ..Run::read(dir.path()).unwrap() }
}

fn write(dir: &Path, name: &str, content: &str) {
    fs::write(dir.join(name), content).unwrap();
}

/// The reason why the folder cannot be read, without the random part of the path.
fn sentence(dir: &Path) -> String {
    Run::read(dir).unwrap_err().to_string().replace(&dir.display().to_string(), "RUN")
}

#[test]
fn no_string_of_a_run_gets_out_of_its_place() {
    let run = run("</script><img src=x onerror='alert(1)' \"&amp;\"> --><!--<script>");
    let page = render(&run);
    assert!(!page.contains("<img") && !page.contains("<!--"));
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (3, 3));
    assert!(
        page.contains("&#60;/script&#62;&#60;img src=x onerror=&#39;alert(1)&#39; &#34;&#38;amp;&#34;&#62;")
    );
    assert!(data(&page)["charts"].as_array().unwrap().len() >= 5);
}

#[test]
fn the_page_fetches_nothing_and_is_the_same_every_time() {
    let run = run("first");
    let page = render(&run);
    assert_eq!(page, render(&run));
    let (comment, plot) = PLOT_SCRIPT.split_once('\n').unwrap();
    assert!(comment.starts_with("/*!") && page.contains("Permission is hereby granted"));
    assert!(!plot.contains("</script"));
    let page = page.replace(comment, "");
    for fetch in ["http://", "https://", "src=", "url(", "@import", "<link", "import(", "fetch("] {
        assert!(!page.contains(fetch), "{fetch} in the page");
    }
    assert!(page.contains("86.1%") && page.contains("71.2°") && page.contains("1,288"));
}

#[test]
fn the_last_angle_is_that_of_the_last_measurement_or_a_dash() {
    let mut zero = run("zero");
    let layer = &mut zero.metrics[2].layers[0];
    (layer.angle_deg, layer.norm_ratio) = (None, Some(0.0));
    let page = render(&zero);
    assert!(page.contains("<td>–</td><td>0.00</td>"), "the angle of an earlier step stands for the last");
    let mut imported = run("imported");
    imported.summary.nodes[0].layers[0].no_angle = Some("weights were imported".into());
    assert!(render(&imported).contains("<td>–</td><td>–</td>"), "an angle of other weights stands");
}

#[test]
fn angles_of_signals_have_charts_and_columns_where_a_run_has_them() {
    let mut with = run("with");
    let page = render(&with.clone());
    assert!(!page.contains("Outputs") && !page.contains("outputs through W and B"));
    for step in &mut with.metrics {
        (step.layers[0].output_angle_deg, step.layers[0].error_angle_deg) = (Some(33.25), None);
    }
    let page = render(&with);
    assert!(page.contains("<th>Outputs</th>") && page.contains("<td>33.25°</td>"), "{page}");
    assert!(
        page.contains("Angle between the outputs through W and B")
            && !page.contains("<th>Outputs</th><th>Errors</th>")
    );
}

#[test]
fn a_killed_run_is_read_as_far_as_it_got() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "config.toml", "seed = 1\n");
    write(dir.path(), "summary.json", r#"{"status":"failed"}"#);
    // This run was killed while it wrote step 4, resumed from step 1, and killed again while it wrote step 4.
    let lines = [
        r#"{"step":1,"loss":3}"#,
        r#"{"step":2,"loss":9}"#,
        r#"{"step":3}"#,
        r#"{"step":4,"layers":[{"step":2,"loss":8}"#,
        r#"{"step":2,"loss":null}"#,
        r#"{"step":3,"loss":7}"#,
        r#"{"step":4,"lo"#,
    ];
    write(dir.path(), "metrics.jsonl", &lines.join("\n"));
    let run = Run::read(dir.path()).unwrap();
    let read: Vec<_> = run.metrics.iter().map(|step| (step.step, step.loss)).collect();
    assert_eq!((read, run.evaluations.len()), (vec![(1, Some(3.0)), (2, None), (3, Some(7.0))], 0));
    let page = render(&run);
    assert!(page.contains("Failed") && page.contains("not evaluated") && page.contains("3 steps"));
    write(dir.path(), "metrics.jsonl", "");
    assert!(render(&Run::read(dir.path()).unwrap()).contains("Not measured."));
}

#[test]
fn a_folder_that_is_no_run_is_refused_with_the_file_and_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["config.toml", "metrics.jsonl", "summary.json"] {
        let missing = format!("RUN/{file} is missing: give the folder of a run that has ended");
        assert_eq!(sentence(dir.path()), missing);
        write(dir.path(), file, "");
    }
    assert!(sentence(dir.path()).starts_with("RUN/summary.json, record 1, is not understood (EOF"));
    write(dir.path(), "metrics.jsonl", "{\"step\":1}\n{}\n{\"step\":3}\n");
    assert!(
        sentence(dir.path()).starts_with("RUN/metrics.jsonl, record 2, is not understood (missing field")
    );
    fs::remove_file(dir.path().join("config.toml")).unwrap();
    fs::create_dir(dir.path().join("config.toml")).unwrap();
    assert!(sentence(dir.path()).starts_with("cannot read RUN/config.toml ("));
}

/// A run of two stages, of which the second has its only layer on two hosts.
fn split() -> Run {
    let mut run = run("split");
    let half = |stage: usize| BackwardTrace {
        stage,
        compute_s: Some(0.2),
        wait_s: Some(0.1),
        send_s: Some(0.0),
        bytes_split: 1000,
        underflow_split: 0,
    };
    for step in &mut run.metrics {
        step.stages.push(StageTrace { stage: 1, bytes_split: 2000, ..step.stages[0].clone() });
        step.backward = vec![half(1)];
        let layer = &mut step.layers[0];
        *layer = LayerTrace {
            no_angle: Some(TWO_HOSTS.into()),
            angle_deg: None,
            norm_ratio: None,
            ..layer.clone()
        };
    }
    let node = |stage, half, memory| NodeSummary {
        stage,
        half,
        memory_peak_bytes: Some(memory),
        ..run.summary.nodes[0].clone()
    };
    let nodes = [(0, Half::Forward, 1), (1, Half::Forward, 2_000_000), (1, Half::Backward, 3_000_000)];
    run.summary.nodes = nodes.map(|(stage, half, memory)| node(stage, half, memory)).into();
    run
}

#[test]
fn a_backward_node_stands_below_the_stages_and_the_page_says_why_there_is_no_angle() {
    let page = render(&split());
    assert!(
        page.contains("W and B are on two hosts</dd>") && page.contains("1 layer had W and B on two hosts.")
    );
    assert!(page.contains("<pre>layer-node angles --state-dir split/state</pre>"));
    let mut remote = split();
    remote.summary.nodes.iter_mut().for_each(|node| node.memory_peak_bytes = None);
    let command = "<pre>layer-node angles --state-dir stage-1 --state-dir stage-1-backward</pre>";
    assert!(render(&remote).contains(command));
    assert_eq!(page.matches(r#"<th scope="row">1, backward"#).count(), 2, "its time, and its traffic");
    for cell in
        [r#""Other half">2.0 kB<"#, r#""Other half">1.0 kB<"#, r#""Memory">3.0 MB<"#, r#""Errors">–<"#]
    {
        assert!(page.contains(cell), "{cell}");
    }
    let sections: Vec<&str> = page.split("<h2>").collect();
    let alignment = sections.iter().find(|section| section.starts_with("Alignment")).unwrap();
    assert!(!alignment.contains("<figure") && alignment.contains("<td>–</td><td>–</td>"));
    let together = render(&run("together"));
    assert!(
        !together.contains("two hosts") && !together.contains("Other half") && !together.contains("Memory<")
    );
}

#[test]
fn the_page_speaks_of_the_law_where_a_split_layer_is_under_kolen_pollack() {
    let speaks = |rule: &str, own: &str| {
        let config_toml = format!("[rule]\nname = \"{rule}\"\n{own}");
        render(&Run { config_toml, ..split() }).contains("and the law of Kolen-Pollack is not checked")
    };
    let own = |layer: &str, rule: &str| format!("[rule.layers.{layer}]\nname = \"{rule}\"\n");
    assert!(speaks("kolen_pollack", "") && !speaks("weight_mirror", ""));
    assert!(speaks("weight_mirror", &own("split", "kolen_pollack")));
    assert!(speaks("weight_mirror", &own("\"split\"", "kolen_pollack")));
    assert!(!speaks("kolen_pollack", &own("split", "weight_mirror")));
    assert!(!speaks("weight_mirror", &own("other", "kolen_pollack")), "no layer of that name is split");
    assert!(speaks("product_feedback_alignment", ""));
}

#[test]
fn the_page_says_where_b_is_a_product() {
    let says = |rule: &str| {
        let config_toml = format!("[rule]\nname = \"{rule}\"\n");
        render(&Run { config_toml, ..split() }).contains("B stands for the product of the fixed B and R")
    };
    assert!(says("product_feedback_alignment") && !says("kolen_pollack"));
}

/// The data that the page's script draws.
fn data(page: &str) -> serde_json::Value {
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    serde_json::from_str(data).unwrap()
}

#[test]
fn a_burst_of_steps_is_no_speed() {
    let mut run = run("burst");
    let speeds = [50.0, 100.0, 1e6, 1e6, 25.0].map(Some);
    let first = run.metrics[0].clone();
    let step = |(i, images_per_s)| Step { step: i, images_per_s, ..first.clone() };
    run.metrics = (1..).zip(speeds).map(step).collect();
    let page = render(&run);
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let shown =
        data["charts"].as_array().unwrap().last().unwrap()["curves"][0]["y"].as_array().unwrap().clone();
    assert!(
        shown.len() == 5 && shown.iter().all(|y| (25.0..400.0).contains(&y.as_f64().unwrap())),
        "{shown:?}"
    );
}

#[test]
fn a_run_that_diverges_leaves_the_chart_whenever_it_is_evaluated() {
    let mut run = run("diverged");
    run.metrics[2].loss = Some(1e30);
    run.evaluations[0].loss = Some(1e31);
    assert_eq!(data(&render(&run))["charts"][0]["at_most"], serde_json::json!([0.0, 4.6]));
}

/// An evaluation of so many classes, whose names begin with `name`: class 0 is the least accurate, and half of its images
/// were taken for the last class.
fn assessment(name: &str, classes: u32) -> Assessment {
    let class = |class: u32| ClassScore {
        class,
        name: Some(format!("{name}{class}")),
        samples: 1200,
        top1: Some(0.5 + 0.4 * f64::from(class) / f64::from(classes)),
        top5: Some(0.95),
    };
    Assessment {
        step: 1234,
        samples: 1200 * classes as usize,
        test_loss: Some(0.5),
        test_top1: Some(0.7),
        test_top5: Some(0.95),
        classes: (0..classes).map(class).collect(),
        confusions: vec![Confusion { class: 0, taken_for: classes - 1, count: 600 }],
    }
}

#[test]
fn few_classes_stand_in_order_and_of_many_the_least_accurate_stand_first() {
    let few = render_evaluation("run", "[model]\nname = \"mlp\"\n", &assessment("c", 3));
    let place = |page: &str, text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(place(&few, ">c0<") < place(&few, ">c1<") && place(&few, ">c1<") < place(&few, ">c2<"));
    assert!(few.contains("mlp") && few.contains("after 1,234 updates") && few.contains("Accuracy by class"));
    assert!(
        few.contains("<td>c2</td><td>50.0%") && few.contains("<td>600</td>") && !few.contains("<details")
    );
    let many = render_evaluation("run", "", &assessment("c", 1000));
    assert!(many.contains("The 20 least accurate of 1,000 classes") && many.contains("All 1,000 classes"));
    assert_eq!((many.matches(">c5<").count(), many.matches(">c500<").count()), (2, 1));
    for fetch in ["http://", "https://", "src=", "url(", "@import", "<link", "<script"] {
        assert!(!many.contains(fetch), "{fetch} in the page");
    }
    let name = "<img src=x>";
    let hostile = render_evaluation(name, name, &assessment(name, 1));
    assert!(!hostile.contains("<img") && hostile.contains("&#60;img src=x&#62;0"));
}

#[test]
fn a_report_has_the_classes_of_its_newest_evaluation() {
    let by_class = |name: &str| Run { assessment: Some(assessment(name, 3)), ..run(name) };
    let page = render(&by_class("one"));
    assert!(page.contains("The test set after step 1,234.") && page.contains(">one2<"));
    assert!(!render(&run("two")).contains("<h2>Classes"), "an earlier release counted no classes");
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "config.toml", "");
    write(dir.path(), "metrics.jsonl", "");
    write(dir.path(), "summary.json", "{}");
    let read = || Run::read(dir.path()).map(|run| run.assessment);
    assert_eq!(read().unwrap(), None);
    write(dir.path(), "evaluation.json", &serde_json::to_string(&assessment("c", 3)).unwrap());
    assert_eq!(read().unwrap(), Some(assessment("c", 3)));
    write(dir.path(), "evaluation.json", "[]");
    assert!(sentence(dir.path()).starts_with("RUN/evaluation.json, record 1, is not understood"));
}
