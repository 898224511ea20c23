//! The resources of every pod, from the plan: its requests and its limits.

use crate::config::Snapshot;
use std::fmt;

/// Bytes of the coordinator's process without data: code, threads, records.
const COORDINATOR_BYTES: u64 = 192 << 20;
/// Bytes of a data set of unknown size.
const GUESSED_DATA: u64 = 8 << 30;
/// Host memory of CUDA: its context, its libraries' code, and the shared memory of the pod.
const CUDA_BYTES: u64 = 4 << 30;
/// The least share of a core that a node asks for, in thousandths.
const LEAST_CPU: u64 = 100;
/// Shares of a core are rounded up to this many thousandths, and sizes of memory to this many bytes, so that a small
/// change of a prediction changes no manifest.
const CPU_STEP: u64 = 50;
const MEMORY_STEP: u64 = 64 << 20;
/// Space for a run's folder: metrics of some million steps.
const RUNS_BYTES: u64 = 5 << 30;

/// Space for the files of a trial beside its snapshots: metrics, logs, report.
const TRIAL_BYTES: u64 = 64 << 20;

/// The coordinator's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The data set; `None` where its size is not known.
    pub data: Option<u64>,
    /// The inputs on their way to the first stage.
    pub inputs: u64,
}

/// The load of a trial on its pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrialLoad {
    /// The threads that compute, of all nodes together.
    pub threads: u64,
    /// Bytes of memory of the nodes and of the inputs on their way to them.
    pub memory: u64,
    /// Bytes of the data set; `None` where its size is not known.
    pub data: Option<u64>,
    /// Bytes of the snapshots that the nodes keep.
    pub snapshots: u64,
}

/// The resources of one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PodNeeds {
    pub(super) cpu: Cpu,
    pub(super) cpu_limit: Cpu,
    pub(super) memory: Size,
    pub(super) memory_limit: Size,
    pub(super) storage: Size,
    /// Whether the memory is a guess.
    pub(super) is_guess: bool,
}

/// A number of cores, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cpu(u64);

/// Bytes of memory or of storage, in whole MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(u64);

/// The load of a node, as the plan predicts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// The share of a step in which the node computes.
    pub(super) busy: f64,
    /// The peak of its process, in bytes.
    pub(super) memory: u64,
    /// Its weights with optimizer state and gradients, in bytes: at least a snapshot's size.
    pub(super) weights: u64,
}

impl PodNeeds {
    /// The needs of a node with this load, with this number of threads, and with or without a GPU.
    pub(super) fn of_node(load: Load, threads: u32, gpu: bool, snapshot: &Snapshot) -> Self {
        let threads = u64::from(threads) * 1000;
        let busy = (load.busy * threads as f64).ceil() as u64;
        let memory = load.memory + if gpu { CUDA_BYTES } else { 0 };
        // Beside the newest snapshots there are the one that is being written, and the best. All count twice, for an
        // earlier run's state, which a node sets aside.
        let snapshots = 2 * (u64::from(snapshot.keep_last) + 2);
        Self {
            cpu: Cpu::of(busy.clamp(LEAST_CPU, threads.max(LEAST_CPU))),
            cpu_limit: Cpu(threads + 1000),
            memory: Size::of(memory, MEMORY_STEP),
            memory_limit: Size::of(2 * memory, MEMORY_STEP),
            storage: Size::of(snapshots * load.weights, 1 << 30),
            is_guess: false,
        }
    }

    /// The needs of the coordinator.
    pub(super) fn of_coordinator(held: Held) -> Self {
        let memory = COORDINATOR_BYTES + held.data.unwrap_or(GUESSED_DATA) + held.inputs;
        Self {
            cpu: Cpu(500),
            cpu_limit: Cpu(2000),
            memory: Size::of(memory, MEMORY_STEP),
            memory_limit: Size::of(2 * memory, MEMORY_STEP),
            storage: Size(RUNS_BYTES),
            is_guess: held.data.is_none(),
        }
    }

    /// The needs of a pod with a whole trial in it, and the storage of so many `trials`.
    pub(super) fn of_trial(load: TrialLoad, trials: u64) -> Self {
        let threads = load.threads.max(1) * 1000;
        let memory = COORDINATOR_BYTES + load.data.unwrap_or(GUESSED_DATA) + load.memory;
        Self {
            cpu: Cpu(threads),
            cpu_limit: Cpu(threads + 1000),
            memory: Size::of(memory, MEMORY_STEP),
            memory_limit: Size::of(2 * memory, MEMORY_STEP),
            storage: Size::of(trials * (load.snapshots + TRIAL_BYTES), 1 << 30),
            is_guess: load.data.is_none(),
        }
    }
}

impl Cpu {
    fn of(thousandths: u64) -> Self {
        Self(thousandths.next_multiple_of(CPU_STEP))
    }
}

impl Size {
    fn of(bytes: u64, step: u64) -> Self {
        Self(bytes.max(1).next_multiple_of(step))
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 1000 {
            0 => write!(f, "{}", self.0 / 1000),
            _ => write!(f, "{}m", self.0),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % (1 << 30) {
            0 => write!(f, "{}Gi", self.0 >> 30),
            _ => write!(f, "{}Mi", self.0 >> 20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_asks_for_what_the_plan_predicts_and_may_take_more() {
        let snapshot = Snapshot { every_steps: 100, keep_last: 2, best: false };
        let load = Load { busy: 0.31, memory: 200 << 20, weights: 300 << 20 };
        let words = |needs: PodNeeds| {
            let PodNeeds { cpu, cpu_limit, memory, memory_limit, storage, .. } = needs;
            format!("{cpu} {cpu_limit} {memory} {memory_limit} {storage}")
        };
        let node = |load, threads, gpu| words(PodNeeds::of_node(load, threads, gpu, &snapshot));
        assert_eq!(node(load, 1, false), "350m 2 256Mi 448Mi 3Gi");
        assert_eq!(node(Load { busy: 1.0, ..load }, 4, false), "4 5 256Mi 448Mi 3Gi");
        assert_eq!(node(Load { busy: 0.0, weights: 0, ..load }, 4, true), "100m 5 4352Mi 8640Mi 1Gi");
        let held = Held { data: Some(55 << 20), inputs: 1 << 20 };
        assert_eq!(words(PodNeeds::of_coordinator(held)), "500m 2 256Mi 512Mi 5Gi");
        assert!(PodNeeds::of_coordinator(Held { data: None, ..held }).is_guess);
    }
}
