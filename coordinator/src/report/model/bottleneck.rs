//! The bottleneck of a step, in one sentence: the cores, the loading of data, the loss, a link, a stage, or the schedule.

use super::text::plural;
use crate::driver::Task;
use crate::record::{Message, StepTimeline};
use proto::link::Role;

/// The share of a step from which on a wait that one cause explains makes that cause the bottleneck.
const BLOCKS: f64 = 0.2;
/// The share of the cores' time from which on they count as busy.
const BUSY: f64 = 0.9;
/// How much more than the others on average a stage computes, as a share of a step, before they wait for it.
const MORE: f64 = 0.1;

/// The shares of a step from which the bottleneck follows, each from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    /// The share in which each stage computes.
    pub stages: Vec<f64>,
    /// The share in which the first stage waits while the coordinator loads its samples.
    pub loading: f64,
    /// The share in which the last stage waits while the coordinator computes its losses.
    pub loss: f64,
    /// For each link in one direction, the share in which its receiver waits for messages that are on their way.
    pub links: Vec<(Role, Role, f64)>,
    /// The cores that all nodes share, and the cores that they use at once on average.
    pub cores: Option<(usize, f64)>,
}

impl Shares {
    /// The shares of `step`; `None` where it took no time.
    pub fn of(step: &StepTimeline) -> Option<Self> {
        let seconds = Some(step.seconds).filter(|seconds| *seconds > 0.0)?;
        let busy: f64 = step.lanes.iter().map(|lane| lane.busy()).sum();
        let used = |threads| busy * f64::from(threads) / seconds;
        Some(Self {
            stages: step.stages().map(|stage| stage.busy() / seconds).collect(),
            loading: blocked(step, Task::Load) / seconds,
            loss: blocked(step, Task::Loss) / seconds,
            links: links(step).into_iter().map(|(from, to, waited)| (from, to, waited / seconds)).collect(),
            cores: step.cores.zip(step.threads.map(used)),
        })
    }

    /// The sentence.
    pub fn sentence(&self) -> String {
        self.cores().or_else(|| self.blocked()).or_else(|| self.stage()).unwrap_or_else(|| self.schedule())
    }

    fn cores(&self) -> Option<String> {
        let (cores, used) = self.cores.filter(|(cores, used)| *used >= BUSY * *cores as f64)?;
        let (stages, all) = (plural(self.stages.len() as u64, "stage"), plural(cores as u64, "core"));
        Some(format!(
            "The cores are the bottleneck: {stages} share {all} of one host, and {used:.1} are computing at once on average."
        ))
    }

    /// A cause outside the stages for which a stage waits.
    fn blocked(&self) -> Option<String> {
        let link = self.links.iter().max_by(|a, b| a.2.total_cmp(&b.2));
        let link = link.map(|&(from, to, share)| {
            let ends = match (from, to) {
                (Role::Coordinator, other) => format!("the coordinator and {other}"),
                _ => format!("{from} and {to}"),
            };
            let said = format!(
                "The link between {ends} is the bottleneck: for {} of a step, {to} waits for messages that are on their way.",
                percent(share)
            );
            (share, said)
        });
        let waits = |share: f64, what: &str, which: &str| {
            let share_words = percent(share);
            (share, format!("{what} is the bottleneck: for {share_words} of a step, {which} waits for it."))
        };
        let loading = waits(self.loading, "The coordinator's loading of data", "stage 0");
        let loss = waits(self.loss, "The coordinator's loss", "the last stage");
        let all = [Some(loading), Some(loss), link].into_iter().flatten();
        let most = all.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (most.0 >= BLOCKS).then_some(most.1)
    }

    /// The stage for which the others wait.
    fn stage(&self) -> Option<String> {
        let (most, share) = self.stages.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let computes = percent(share);
        let others = self.stages.len() - 1;
        if others == 0 {
            return Some(format!("The only stage is the bottleneck: it computes {computes} of a step."));
        }
        let mean = (self.stages.iter().sum::<f64>() - share) / others as f64;
        let wait = if others == 1 { "the other waits" } else { "the others wait" };
        (share - mean >= MORE).then(|| {
            format!("Stage {most} is the bottleneck: it computes {computes} of a step, while {wait} for it.")
        })
    }

