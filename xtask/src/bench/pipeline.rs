//! Training by Neuropil beside training by PyTorch: the same networks, cuts, minibatches, optimizer and number of
//! threads on the same machine, in images per second.

use super::case::{Case, DEMO, LIMIT, RESNET, WARM};
use super::process::finish;
use super::turns::{Contender, in_turn};
use super::{Bounds, Options, Row, built, turns};
use crate::json::numbers;
use crate::prerequisites::{self, COMPILER, PIP, PYTHON};
use crate::release::{self, Profile};
use crate::run::{Failure, Root, line, say};
use std::path::Path;

/// Floor and goal of the ratio to another build.
const BEFORE: Bounds = (0.98, 1.0);
/// The bounds of a ratio that is only shown.
const SHOWN: Bounds = (0.0, 1.0);
/// Floor and goal of the ratio to one process of two threads.
const ONE: Bounds = (0.72, 1.0);

/// A case, and its references.
struct Compared {
    case: Case,
    /// The words that make the script's network and cut the same.
    words: &'static [&'static str],
    /// Floor and goal of the ratio to each of [`REFERENCES`].
    bounds: [Bounds; 3],
}

const CASES: [Compared; 4] = [
    Compared {
        case: RESNET,
        words: &["--network=resnet18", "--cuts=5", "--schedule=one_f_one_b"],
        bounds: [ONE, (1.35, 1.45), (0.95, 1.0)],
    },
    Compared {
        case: Case {
            name: "ResNet-18, 4 stages",
            settings: &[
                "data.kind=cifar10",
                "model.name=resnet18",
                r#"pipeline.stages=["layer2.0.conv1","layer3.0.conv1","layer4.0.conv1"]"#,
                "pipeline.schedule=zero_bubble",
            ],
            ..RESNET
        },
        words: &["--network=resnet18", "--cuts=3,5,7", "--schedule=one_f_one_b"],
        bounds: [SHOWN, (1.25, 1.35), SHOWN],
    },
    Compared {
        case: DEMO,
        words: &["--network=fashion", "--cuts=2", "--schedule=one_f_one_b"],
        bounds: [ONE, (1.05, 1.1), (0.9, 1.0)],
    },
    Compared {
        case: Case {
            name: "the demo's network, 5 stages",
            settings: &["data.kind=idx", "pipeline.stages=per_layer"],
            ..DEMO
        },
        // PyTorch's 1F1B refuses fewer microbatches than stages.
        words: &["--network=fashion", "--cuts=1,2,3,4", "--schedule=gpipe"],
        bounds: [ONE, (1.05, 1.1), (0.88, 1.0)],
    },
];

/// A way to train with PyTorch: the name, and the script's words for it.
type Reference = (&'static str, &'static [&'static str]);

/// Two trainings that exchange nothing.
pub const INDEPENDENT: Reference = ("limit: 2 processes of 1 thread", &["independent", "--processes=2"]);

/// The ways to train with PyTorch.
const REFERENCES: [Reference; 3] = [
    ("PyTorch, 1 process of 2 threads", &["one_process", "--threads=2"]),
    ("torch.distributed.pipelining", &["pipeline"]),
    INDEPENDENT,
];

/// Trains every case with this build, PyTorch and, where there is one, the build `against`, in turn.
/// A set-up of PyTorch that fails is only printed where there is another build to compare with.
pub fn pipeline(root: &Root, options: &Options) -> Result<Vec<Row>, Failure> {
    let other = options.against.as_deref().map(|folder| built("--against", folder)).transpose()?;
    let references = match (set_up(root), &other) {
        (Ok(()), _) => &REFERENCES[..],
        (Err(failure), None) => return Err(failure),
        (Err(failure), Some(_)) => {
            say(&format!("PyTorch is not compared with: {}", failure.sentence));
            &[]
        }
    };
    let programs = release::programs(root, Profile::Release)?;
    let folder = &programs.join("bench-pipeline");
    let mut rows = Vec::new();
    for Compared { case, words, bounds } in &CASES {
        let case = &case.shorter(options.is_short);
        case.make_data(folder)?;
        let builds = other.iter().map(|other| ("the other build", other));
        let builds = [("this build", &programs)].into_iter().chain(builds);
        let neuropil = builds.map(|(name, build)| Contender {
            name,
            bounds: BEFORE,
            measure: Box::new(move || case.train(root, build, folder, &[])),
        });
        let pytorch = references.iter().zip(bounds).map(|(&(name, of), &bounds)| Contender {
            name,
            bounds,
            measure: Box::new(move || pytorch(case, root, &[of, words].concat(), folder)),
        });
        let contenders: Vec<_> = neuropil.chain(pytorch).collect();
        let measured = in_turn(case.name, options.rounds, &contenders)?;
        rows.extend(turns::rows_beside("pipeline", case.name, &contenders, &measured));
    }
    Ok(rows)
}

/// Sets up PyTorch in the release whose libtorch Neuropil links, in `target/pytorch/`.
pub fn set_up(root: &Root) -> Result<(), Failure> {
    prerequisites::check(&[COMPILER, PYTHON, PIP])?;
    root.script("scripts/pytorch.py")
}

/// Trains with PyTorch, and returns images per second.
pub fn pytorch(case: &Case, root: &Root, words: &[&str], folder: &Path) -> Result<f64, Failure> {
    let mut python = root.command("python3");
    python.env("PYTHONPATH", root.join("target/pytorch"));
    python.arg("bench/pytorch_pipeline.py").args(words).args([
        format!("--batch={}", case.batch),
        format!("--microbatches={}", case.microbatches),
        format!("--warm={WARM}"),
        format!("--steps={}", case.steps),
    ]);
    let printed = finish(&mut python, LIMIT, &folder.join("pytorch.log"), |_| ())?;
    let rate = numbers(&printed, "images_per_s").first().copied();
    Ok(rate.ok_or_else(|| format!("`{}` printed no rate", line(&python)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_cut_alike_on_both_sides() {
        for Compared { case, words, .. } in &CASES {
            let stages = case.settings.iter().find_map(|set| set.strip_prefix("pipeline.stages=")).unwrap();
            let cuts = words.iter().find_map(|word| word.strip_prefix("--cuts=")).unwrap().split(',').count();
            assert!(stages == "per_layer" && cuts == 4 || stages.split(',').count() == cuts, "{}", case.name);
        }
    }
}
