//! The choice of the snapshot at which a run resumes: the newest snapshot that all of its nodes have.

use super::other_cut::other_cut;
use crate::record::METRICS;
use crate::run_error::{Cause, RunError};
use proto::link::Peer;
use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;

/// The requested snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The newest snapshot that all nodes have, or the beginning if there never was a snapshot.
    Auto,
    /// The snapshot after this many updates.
    Step(u64),
}

impl FromStr for Resume {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Resume::Auto),
            step => step
                .parse()
                .map(Resume::Step)
                .map_err(|_| format!("'{step}' is no step: a number or auto is")),
        }
    }
}

/// The advice if the run has no other state to go on with.
const SEED: &str = "begin again from the seed with --resume 0, which gives up what the run has learned";

/// The snapshots that all nodes hold, up to the one to which a run goes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// Their updates; empty for the beginning.
    pub held: BTreeSet<u64>,
    /// Those of them into which weights were imported, at any node.
    pub imported: BTreeSet<u64>,
}

impl Common {
    /// The updates of the snapshot to which the run goes back; 0 for the beginning.
    pub fn newest(&self) -> u64 {
        self.held.last().copied().unwrap_or(0)
    }

    /// The snapshots whose evaluations are those of their weights: all but those into which weights were imported
    /// and from which the run did not go on; it went on from `imports`.
    pub fn evaluated(&self, imports: &[u64]) -> BTreeSet<u64> {
        let known = |step: &&u64| !self.imported.contains(step) || imports.contains(step);
        self.held.iter().filter(known).copied().collect()
    }
}

/// The snapshots and the history of a run that is resumed.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The snapshots of each node, in the order of the nodes; those of another cut do not count.
    pub snapshots: Vec<BTreeSet<u64>>,
    /// The nodes that hold snapshots of the run in another cut.
    pub other_cut: Vec<usize>,
    /// The snapshots into which weights were imported, at any node.
    pub imported: BTreeSet<u64>,
    /// The step up to which the history is complete.
    pub written: u64,
    /// Updates of the newest snapshot that all nodes had; 0 if they never had one.
    pub saved: u64,
}

impl Survey {
    /// The snapshots of the node at this place that are no later than the history.
    pub fn known(&self, node: usize) -> BTreeSet<u64> {
        self.snapshots[node].range(..=self.written).copied().collect()
    }

    /// The snapshots that all nodes hold and that are no later than the history, so that no line of the history is
    /// missing. The run goes back to the last of them. Without any, the run begins from the seed; but if all nodes
    /// once had a snapshot, it does so only for [`Resume::Step`] 0. `nodes` are the nodes of the run, in the order of
    /// the snapshots, and `folder` is the run's.
    ///
    /// # Errors
    /// A step that a node does not have, or a run that has lost its common snapshot, or has it in another cut.
    pub fn choose(&self, resume: Resume, nodes: &[Peer], folder: &Path) -> Result<Common, RunError> {
        let Self { snapshots, imported, written, saved, .. } = self;
        let gone = |why: String| Err(RunError::new(Cause::StateGone, format!("{why}, or {SEED}")));
        let have = |step: &u64| snapshots.iter().all(|steps| steps.contains(step));
        let all: BTreeSet<u64> = snapshots.first().into_iter().flatten().copied().filter(have).collect();
        let known: BTreeSet<u64> = all.range(..=*written).copied().collect();
        let common =
            |held: BTreeSet<u64>| Common { imported: held.intersection(imported).copied().collect(), held };
        let lacking = match resume {
            Resume::Auto => known.is_empty() && *saved > 0,
            Resume::Step(step) => step > 0 && !known.contains(&step),
        };
        if let Some(node) = self.other_cut.first().filter(|_| lacking) {
            return Err(RunError::configuration(other_cut(&nodes[*node])));
        }
        match (resume, all.first()) {
            (Resume::Auto, Some(first)) if known.is_empty() && *saved > 0 => gone(format!(
                "{} is whole up to step {written} only, and the first snapshot that all nodes have is that after step {first}: bring the file back",
                folder.join(METRICS).display()
            )),
            (Resume::Auto, None) if *saved > 0 => {
                // The step is not common to all nodes, so at least one node lacks it.
                let node = snapshots.iter().position(|steps| !steps.contains(saved)).unwrap_or(0);
                gone(format!(
                    "{} has not the snapshot after step {saved}, which all nodes had: bring its state folder back",
                    nodes[node]
                ))
            }
            (Resume::Auto, _) => Ok(common(known)),
            (Resume::Step(step), _) if step == 0 || known.contains(&step) => {
                Ok(common(known.range(..=step).copied().collect()))
            }
            (Resume::Step(step), _) => Err(self.without(step, nodes)),
        }
    }

