//! Tests of the page and of the pictures, and runs for all tests of this folder.

use super::case::Case;
use super::{beside, charts, figure, figures, page, settings};
use crate::record::{Evaluation, LayerTrace, Step, Summary};
use crate::report::Run;

/// A run of three steps in two epochs: two layers are measured after step 2, and the test set after step 3.
pub fn run(name: &str) -> Run {
    let step = |step: u64, epoch| -> Step {
        let mut one: Step = serde_json::from_str(&format!("{{\"step\":{step}}}")).unwrap();
        (one.epoch, one.loss, one.accuracy) = (epoch, Some(2.75 - 0.25 * step as f64), Some(0.25));
        one
    };
    let layer = |name: &str, angle| LayerTrace {
        name: name.into(),
        angle_deg: Some(angle),
        norm_ratio: Some(1.5),
        norm: Some(1.0),
        difference: Some(1.0),
        no_angle: None,
        output_angle_deg: None,
        error_angle_deg: None,
    };
    let mut metrics = vec![step(1, 0), step(2, 0), step(3, 1)];
    metrics[1].layers = vec![layer("fc,1", 71.25), layer("fc2", 30.0)];
    let test =
        Evaluation { step: 3, epoch: 1, loss: Some(0.5), top1: Some(0.75), top5: Some(1.0), samples: 8 };
    Run {
        name: name.to_owned(),
        config_toml: String::new(),
        metrics,
        evaluations: vec![test],
        summary: Summary { status: Some("done".into()), test_top1: Some(0.75), ..Summary::default() },
        ..Run::default()
    }
}

/// A case of these runs.
pub fn case(name: &str, runs: Vec<Run>) -> Case {
    Case { name: name.to_owned(), settings: settings::of_run(&runs[0]), runs }
}

/// The page and the figures of these cases.
fn drawn(cases: &[Case]) -> (String, Vec<(String, String)>) {
    let (charts, grids) = (charts::drawings(cases), charts::grids(cases));
    let figures = figures(cases, &charts, &grids);
    (page::render(cases, charts, grids, &["1 trial is left out".into()]), figures)
}

/// Two cases, one of two runs.
fn two() -> [Case; 2] {
    let mut other = run("b");
    other.evaluations[0].top1 = Some(0.5);
    other.metrics.iter_mut().for_each(|step| step.loss = step.loss.map(|loss| loss + 1.0));
    [case("kolen pollack", vec![run("a"), other]), case("backprop", vec![run("c")])]
}

#[test]
fn a_page_has_a_row_for_each_case_and_no_column_for_each_run() {
    let (page, _) = drawn(&two());
    for part in [
        "3 runs compared",
        "2 cases",
        "1 trial is left out",
        "71.2°",
        "All 3 runs",
        "Configuration of backprop",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(
        page.contains("<td data-label=\"Top-1\">75.0 ± 0.0%</td>") && page.contains(">75.0%</td>"),
        "n of 2 and of 1"
    );
    assert!(!page.contains("did not come to"));
    let mut cases = two();
    cases[1].runs[0].summary.status = Some("interrupted".into());
    let (page, _) = drawn(&cases);
    assert!(page.contains("1 of these runs did not come to its end") && page.contains("Interrupted"));
    assert_eq!(page, drawn(&cases).0, "the same runs give the same bytes");
}

#[test]
fn no_string_of_a_run_gets_out_of_its_place() {
    let bad = "</script><img src=x onerror='alert(1)' \"&amp;\"> --><!--<script>\u{0}\u{1b}]]>";
    let mut hostile = run(bad);
    hostile.config_toml = format!("rule.name = {bad:?}");
    hostile.summary.status = Some(bad.into());
    hostile.metrics[1].layers[0].name = bad.into();
    let (page, figures) = drawn(&[case(bad, vec![hostile.clone()]), case("b", vec![run("b"), hostile])]);
    assert!(!page.contains("<img") && !page.contains("<!--"));
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (3, 3));
    assert!(figures.len() > 5);
    for (name, svg) in figures {
        roxmltree::Document::parse(&svg).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!svg.contains("<img") && !svg.contains("<script"));
    }
}

#[test]
fn a_figure_holds_the_points_of_its_curves() {
    let (_, figures) = drawn(&two());
    let names: Vec<&str> = figures.iter().map(|(name, _)| name.as_str()).collect();
    let due = [
        "",
        "loss",
        "accuracy",
        "test-loss",
        "test-accuracy",
        "angle",
        "norm-ratio",
        "angle-layers",
        "norm-ratio-layers",
    ];
    assert_eq!(names, due);
    let document = roxmltree::Document::parse(&figures[1].1).unwrap();
    let of = |tag| document.descendants().filter(move |node| node.has_tag_name(tag));
    let texts: Vec<&str> = of("text").filter_map(|text| text.text()).collect();
    assert!(
        ["kolen pollack", "backprop", "Training loss", "step"].iter().all(|text| texts.contains(text)),
        "{texts:?}"
    );
    let region = of("rect").next_back().unwrap();
    let [left, top, width, height] =
        ["x", "y", "width", "height"].map(|name| region.attribute(name).unwrap().parse::<f64>().unwrap());
    let paths = |fill| {
        of("path")
            .filter(move |path| path.attribute("fill") == Some(fill))
            .filter_map(|path| path.attribute("d"))
    };
    let line = paths("none").next().unwrap();
    let points: Vec<f64> = line[1..].split(['L', ' ']).map(|number| number.parse().unwrap()).collect();
    // The losses are 3, 2.75 and 2.5 in a range from 2 to 3.5 with 5 % of air.
    let down = |loss: f64| top + (3.575 - loss) / 1.65 * height;
    let due = [left, down(3.0), left + width / 2.0, down(2.75), left + width, down(2.5)];
    assert!(points.iter().zip(due).all(|(found, due)| (found - due).abs() < 0.02), "{points:?} {due:?}");
    let band = paths("#0072b2").next().unwrap();
    assert!(band.ends_with('Z') && band.matches('L').count() == 5, "there and back: {band}");
}

#[test]
fn a_png_has_three_pixels_for_each_of_the_figure() {
    let (_, figures) = drawn(&two());
    let bytes = figure::png(&figures[1].1).unwrap();
    let decoder = png::Decoder::new(std::io::Cursor::new(&bytes));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(info.width, 3 * 360);
    let count = |colour: [u8; 3]| pixels.chunks(4).filter(|pixel| pixel[..3] == colour).count();
    assert!(
        count([255, 255, 255]) > 500_000
            && count([0x00, 0x72, 0xb2]) > 1000
            && count([0x22, 0x22, 0x22]) > 1000,
        "paper, a line, and text"
    );
    assert_eq!(bytes, figure::png(&figures[1].1).unwrap());
}

#[test]
fn parts_of_a_figure_lie_beside_it() {
    let beside = |path: &str, part| beside(path.as_ref(), part).to_str().unwrap().to_owned();
    assert_eq!(beside("a/f.svg", "loss"), "a/f-loss.svg");
    assert_eq!((beside("f", "loss"), beside("f.svg", "")), ("f-loss".into(), "f.svg".into()));
}
