//! What comes out of the pipeline, made into files, a progress line, and sums for the end.

use super::alarm::Alarm;
use super::evaluation::{Evaluation, NOTHING, best_of, better};
use super::folder::RunFolder;
use super::keep::{self, Known};
use super::lines::{PastStep, StepLine};
use super::meters::Meters;
use super::prepare::Prepared;
use super::progress::Progress;
use super::trace::Trace;
use crate::driver::{Event, Outcome};
use crate::run_error::RunError;
use proto::control::{Keep, LayerMeasure};
use proto::lane::Phase;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Sums of one stage over the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct StageTotal {
    /// Payload bytes sent above.
    pub bytes_forward: u64,
    /// Payload bytes sent below.
    pub bytes_backward: u64,
    /// Time spent computing.
    pub compute: Duration,
}

/// Takes every event of a run.
pub struct Recorder {
    folder: RunFolder,
    progress: Progress,
    total_steps: u64,
    /// Mirror steps before the first update.
    delay: u64,
    epoch_steps: u64,
    epochs: u64,
    test_samples: usize,
    keep_best: bool,
    /// Updates of the newest snapshot that all nodes have.
    common: u64,
    best: Option<Evaluation>,
    /// When the last event came.
    last: Instant,
    /// Recent speed, images a second.
    speed: f64,
    open: Evaluation,
    trace: Option<Trace>,
    new_alarm: Option<Alarm>,
    alarm: Option<Alarm>,
    /// For a metrics port.
    pub meters: Meters,
    /// Training steps done in this run, also by earlier starts.
    pub steps: u64,
    /// Their time; evaluations are not part of it.
    pub training: Duration,
    /// Samples trained on.
    pub samples: u64,
    /// The newest evaluation of the whole test set.
    pub evaluation: Option<Evaluation>,
    /// Per stage.
    pub stages: Vec<StageTotal>,
    /// The newest measurement of each layer.
    pub layers: BTreeMap<String, LayerMeasure>,
    /// Time that snapshots took at the slowest stage.
    pub saving: f64,
}

impl Recorder {
    /// A recorder for a run that leaves `trace.json` where `trace` is set.
    pub fn new(folder: RunFolder, prepared: &Prepared, trace: bool) -> Self {
        Self {
            folder,
            progress: Progress::new(),
            total_steps: prepared.total_steps(),
            delay: prepared.mirror_delay(),
            epoch_steps: prepared.sampler.minibatches() as u64,
            epochs: prepared.config.train.epochs,
            test_samples: prepared.test_samples,
            keep_best: prepared.config.snapshot.best,
            common: 0,
            best: None,
            last: Instant::now(),
            speed: 0.0,
            open: NOTHING,
            trace: trace.then(Trace::default),
            new_alarm: prepared.alarm(),
            alarm: None,
            meters: Meters::new(),
            steps: 0,
            training: Duration::ZERO,
            samples: 0,
            evaluation: None,
            stages: vec![StageTotal::default(); prepared.ranges.len()],
            layers: BTreeMap::new(),
            saving: 0.0,
        }
    }

    /// Goes back to the state after `step`, from which the run goes on; the nodes hold the snapshots `held`.
    ///
    /// # Errors
    /// When the run's folder cannot be written.
    pub fn rewind(&mut self, step: u64, held: &BTreeSet<u64>) -> Result<(), RunError> {
        let lost = self.folder.last_step()?.saturating_sub(step);
        if lost > 0 {
            self.say(&format!("steps {} to {} are run again", step + 1, step + lost));
        }
        self.steps = step;
        self.common = step;
        self.open = NOTHING;
        self.last = Instant::now();
        self.folder.rewind(step)?;
        let evaluations = self.folder.evaluations()?;
        self.best = best_of(&evaluations, held);
        self.evaluation = evaluations.last().copied();
        self.alarm = self.new_alarm.clone();
        let past = self.folder.steps()?;
        self.sum_up(&past);
        // The law is followed from the first measurement on, also over a restart.
        let measured =
            past.iter().map(|past| (past.step, past.measures())).find(|(_, found)| !found.is_empty());
        match (&mut self.alarm, measured) {
            (Some(alarm), Some((step, measures))) => alarm.check(step, &measures),
            _ => Ok(()),
        }
    }

    /// Sums of the steps that stay, whoever did them: the run's summary is that of all its starts.
    fn sum_up(&mut self, past: &[PastStep]) {
        (self.training, self.samples) = (Duration::ZERO, 0);
        self.stages.fill(StageTotal::default());
        self.layers.clear();
        for step in past {
            self.training += step.took();
            self.samples += step.samples();
            for (total, done) in self.stages.iter_mut().zip(&step.stages) {
                total.bytes_forward += done.bytes_forward;
                total.bytes_backward += done.bytes_backward;
                total.compute += Duration::try_from_secs_f64(done.compute_s).unwrap_or_default();
            }
            self.layers.extend(step.measures().into_iter().map(|measure| (measure.name.clone(), measure)));
        }
    }