    fn schedule(&self) -> String {
        let [least, most] = [f64::min as fn(f64, f64) -> f64, f64::max]
            .map(|pick| self.stages.iter().copied().reduce(pick).unwrap_or(0.0));
        let computes = match (percent(least), percent(most)) {
            (least, most) if least == most => most,
            (least, most) => format!("{} to {most}", least.trim_end_matches(" %")),
        };
        format!(
            "No stage holds the others up: each computes {computes} of a step, and the pipeline fills and drains in the rest, which more microbatches shorten."
        )
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// The seconds in which a stage waits for a message of the coordinator while the coordinator is at `task`.
fn blocked(step: &StepTimeline, task: Task) -> f64 {
    let of_coordinator = step.messages.iter().filter(|message| message.from == Role::Coordinator);
    let carried = match task {
        Task::Load => "activations",
        Task::Loss => "error_signals",
    };
    let waits = of_coordinator.filter(|message| message.carried == carried).filter_map(wait);
    let tasks = step.lanes.iter().flat_map(|lane| &lane.tasks).filter(|span| span.task == task);
    let tasks: Vec<[f64; 2]> = tasks.map(|span| [span.start_s, span.end_s]).collect();
    waits.map(|wait| tasks.iter().map(|task| overlap(wait, *task)).sum::<f64>()).sum()
}

/// For each link in one direction, the seconds in which the receiver waits for messages that are on their way.
fn links(step: &StepTimeline) -> Vec<(Role, Role, f64)> {
    let mut links: Vec<(Role, Role, f64)> = Vec::new();
    for message in step.messages.iter().filter(|message| message.to != Role::Coordinator) {
        let way = message.left_s().zip(message.came_s());
        let Some((wait, (left, came))) = wait(message).zip(way) else { continue };
        let waited = overlap(wait, [left, came]);
        let ends = (message.from, message.to);
        match links.iter_mut().find(|link| (link.0, link.1) == ends) {
            Some(link) => link.2 += waited,
            None => links.push((ends.0, ends.1, waited)),
        }
    }
    links
}

fn wait(message: &Message) -> Option<[f64; 2]> {
    message.awaited_s.zip(message.taken_s).map(|(from, to)| [from, to])
}

/// The length that two spans have in common.
fn overlap(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[1].min(b[1]) - a[0].max(b[0])).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bottleneck_has_its_sentence() {
        let link = |from, to, share| (Role::Stage(from), Role::Stage(to), share);
        let even = || Shares { stages: vec![0.6, 0.62, 0.58], ..Shares::default() };
        let cases = [
            (
                Shares { stages: vec![0.3, 0.4, 0.81, 0.35], ..Shares::default() },
                "Stage 2 is the bottleneck: it computes 81 % of a step, while the others wait for it.",
            ),
            (
                Shares { stages: vec![0.9, 0.4], cores: Some((4, 1.3)), ..Shares::default() },
                "Stage 0 is the bottleneck: it computes 90 % of a step, while the other waits for it.",
            ),
            (
                Shares { stages: vec![0.93], ..Shares::default() },
                "The only stage is the bottleneck: it computes 93 % of a step.",
            ),
            (
                Shares { links: vec![link(0, 1, 0.1), link(1, 2, 0.44), link(2, 1, 0.2)], ..even() },
                "The link between stage 1 and stage 2 is the bottleneck: for 44 % of a step, stage 2 waits for messages that are on their way.",
            ),
            (
                Shares { links: vec![(Role::Coordinator, Role::Stage(0), 0.31)], loading: 0.3, ..even() },
                "The link between the coordinator and stage 0 is the bottleneck: for 31 % of a step, stage 0 waits for messages that are on their way.",
            ),
            (
                Shares { loading: 0.55, loss: 0.2, ..even() },
                "The coordinator's loading of data is the bottleneck: for 55 % of a step, stage 0 waits for it.",
            ),
            (
                Shares { loss: 0.25, ..even() },
                "The coordinator's loss is the bottleneck: for 25 % of a step, the last stage waits for it.",
            ),
            (
                Shares { stages: vec![0.7; 5], cores: Some((2, 1.93)), loading: 0.5, ..Shares::default() },
                "The cores are the bottleneck: 5 stages share 2 cores of one host, and 1.9 are computing at once on average.",
            ),
            (
                even(),
                "No stage holds the others up: each computes 58 to 62 % of a step, and the pipeline fills and drains in the rest, which more microbatches shorten.",
            ),
        ];
        for (shares, due) in cases {
            assert_eq!(shares.sentence(), due);
        }
        assert!(
            Shares { stages: vec![0.5; 2], ..Shares::default() }.sentence().contains("each computes 50 % of")
        );
        assert!(Shares::default().sentence().contains("each computes 0 % of"), "a step without a stage");
    }
}
