//! The speed of a training over slow and long wires, beside what `coordinator plan` predicts.

use super::Bed;
use super::training::{Training, predicted};
use super::wire::{self, Delay};
use crate::run::{Failure, say};
use std::fmt::Write;

/// The steps of a training.
const STEPS: u32 = 24;
/// The points: the rate of every host's link in Mbit/s, and the delay of each way in milliseconds.
const POINTS: [(u32, u32); 8] =
    [(50, 1), (100, 1), (200, 1), (1000, 1), (100, 5), (1000, 5), (200, 20), (1000, 20)];
/// A prediction that is farther off is a bad one, and so many may be bad.
const NEAR: f64 = 0.2;
const BAD: usize = 2;

/// A training's images per second at one point.
struct Point {
    mbit: u32,
    delay: u32,
    measured: f64,
    predicted: f64,
}

impl Point {
    /// How far the prediction is off.
    fn off(&self) -> f64 {
        self.predicted / self.measured - 1.0
    }
}

/// Trains at every point; the table is returned with the failure that too many predictions are bad.
pub fn table(bed: &Bed<'_>) -> Result<(String, Option<Failure>), Failure> {
    let points = POINTS.iter().map(|&point| measure(bed, point)).collect::<Result<Vec<_>, _>>()?;
    let mut table = String::from(
        "| rate of each host | delay of each way | images/s, measured | images/s, predicted | prediction |\n\
         |-------------------|-------------------|--------------------|---------------------|------------|\n",
    );
    for point in &points {
        let Point { mbit, delay, measured, predicted } = point;
        let off = point.off() * 100.0;
        _ = writeln!(
            table,
            "| {:<17} | {:<17} | {measured:<18.0} | {predicted:<19.0} | {:<10} |",
            format!("{mbit} Mbit/s"),
            format!("{delay} ms"),
            format!("{off:+.0} %")
        );
    }
    let bad = points.iter().filter(|point| point.off().abs() > NEAR).count();
    let failure = (bad > BAD).then(|| {
        let percent = NEAR * 100.0;
        format!("{bad} of {} predictions are more than {percent:.0} % off", points.len()).into()
    });
    Ok((table, failure))
}

fn measure(bed: &Bed<'_>, (mbit, delay): (u32, u32)) -> Result<Point, Failure> {
    say(&format!("{STEPS} steps over links of {mbit} Mbit/s, every packet {delay} ms late"));
    let predicted = predicted(bed, &format!("{mbit}Mbit/s,{delay}ms"))?;
    wire::slow(bed.network, mbit)?;
    let held = Delay::start(bed.scene.root, bed.network, &bed.scene.part("wires")?, delay)?;
    let mut training = Training::start(bed, &format!("speed-{mbit}-{delay}"), STEPS, &[])?;
    let status = training.end()?;
    if !status.success() {
        return Err(format!("the training failed: {}", training.last_words()).into());
    }
    let measured = training.speed()?;
    drop(held);
    wire::fast(bed.network)?;
    Ok(Point { mbit, delay, measured, predicted })
}