    /// What nodes keep when they write the snapshot after `step`.
    pub fn keep(&self, step: u64) -> Keep {
        let known = Known {
            common: self.common,
            keep_best: self.keep_best,
            best: self.best.map(|best| best.step),
            judged: self.evaluation.map(|evaluation| evaluation.step),
        };
        keep::keep(step, self.epoch_steps, known)
    }

    /// The best evaluation so far, where its snapshot is kept.
    pub fn best(&self) -> Option<Evaluation> {
        self.best.filter(|_| self.keep_best)
    }

    /// Counts another start of the run.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn start_again(&mut self) -> Result<(), RunError> {
        self.meters.restarts.inc();
        self.folder.start_again()
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Writes `trace.json`, where it was asked for.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn finish(&mut self) -> Result<(), RunError> {
        match self.trace.take() {
            Some(trace) => {
                if let Some(step) = trace.full_after() {
                    self.say(&format!("trace.json ends with step {step}: it was full"));
                }
                self.folder.write("trace.json", &serde_json::to_vec(&trace).map_err(RunError::internal)?)
            }
            None => Ok(()),
        }
    }

    /// Shows a line that stays.
    pub fn say(&mut self, line: &str) {
        self.progress.say(line);
    }

    /// Takes one event.
    ///
    /// # Errors
    /// When the run's folder cannot be written.
    pub fn record(&mut self, event: Event) -> Result<(), RunError> {
        let took = self.last.elapsed();
        self.last = Instant::now();
        if let (Some(trace), Event::Done(outcome)) = (&mut self.trace, &event) {
            trace.add(outcome);
        }
        match event {
            Event::Saved(saved) => {
                self.saving += saved.iter().map(|done| done.seconds).fold(0.0, f64::max);
                self.folder.sync()?;
                let common = saved.iter().map(|done| done.updates).min().unwrap_or(self.common);
                // Nodes delete older ones only after this.
                self.folder.saved(common)?;
                self.common = common;
                Ok(())
            }
            Event::Aligned(steps) => {
                let total = self.delay;
                if steps < total {
                    self.progress.show(|| format!("delay phase   mirror step {steps}/{total}"));
                } else {
                    self.progress.say(&format!("delay phase done after {total} mirror steps"));
                }
                Ok(())
            }
            Event::Done(outcome) if outcome.phase == Phase::Train => self.trained(outcome, took),
            Event::Done(outcome) => self.evaluated(&outcome),
        }
    }

    fn trained(&mut self, outcome: Outcome, took: Duration) -> Result<(), RunError> {
        self.steps = outcome.step;
        self.training += took;
        self.samples += outcome.samples as u64;
        let now = outcome.samples as f64 / took.as_secs_f64().max(1e-9);
        self.speed = if self.speed == 0.0 { now } else { 0.95 * self.speed + 0.05 * now };
        for (total, done) in self.stages.iter_mut().zip(&outcome.stages) {
            total.bytes_forward += done.bytes_forward;
            total.bytes_backward += done.bytes_backward;
            total.compute += done.compute;
        }
        if let Some(alarm) = &mut self.alarm {
            let measures: Vec<LayerMeasure> =
                outcome.stages.iter().flat_map(|done| done.layers.clone()).collect();
            alarm.check(outcome.step, &measures)?;
        }
        self.meters.trained(&outcome);
        self.folder.step(&StepLine::new(&outcome, now, took))?;
        let measures = outcome.stages.iter().flat_map(|done| &done.layers);
        self.layers.extend(measures.map(|measure| (measure.name.clone(), measure.clone())));
        let (steps, epochs, speed, angle) = (self.total_steps, self.epochs, self.speed, self.mean_angle());
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

    fn mean_angle(&self) -> Option<f64> {
        let count = self.layers.len() as f64;
        (count > 0.0).then(|| self.layers.values().map(|layer| layer.angle_deg).sum::<f64>() / count)
    }

    /// Adds one minibatch of an evaluation; the last one completes it.
    fn evaluated(&mut self, outcome: &Outcome) -> Result<(), RunError> {
        let (n, open) = (outcome.samples as f64, &mut self.open);
        open.loss += outcome.loss * n;
        open.top1 += outcome.top1 * n;
        open.top5 += outcome.top5 * n;
        open.samples += outcome.samples;
        if open.samples < self.test_samples {
            return Ok(());
        }
        let all = open.samples as f64;
        let evaluation = Evaluation {
            step: self.steps,
            epoch: outcome.epoch,
            loss: open.loss / all,
            top1: open.top1 / all,
            top5: open.top5 / all,
            samples: open.samples,
        };
        *open = NOTHING;
        self.evaluation = Some(evaluation);
        self.best = better(self.best, evaluation);
        self.meters.evaluated(&evaluation);
        self.folder.evaluation(&evaluation)?;
        let Evaluation { step, epoch, loss, top1, samples, .. } = evaluation;
        let speed = self.samples as f64 / self.training.as_secs_f64().max(1e-9);
        self.progress.say(&format!(
            "epoch {} done after step {step}: test accuracy {:.2} %, loss {loss:.3} ({samples} images); trained at {speed:.0} images/s",
            epoch + 1,
            100.0 * top1
        ));
        Ok(())
    }
}