    /// The refusal of a step after which a node has no snapshot.
    fn without(&self, step: u64, nodes: &[Peer]) -> RunError {
        let lacks = |node: &usize| !self.known(*node).contains(&step);
        let node = (0..self.snapshots.len()).find(lacks).unwrap_or(0);
        let has: Vec<String> = self.known(node).iter().map(u64::to_string).collect();
        let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
        RunError::configuration(format!(
            "{} has no snapshot after step {step} (it has: {has}): --resume auto takes the newest common one",
            nodes[node].role
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::link::Role;

    /// The choice if the nodes hold `held`, or the beginning of the refusal.
    fn chosen(held: &[&[u64]], written: u64, saved: u64, resume: Resume) -> Result<Vec<u64>, String> {
        let snapshots: Vec<BTreeSet<u64>> =
            held.iter().map(|steps| steps.iter().copied().collect()).collect();
        let nodes: Vec<Peer> =
            (0..).map(|stage| Peer::stage(stage).at(format!("n:{stage}"))).take(held.len()).collect();
        let survey = Survey { snapshots, other_cut: Vec::new(), imported: [20].into(), written, saved };
        let chosen = survey.choose(resume, &nodes, Path::new("r"));
        chosen
            .map(|common| {
                assert_eq!(common.imported.contains(&20), common.held.contains(&20));
                common.held.into_iter().collect()
            })
            .map_err(|failure| failure.sentence.split([',', ':']).next().unwrap().into())
    }

    #[test]
    fn the_newest_common_snapshot_is_chosen() {
        let chosen = |held: &[&[u64]], resume| chosen(held, 25, 0, resume);
        assert_eq!(chosen(&[&[10, 20], &[10, 20, 23], &[20, 30]], Resume::Auto), Ok(vec![20]));
        assert_eq!(chosen(&[&[10, 30], &[10, 30]], Resume::Auto), Ok(vec![10]), "as far as the history");
        assert_eq!(chosen(&[&[10, 20], &[], &[20]], Resume::Auto), Ok(vec![]), "none ever was common");
        assert_eq!(chosen(&[&[10, 20, 25], &[10, 20, 25]], Resume::Step(20)), Ok(vec![10, 20]));
        let missing = |stage, step| Err(format!("stage {stage} has no snapshot after step {step} (it has"));
        assert_eq!(chosen(&[&[10, 20], &[20, 30]], Resume::Step(10)), missing(1, 10));
        assert_eq!(chosen(&[&[10, 30], &[10, 30]], Resume::Step(30)), missing(0, 30));
    }

    #[test]
    fn the_halves_of_a_stage_have_their_snapshots_in_common_and_are_told_apart() {
        let nodes = [Role::Stage(0), Role::Stage(1), Role::Backward(1)].map(|role| Peer::of(role).at("n:1"));
        let chosen = |backward: &[u64], resume| {
            let stages: BTreeSet<u64> = [10, 20].into();
            let snapshots = vec![stages.clone(), stages, backward.iter().copied().collect()];
            let survey = Survey {
                snapshots,
                other_cut: Vec::new(),
                imported: BTreeSet::new(),
                written: 25,
                saved: 20,
            };
            let chosen = survey.choose(resume, &nodes, Path::new("r"));
            chosen.map(|common| common.newest()).map_err(|failure| failure.sentence)
        };
        assert_eq!(chosen(&[10, 20], Resume::Auto), Ok(20));
        assert_eq!(chosen(&[10], Resume::Auto), Ok(10));
        let gone = chosen(&[], Resume::Auto).unwrap_err();
        assert!(
            gone.starts_with("stage 1, backward at n:1 has not the snapshot after step 20, which"),
            "{gone}"
        );
        let lacks = chosen(&[20], Resume::Step(10)).unwrap_err();
        assert!(lacks.starts_with("stage 1, backward has no snapshot after step 10 (it has: 20)"), "{lacks}");
    }

    #[test]
    fn an_evaluation_from_before_an_import_says_nothing_of_the_snapshot() {
        let common = Common { held: [10, 20, 30].into(), imported: [10, 30].into() };
        assert_eq!((common.newest(), Common::default().newest()), (30, 0));
        assert_eq!(
            common.evaluated(&[30]),
            [20, 30].into(),
            "the run goes on from 30, and evaluates it anew"
        );
    }

    #[test]
    fn a_snapshot_that_all_nodes_had_is_not_given_up_unasked() {
        let chosen = |held: &[&[u64]], written, resume| chosen(held, written, 20, resume);
        let lost = |at: &str| Err(format!("stage {at}"));
        assert_eq!(
            chosen(&[&[10, 20], &[], &[20]], 25, Resume::Auto),
            lost("1 at n"),
            "an empty state folder"
        );
        assert_eq!(chosen(&[&[], &[20]], 0, Resume::Auto), lost("0 at n"), "and the history is gone as well");
        let unwritten = Err("r/metrics.jsonl is whole up to step 3 only".into());
        assert_eq!(chosen(&[&[10, 20], &[10, 20]], 3, Resume::Auto), unwritten, "a damaged history");
        assert_eq!(chosen(&[&[10, 20], &[10]], 25, Resume::Auto), Ok(vec![10]), "an older one is left");
        assert_eq!(chosen(&[&[10, 20], &[]], 3, Resume::Step(0)), Ok(vec![]), "asked for");
    }

    #[test]
    fn a_state_of_another_cut_is_not_missing() {
        let chosen = |held: [&[u64]; 2], resume| {
            let snapshots = held.map(|steps| steps.iter().copied().collect()).into();
            let survey =
                Survey { snapshots, other_cut: vec![1], imported: BTreeSet::new(), written: 25, saved: 20 };
            let nodes = [0, 1].map(|stage| Peer::stage(stage).at("n:1"));
            let chosen = survey.choose(resume, &nodes, Path::new("r"));
            chosen.map(|common| common.newest()).map_err(|failure| failure.sentence)
        };
        let why = chosen([&[], &[]], Resume::Auto).unwrap_err();
        assert!(why.starts_with("stage 1 at n:1 holds the snapshots of this run for other layers"), "{why}");
        assert_eq!(chosen([&[], &[]], Resume::Step(20)).unwrap_err(), why);
        assert_eq!(chosen([&[], &[]], Resume::Step(0)), Ok(0), "begun again on request");
        assert_eq!(chosen([&[10], &[10]], Resume::Auto), Ok(10), "what was carried over counts");
    }
}
