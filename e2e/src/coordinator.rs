//! Coordinators that a test starts, waits for and ends.

use crate::harm::signal;
use crate::{Ended, Run};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long a test waits for steps; long enough for a busy host.
const STEPS_DEADLINE: Duration = Duration::from_secs(60);

/// A running coordinator, which is killed where the test ends first.
pub struct Coordinator {
    /// The process; `None` once a test has waited for its end.
    child: Option<Child>,
    /// The run that the coordinator works on.
    pub run: Run,
}

impl Coordinator {
    /// Starts `command`, a coordinator that works on `run`.
    pub fn start(mut command: Command, run: Run) -> Self {
        Self { child: Some(command.spawn().expect("the coordinator starts")), run }
    }

    /// Waits until the run has written `steps` steps.
    pub fn wait_for_steps(mut self, steps: usize) -> Self {
        let begun = Instant::now();
        loop {
            let over = self.is_over();
            if self.run.steps() >= steps {
                return self;
            }
            if over {
                panic!("the coordinator ended before step {steps}: {}", self.ended().stderr);
            }
            assert!(begun.elapsed() < STEPS_DEADLINE, "step {steps} did not come within {STEPS_DEADLINE:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The process.
    pub fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("only `ended` and `kill` take the process, and the coordinator with it")
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.as_ref().map(Child::id).unwrap_or_default()
    }

    /// Sends a signal, as in `-INT`.
    pub fn signal(&self, name: &str) {
        signal(name, self.id());
    }

    /// Whether the coordinator has ended.
    pub fn is_over(&mut self) -> bool {
        self.child().try_wait().expect("a child can be waited for").is_some()
    }

    /// Waits until the coordinator ends by itself.
    pub fn ended(mut self) -> Ended {
        let child = self.child.take().expect("a coordinator ends once");
        child.wait_with_output().expect("a child can be waited for").into()
    }

    /// Kills the coordinator.
    pub fn kill(self) {}
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
