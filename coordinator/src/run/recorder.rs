//! The recorder: takes the events of the pipeline, writes them into the run's folder, adds them up, and shows the
//! progress.

use super::progress::Progress;
use super::resume::Common;
use crate::driver::{Event, Ledgers, Outcome};
use crate::platform::Reporter;
use crate::prepare::{Course, Prepared};
use crate::record::{
    Assessment, Cut, Evaluation, Invariant, Keeper, LEDGER, Meters, Pass, Rates, RunFolder, Starts, Step,
    TIMELINE, Totals, Trace, lost, or_dash,
};
use crate::run_error::RunError;
use proto::control::{Keep, SnapshotDone};
use proto::microbatch::Phase;
use std::time::{Duration, Instant};

/// The recorder of a run's events.
pub struct Recorder<'a> {
    prepared: &'a Prepared,
    course: Course,
    rates: Rates,
    folder: RunFolder,
    progress: Progress,
    trace: Option<Trace>,
    timelines: Keeper,
    invariant: Option<Invariant>,
    /// The time of the last event.
    last: Instant,
    /// The recent speed, in images per second.
    speed: f64,
    /// Whether this start was warned of error signals that became 0.
    warned: bool,
    /// The evaluation under way.
    pass: Pass,
    /// The metrics for a metrics port.
    pub meters: Meters,
    /// The reporter to the platform, where the platform wants to know.
    pub platform: Option<Reporter>,
    /// The totals over all starts of the run.
    pub totals: Totals,
    /// Seconds that snapshots took at the slowest node, in this start.
    pub saving: f64,
}

