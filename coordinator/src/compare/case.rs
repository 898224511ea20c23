//! Cases: the runs of a comparison that differ in their seeds alone.

use super::folders::Member;
use super::naming;
use super::settings::{self, Settings};
use crate::report::Run;
use indexmap::IndexMap;
use std::collections::BTreeSet;

/// Runs that differ in their seeds, and in keys that decide no number.
#[derive(Debug)]
pub struct Case {
    /// The words that tell the case from the others.
    pub name: String,
    /// The runs in the order in which they were given; at least one.
    pub runs: Vec<Run>,
    /// The settings of the case that count.
    pub settings: Settings,
}

impl Case {
    /// The configuration of the first run.
    pub fn config_toml(&self) -> &str {
        self.runs.first().map_or("", |run| &run.config_toml)
    }
}

/// The cases of all runs, in the order of their first runs.
///
/// Runs whose settings are the same but for the seed are one case. A key that decides no number, such as the schedule,
/// counts only where two runs of a case would have the same seed.
pub fn cases(members: Vec<Member>) -> Vec<Case> {
    let members: Vec<(Settings, Member)> =
        members.into_iter().map(|member| (settings::of_run(&member.run), member)).collect();
    // Beside an asynchronous run, the schedule of every run counts.
    let asynchronous = members.iter().any(|(all, _)| settings::is_asynchronous(all));
    let mut groups: Groups = IndexMap::new();
    for (all, member) in members {
        groups.entry(settings::deciding(&all, asynchronous)).or_default().push((all, member));
    }
    let split: Groups = groups.into_iter().flat_map(split).collect();
    let (settings, groups): (Vec<Settings>, Vec<_>) = split.into_iter().unzip();
    let given = groups.iter().map(|group| group.iter().find_map(|(_, member)| member.name.clone()));
    let names = naming::names(&given.collect::<Vec<_>>(), &settings);
    let case = |((name, settings), group): ((String, Settings), Vec<(Settings, Member)>)| {
        let runs = group.into_iter().map(|(_, member)| member.run);
        Case { name, runs: runs.collect(), settings }
    };
    names.into_iter().zip(settings).zip(groups).map(case).collect()
}

/// The members of each case, with all their settings, by the settings that count.
type Groups = IndexMap<Settings, Vec<(Settings, Member)>>;

/// A case, or the cases into which runs of the same seed divide it.
fn split((deciding, group): (Settings, Vec<(Settings, Member)>)) -> Groups {
    let seeds: BTreeSet<_> = group.iter().map(|(_, member)| settings::seed(&member.run)).collect();
    if seeds.len() == group.len() {
        return Groups::from([(deciding, group)]);
    }
    let mut groups = Groups::new();
    for (all, member) in group {
        groups.entry(all.clone()).or_default().push((all, member));
    }
    match groups.len() {
        1 => groups.into_values().map(|group| (deciding.clone(), group)).collect(),
        _ => groups,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;
    use proto::spec::begin::Begin;

    /// The names of the cases of runs with these configurations, each with the number of its runs.
    fn grouped(configs: &[&str]) -> Vec<(String, usize)> {
        let member = |config: &&str| Member {
            run: Run { config_toml: config.replace(' ', "\n"), ..run("r") },
            name: None,
        };
        let cases = cases(configs.iter().map(member).collect());
        cases.into_iter().map(|case| (case.name, case.runs.len())).collect()
    }

    #[test]
    fn runs_that_differ_in_their_seeds_are_one_case() {
        let found =
            grouped(&["seed=1 optimizer.lr=0.5", "seed=1 optimizer.lr=0.25", "seed=2 optimizer.lr=0.5"]);
        assert_eq!(found, [("lr=0.5".into(), 2), ("lr=0.25".into(), 1)]);
    }

    #[test]
    fn runs_that_began_from_weights_are_a_case_of_their_own() {
        let begin = |id: &str, updates| Begin {
            run: id.repeat(32),
            updates,
            optimizer: false,
            backward_is_weight: updates == 0,
        };
        let from = |seed: u64, begin| {
            let run = Run { config_toml: format!("seed={seed}"), begin, ..run("r") };
            Member { run, name: None }
        };
        let members = [
            from(1, None),
            from(1, Some(begin("a", 0))),
            from(2, Some(begin("a", 0))),
            from(3, Some(begin("a", 50))),
            from(4, Some(begin("b", 50))),
        ];
        let found = cases(members.into());
        let found: Vec<_> = found.iter().map(|case| (case.name.as_str(), case.runs.len())).collect();
        assert_eq!(found, [("run", 1), ("from=weights", 2), ("from=step 50", 2)]);
        let files = cases(vec![from(1, Some(begin("a", 0))), from(2, Some(begin("b", 0)))]);
        assert_eq!(files.len(), 2, "other files are another case");
    }

    #[test]
    fn what_decides_no_number_counts_between_runs_of_one_seed_alone() {
        let other_seed =
            grouped(&["seed=1 data.path=\"a\"", "seed=2 data.path=\"b\" pipeline.schedule=\"gpipe\""]);
        assert_eq!(other_seed.len(), 1);
        let same_seed = grouped(&["pipeline.schedule=\"gpipe\"", "pipeline.schedule=\"one_f_one_b\""]);
        assert_eq!(same_seed, [("schedule=gpipe".into(), 1), ("schedule=one_f_one_b".into(), 1)]);
        assert_eq!(grouped(&["seed=1", "seed=1"]).len(), 1, "the same run twice");
    }
}
