//! Tests of the model: curves keep their extremes, and settings are found by name.

use super::curve::{smooth, thin};
use super::settings::Settings;

#[test]
fn thinning_keeps_the_ends_and_the_extremes() {
    let wave = |i: u64| ((i * 7919) % 1000) as f64 / 1000.0;
    for n in [0, 1, 5, 100, 101, 102, 997, 100_000] {
        let mut points: Vec<_> = (0..n).map(|i| (i, wave(i))).collect();
        if n > 900 {
            (points[617].1, points[618].1) = (-50.0, 50.0);
        }
        let kept = thin(&points, 100);
        assert!(kept.len() <= 100 && kept.is_sorted_by(|a, b| a.0 < b.0), "{n}: {}", kept.len());
        assert_eq!((kept.first(), kept.last()), (points.first(), points.last()));
        assert!(n <= 900 || (kept.contains(&(617, -50.0)) && kept.contains(&(618, 50.0))));
        assert!(n > 100 || kept == points);
    }
}

#[test]
fn smoothing_starts_at_the_first_value_and_leaves_a_constant_alone() {
    let smoothed = smooth(&[(1, 4.0), (2, 4.0), (3, 4.0), (4, 12.0)], 3);
    let values: Vec<_> = smoothed.iter().map(|p| p.1).collect();
    assert_eq!(values[..3], [4.0; 3]);
    assert!(values[3] > 4.0 && values[3] < 12.0);
}

#[test]
fn settings_are_found_under_their_dotted_names() {
    let settings = Settings::of(
        "seed = 3\n# no = 1\n[rule]\nname = \"a=b\"\n\n[pipeline]\nstages = [\n  1,\n  2,\n]\nk = 1\n\
         [[layer]]\nout = 4\n\n[[layer]]\nout = 8\n",
    );
    let keys = ["seed", "rule.name", "pipeline.stages", "pipeline.k", "layer[1].out", "no"];
    let found = [Some("3"), Some("a=b"), Some("[1,2,]"), Some("1"), Some("8"), None];
    assert_eq!(keys.map(|key| settings.name(key)), found);
}
