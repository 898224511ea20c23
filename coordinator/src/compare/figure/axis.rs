//! Axes: a range that the data fill, and marks at round numbers.

use crate::report::model::chart::Chart;
use crate::report::model::curve::Curve;
use crate::report::text::count;

/// The range of an axis, and its length in the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    pub low: f64,
    pub high: f64,
    pub log: bool,
}

impl Axis {
    /// The axis of steps, from the first to the last.
    pub fn of_steps(steps: [u64; 2]) -> Self {
        let [low, high] = steps.map(|step| step as f64);
        match low < high {
            true => Self { low, high, log: false },
            false => Self { low: low - 1.0, high: high + 1.0, log: false },
        }
    }

    /// The axis of values: all curves and bands with a little air, within what the chart shows at most.
    pub fn of_values<'a>(chart: &'a Chart) -> Self {
        let of = |curve: &'a Curve| curve.y.iter().chain(&curve.low).chain(&curve.high);
        let (low, high) = ends(chart.curves.iter().flat_map(of).copied());
        // Within these bounds no product below overflows, whatever a run's file says.
        if chart.log && low > 1e-100 && high < 1e100 {
            let air = (high / low).powf(0.05).max(1.05);
            return Self { low: low / air, high: high * air, log: true };
        }
        let [least, most] = chart.at_most.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
        let (low, high) = (low.max(least), high.min(most));
        let span = if high > low { high - low } else { high.abs().max(1.0) * 0.1 };
        Self { low: low - 0.05 * span, high: high + 0.05 * span, log: false }
    }

    /// The place of a value: 0 at the lower end, 1 at the upper.
    pub fn place(&self, value: f64) -> f64 {
        match self.log {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        }
    }

    /// Round numbers in the range, `about` so many of them.
    pub fn ticks(&self, about: usize, steps: &[f64]) -> Vec<f64> {
        if self.log {
            return self.decades(about);
        }
        let rough = (self.high - self.low) / about as f64;
        let power = 10f64.powf(rough.log10().floor());
        let round = [1.0, 2.0, 5.0, 10.0].map(|times| times * power);
        let every = steps.iter().chain(&round).copied().find(|step| *step >= rough * 0.999).unwrap_or(rough);
        if !(every.is_finite() && every > 0.0) {
            return Vec::new();
        }
        let (first, last) = ((self.low / every).ceil(), (self.high / every).floor());
        let number = ((last - first).max(-1.0) + 1.0).min(2.0 * about as f64 + 2.0) as usize;
        // A product of whole numbers has no error that adds up.
        (0..number)
            .map(|i| (first + i as f64) * every)
            .map(|tick| if tick == 0.0 { 0.0 } else { tick })
            .collect()
    }

    /// Powers of ten, and between few of them 2 and 5 times as well.
    fn decades(&self, about: usize) -> Vec<f64> {
        let (from, to) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let every = ((to - from) as usize).div_ceil(about).max(1);
        let times: &[f64] = if self.high / self.low < 200.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let tens = (from..=to).step_by(every);
        let ticks = tens.flat_map(|power| times.iter().map(move |times| times * 10f64.powi(power)));
        ticks.filter(|tick| (self.low..=self.high).contains(tick)).collect()
    }
}

/// The least and the largest of the numbers; 0 and 0 of none.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    finite
        .fold(None, |ends: Option<(f64, f64)>, value| {
            Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        })
        .unwrap_or((0.0, 0.0))
}

/// The words of marks: as many decimals as tell them apart, thousands apart, and powers for what is very large or small.
pub fn labels(ticks: &[f64], unit: &str) -> Vec<String> {
    let far = |tick: &f64| *tick != 0.0 && !(1e-4..1e6).contains(&tick.abs());
    if ticks.iter().any(far) {
        return ticks.iter().map(|tick| format!("{tick:.3e}")).map(|text| shorter(&text) + unit).collect();
    }
    let exact = |decimals: &usize| {
        ticks.iter().all(|tick| {
            (tick - format!("{tick:.decimals$}").parse().unwrap_or(0.0)).abs() <= tick.abs() * 1e-6
        })
    };
    let decimals = (0..=8).find(exact).unwrap_or(8);
    ticks.iter().map(|tick| grouped(&format!("{tick:.decimals$}")) + unit).collect()
}

/// `1.500e7` as `1.5e7`.
fn shorter(text: &str) -> String {
    let (digits, power) = text.split_once('e').unwrap_or((text, "0"));
    format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// The thousands of a number apart.
fn grouped(text: &str) -> String {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |text| ("−", text));
    let (whole, rest) =
        text.split_once('.').map_or((text, String::new()), |(whole, rest)| (whole, format!(".{rest}")));
    let whole: u64 = whole.parse().unwrap_or(0);
    format!("{sign}{}{rest}", count(&whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(low: f64, high: f64) -> Axis {
        Axis { low, high, log: false }
    }

    #[test]
    fn marks_stand_at_round_numbers_within_the_range() {
        let shown = |axis: Axis, unit| labels(&axis.ticks(5, &[]), unit);
        assert_eq!(shown(axis(81.2, 85.4), "%"), ["82%", "83%", "84%", "85%"]);
        assert_eq!(shown(axis(-0.013, 0.26), ""), ["0.0", "0.1", "0.2"]);
        assert_eq!(shown(axis(0.0, 12_000.0), ""), ["0", "5,000", "10,000"]);
        assert_eq!(shown(axis(-30.0, 10.0), ""), ["−30", "−20", "−10", "0", "10"]);
        assert_eq!(shown(axis(2e7, 9e7), ""), ["2e7", "4e7", "6e7", "8e7"]);
        assert_eq!(axis(3.0, 95.0).ticks(5, &[15.0, 30.0]), [30.0, 60.0, 90.0]);
    }

    #[test]
    fn a_logarithmic_axis_has_powers_of_ten() {
        let log = |low, high| labels(&Axis { low, high, log: true }.ticks(5, &[]), "");
        assert_eq!(log(0.9, 120.0), ["1", "2", "5", "10", "20", "50", "100"]);
        assert_eq!(log(1e-3, 1e9), ["1e-3", "1e0", "1e3", "1e6", "1e9"]);
        assert_eq!(Axis { low: 1.0, high: 100.0, log: true }.place(10.0), 0.5);
    }

    #[test]
    fn no_range_is_too_strange() {
        for (low, high) in [(0.0, 0.0), (f64::MIN, f64::MAX), (1.0, 1.0 + f64::EPSILON), (-1e-300, 1e-300)] {
            assert!(axis(low, high).ticks(5, &[]).len() <= 12, "{low} {high}");
        }
    }
}
