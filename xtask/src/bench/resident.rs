//! The resident memory of a process over a training: growth shows between the quarters of its steps.

use super::Row;
use std::fs;
use std::path::Path;

/// Steps after which buffers have found their sizes.
const WARM: usize = 100;

/// What a process had resident, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Resident {
    /// The steps of the training.
    steps: usize,
    /// The most in each quarter of the run.
    pub quarters: [u64; 4],
    /// The most at all.
    pub peak: u64,
}

impl Resident {
    /// A process that was not seen yet, in a training of so many steps.
    pub fn new(steps: usize) -> Self {
        Self { steps, quarters: [0; 4], peak: 0 }
    }

    /// Takes in what the process has resident after so many steps, and the most that it ever had.
    pub fn see(&mut self, step: usize, [now, peak]: [u64; 2]) {
        // After the last step processes are ending, which touches code and data that training does not.
        if step < self.steps {
            self.peak = self.peak.max(peak);
        }
        if (WARM..self.steps).contains(&step) {
            let quarter = &mut self.quarters[step * 4 / self.steps];
            *quarter = now.max(*quarter);
        }
    }

    /// The row of the first quarter beside the last: they are alike where nothing grows.
    pub fn growth(&self, bench: &'static str, who: &str) -> Row {
        row(
            bench,
            format!("{who}: last quarter, first quarter"),
            self.quarters[3],
            self.quarters[0],
            (0.96, 0.99),
        )
    }
}

/// The row of two sizes in bytes, of which the smaller is the better.
pub fn row(
    bench: &'static str,
    case: String,
    ours: u64,
    reference: u64,
    (floor, goal): super::Bounds,
) -> Row {
    let ratio = reference as f64 / (ours as f64).max(1.0);
    let (ours, reference) = (mib(ours), mib(reference));
    Row { bench, case, ratio, spread: (ratio, ratio), floor, goal, ours, reference, unit: "MiB", rounds: 1 }
}

/// Bytes in MiB.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// What a process has resident now, and the most that it ever had, in bytes, by its folder in /proc.
pub fn of(process: &Path) -> Option<[u64; 2]> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    Some([field(&status, "VmRSS")? * 1024, field(&status, "VmHWM")? * 1024])
}

/// The first number of a line `NAME:  NUMBER …` of a process's status.
pub fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_shows_between_the_quarters() {
        let samples = [(3, 900), (200, 100), (499, 110), (500, 120), (1499, 130), (1999, 140), (2000, 150)];
        let mut resident = Resident::new(2000);
        samples.into_iter().for_each(|(step, now)| resident.see(step, [now, now + 1]));
        assert_eq!(resident, Resident { steps: 2000, quarters: [110, 120, 130, 140], peak: 901 });
        let growth = resident.growth("memory", "stage 0");
        assert!(growth.ratio < growth.floor, "{}", growth.ratio);
        assert_eq!(row("memory", "peak".into(), 901, 901, (0.8, 1.0)).ratio, 1.0);
    }

    #[test]
    fn numbers_are_found_by_name() {
        let status = "Name:\tlayer-node\nPPid:\t42\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!(["PPid", "VmRSS", "VmHWM"].map(|name| field(status, name)), [42, 1024, 2048].map(Some));
        assert_eq!(field(status, "Vm"), None);
        assert!(of("/proc/self".as_ref()).is_some_and(|[now, peak]| 0 < now && now <= peak));
    }
}