impl<'a> Recorder<'a> {
    /// A recorder, which writes `trace.json` at the end if `trace` is set. `host` has the cores that all nodes share, and
    /// the compute threads of each node.
    pub fn new(folder: RunFolder, prepared: &'a Prepared, trace: bool, host: Option<(usize, u32)>) -> Self {
        let rates = Rates::of(&prepared.config, &prepared.network, prepared.minibatches());
        Self {
            prepared,
            course: prepared.course(),
            rates,
            folder,
            progress: Progress::new(),
            trace: trace.then(Trace::default),
            timelines: Keeper::new(host),
            invariant: None,
            last: Instant::now(),
            speed: 0.0,
            warned: false,
            pass: Pass::default(),
            meters: Meters::new(),
            platform: None,
            totals: Totals::default(),
            saving: 0.0,
        }
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Whether every step has a timeline.
    pub fn traces(&self) -> bool {
        self.trace.is_some()
    }

    /// Shows a line that stays.
    pub fn say(&mut self, line: &str) {
        self.progress.say(line);
    }

    /// Goes back to the last of the snapshots that all nodes hold; the run goes on from there.
    ///
    /// # Errors
    /// A run folder that cannot be written, or a history that breaks a law already.
    pub fn rewind(&mut self, common: &Common) -> Result<(), RunError> {
        let (prepared, step) = (self.prepared, common.newest());
        let config = &prepared.config;
        let optimizer = config.optimizer.spec(config.step().samples, prepared.minibatches());
        let before = self.folder.identity().past.clone();
        let past = before.going_on(step, common.imported.contains(&step), optimizer);
        let past = past.cut_as(step, Cut::of(&prepared.network, &prepared.ranges));
        self.folder.rewind(step, past.clone())?;
        self.timelines.restarted();
        let (steps, evaluations) = (self.folder.steps()?, self.folder.evaluations()?);
        let evaluated = common.evaluated(&past.imports);
        self.totals = Totals::of(step, &evaluated, &steps, &evaluations, &past);
        (self.pass, self.last) = (Pass::default(), Instant::now());
        if let Some(platform) = &mut self.platform {
            platform.rewound(step, steps.last(), self.totals.evaluation.as_ref());
        }
        self.invariant = Invariant::of(&prepared.config, &prepared.network, past, &prepared.delays()?);
        let Some(invariant) = &mut self.invariant else { return Ok(()) };
        invariant.limits().iter().for_each(|line| self.progress.say(line));
        // The law is followed from the first measurement on, also over a restart.
        match steps.iter().find(|step| invariant.watches(step.step) && !step.layers.is_empty()) {
            Some(first) => invariant.check(first.step, &first.layers),
            None => Ok(()),
        }
    }

    /// Counts another start of the run.
    pub fn start_again(&mut self) -> Result<(), RunError> {
        self.meters.restarts.inc();
        self.folder.start_again()
    }

    /// The snapshots that nodes keep when they write the snapshot after `step`.
    pub fn keep(&self, step: u64) -> Keep {
        let evaluated = self.course.evaluated_before(step);
        self.totals.keep(evaluated, self.prepared.config.snapshot.best)
    }

    /// Writes the timeline of a step, and `trace.json` if it was asked for.
    pub fn finish(&mut self) -> Result<(), RunError> {
        self.keep_timeline()?;
        let Some(mut trace) = self.trace.take() else { return Ok(()) };
        if let Some(step) = trace.full_after() {
            self.say(&format!("trace.json ends with step {step}: it was full"));
        }
        trace.settle();
        self.folder.write("trace.json", &serde_json::to_vec(&trace).map_err(RunError::internal)?)
    }

    /// Writes the timeline of the step that represents the last ones, if there is a newer one.
    fn keep_timeline(&mut self) -> Result<(), RunError> {
        let Some(timeline) = self.timelines.chosen() else { return Ok(()) };
        self.folder.write(TIMELINE, &serde_json::to_vec(timeline).map_err(RunError::internal)?)
    }

    /// Adds a start of the run to `ledger.json`.
    ///
    /// # Errors
    /// A run folder that cannot be written.
    pub fn audited(&self, ledgers: &Ledgers) -> Result<(), RunError> {
        let mut starts = Starts::read(&self.folder.path().join(LEDGER));
        starts.add(ledgers)?;
        self.folder.write_json(LEDGER, &starts)
    }

    /// Records one event.
    ///
    /// # Errors
    /// A run folder that cannot be written, or a broken law.
    pub fn record(&mut self, event: Event) -> Result<(), RunError> {
        let took = self.last.elapsed();
        self.last = Instant::now();
        match event {
            Event::Done(outcome) => {
                let aligned = self.timelines.add(&outcome);
                if let Some(trace) = &mut self.trace {
                    trace.add(&outcome, aligned.as_ref());
                }
                match outcome.phase {
                    Phase::Train => self.trained(&outcome, took),
                    Phase::Evaluate => self.evaluated(&outcome),
                }
            }
            Event::Saved(saved) => {
                self.timelines.interrupted();
                self.saved(&saved)
            }
            Event::Aligned(steps) => {
                self.timelines.interrupted();
                self.aligned(steps);
                Ok(())
            }
        }
    }

    fn saved(&mut self, saved: &[SnapshotDone]) -> Result<(), RunError> {
        self.saving += saved.iter().map(|done| done.seconds).fold(0.0, f64::max);
        self.folder.sync()?;
        let common = saved.iter().map(|done| done.updates).min().unwrap_or(self.totals.common);
        // Nodes delete older snapshots only after this call.
        self.folder.saved(common)?;
        self.totals.common = common;
        Ok(())
    }

    fn aligned(&mut self, steps: u64) {
        let total = self.course.delay;
        if steps < total {
            self.progress.show(|| format!("delay phase   mirror step {steps}/{total}"));
        } else {
            self.progress.say(&format!("delay phase done after {total} mirror steps"));
        }
    }

    fn trained(&mut self, outcome: &Outcome, took: Duration) -> Result<(), RunError> {
        let rate = self.rates.at(outcome.step);
        let step = Step::new(outcome, took, rate);
        self.totals.add(&step);
        if let Some(invariant) = &mut self.invariant {
            invariant.check(step.step, &step.layers)?;
        }
        if !self.warned
            && let Some(warning) = lost(&step, &self.prepared.config)
        {
            self.warned = true;
            self.progress.finish();
            tracing::warn!("{warning}");
        }
        self.meters.trained(outcome, rate);
        self.folder.step(&step)?;
        if let Some(platform) = &mut self.platform {
            platform.trained(&step);
        }
        let now = step.images_per_s.unwrap_or(0.0);
        self.speed = if self.speed == 0.0 { now } else { 0.95 * self.speed + 0.05 * now };
        let ([_, steps], epochs) = (self.prepared.minibatches(), self.prepared.config.train.epochs);
        let (speed, angle) = (self.speed, self.totals.mean_angle());
        self.progress.show(|| {
            let Outcome { step, epoch, loss, top1, .. } = outcome;
            let angle = angle.map_or_else(String::new, |angle| format!("   B,W {angle:.0}°"));
            let accuracy = 100.0 * top1;
            format!(
                "epoch {}/{epochs}   step {step}/{steps}   {speed:.0} images/s   loss {loss:.3}   accuracy {accuracy:.1} %{angle}",
                epoch + 1
            )
        });
        Ok(())
    }

    /// Adds one minibatch of an evaluation; the last one completes it.
    fn evaluated(&mut self, outcome: &Outcome) -> Result<(), RunError> {
        self.pass.add(outcome);
        if self.pass.samples < self.prepared.test_samples {
            return Ok(());
        }
        let pass = std::mem::take(&mut self.pass);
        let evaluation = pass.complete(self.totals.steps, outcome.epoch);
        self.totals.evaluated(evaluation);
        self.meters.evaluated(&evaluation);
        let by_class = Assessment::new(&evaluation, &pass.tally, self.prepared.class_names());
        self.folder.evaluation(&evaluation, &by_class)?;
        self.keep_timeline()?;
        if let Some(platform) = &mut self.platform {
            platform.evaluated(&evaluation);
        }
        let Evaluation { step, epoch, loss, top1, samples, .. } = evaluation;
        let epoch = epoch + 1;
        let when = match self.course.ends_epoch(step) {
            true => format!("epoch {epoch} done after step {step}"),
            false => format!("step {step}, in epoch {epoch}"),
        };
        self.progress.say(&format!(
            "{when}: test accuracy {}, loss {} ({samples} images); trained at {} images/s",
            or_dash(top1, |top1| format!("{:.2} %", 100.0 * top1)),
            or_dash(loss, |loss| format!("{loss:.3}")),
            or_dash(self.totals.speed(), |speed| format!("{speed:.0}"))
        ));
        Ok(())
    }
}
