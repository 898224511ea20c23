//! The tree-structured Parzen estimator of Bergstra, Bardenet, Bengio and Kégl, "Algorithms for
//! Hyper-Parameter Optimization", NeurIPS 2011, section 4.
//!
//! Past observations are split into the better part and the rest. Along each dimension both parts become densities,
//! l and g. On a span, a density is a mixture of Gaussians at the observations, each as wide as the distance to its
//! farther neighbour, and of an even prior. On a list, a density counts the observations of each value, plus 1.
//! Candidates are drawn from l, and the candidate with the largest l / g, which has the largest expected
//! improvement, is proposed.

use super::range::Range;
use rand_chacha::rand_core::Rng;

/// The share of observations that counts as good (γ).
const GOOD: f64 = 0.25;
/// Candidates along each dimension.
const CANDIDATES: usize = 24;

/// An observation: a point of the space and its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The point's coordinate along each range.
    pub at: Vec<f64>,
    /// The score, where more is better; `None` for a trial that did not complete.
    pub score: Option<f64>,
}

/// An even draw from [0, 1).
pub fn uniform(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Proposes a coordinate along each range.
pub fn propose(ranges: &[&Range], history: &[Observation], rng: &mut impl Rng) -> Vec<f64> {
    let (good, rest) = split(history);
    let column = |of: &[&Observation], index: usize| of.iter().map(|seen| seen.at[index]).collect::<Vec<_>>();
    let along = |(index, range): (usize, &&Range)| {
        let (good, rest) = (column(&good, index), column(&rest, index));
        match range {
            Range::Values(values) => {
                best(&Counts::new(values.len(), &good), &Counts::new(values.len(), &rest), rng)
            }
            Range::Span { .. } => best(&Parzen::new(good), &Parzen::new(rest), rng),
        }
    };
    ranges.iter().enumerate().map(along).collect()
}

/// Splits observations into the better part and the rest. An observation without a score is never good.
fn split(history: &[Observation]) -> (Vec<&Observation>, Vec<&Observation>) {
    let mut ordered: Vec<&Observation> = history.iter().collect();
    // The sort is stable: among equals the earlier observation comes first.
    ordered.sort_by(|a, b| match (a.score, b.score) {
        (Some(a), Some(b)) => b.total_cmp(&a),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    let ended = ordered.iter().filter(|seen| seen.score.is_some()).count();
    let good = ((GOOD * history.len() as f64).ceil() as usize).min(ended);
    let rest = ordered.split_off(good);
    (ordered, rest)
}

/// A density along one dimension.
trait Density {
    fn draw(&self, rng: &mut impl Rng) -> f64;
    fn at(&self, x: f64) -> f64;
}

fn best<D: Density>(good: &D, rest: &D, rng: &mut impl Rng) -> f64 {
    let candidates = (0..CANDIDATES).map(|_| good.draw(rng));
    let ratio = |x: f64| good.at(x) / rest.at(x);
    candidates.reduce(|best, x| if ratio(x) > ratio(best) { x } else { best }).unwrap_or(0.5)
}

/// The number of observations of each value of a list, plus 1.
struct Counts(Vec<f64>);

impl Counts {
    fn new(values: usize, tried: &[f64]) -> Self {
        let mut counts = vec![1.0; values];
        tried.iter().for_each(|&at| counts[at as usize] += 1.0);
        Self(counts)
    }
}

impl Density for Counts {
    fn draw(&self, rng: &mut impl Rng) -> f64 {
        let mut left = uniform(rng) * self.0.iter().sum::<f64>();
        let place = self.0.iter().position(|count| {
            left -= count;
            left < 0.0
        });
        place.unwrap_or(self.0.len() - 1) as f64
    }

    fn at(&self, x: f64) -> f64 {
        self.0[x as usize] / self.0.iter().sum::<f64>()
    }
}

/// An even prior on [0, 1] and a Gaussian at each point, cut off at 0 and 1; all have the same weight.
struct Parzen(Vec<Gaussian>);

struct Gaussian {
    mean: f64,
    deviation: f64,
    /// The share of the Gaussian that lies within [0, 1].
    mass: f64,
}

impl Parzen {
    fn new(mut points: Vec<f64>) -> Self {
        points.sort_by(f64::total_cmp);
        let narrowest = 1.0 / (1.0 + points.len() as f64).min(100.0) / 2.0;
        let gaussian = |index: usize| {
            let mean = points[index];
            let below = if index == 0 { 0.0 } else { points[index - 1] };
            let above = points.get(index + 1).copied().unwrap_or(1.0);
            let deviation = (mean - below).max(above - mean).clamp(narrowest, 1.0);
            let mass = cumulative((1.0 - mean) / deviation) - cumulative(-mean / deviation);
            Gaussian { mean, deviation, mass }
        };
        Self((0..points.len()).map(gaussian).collect())
    }
}

impl Density for Parzen {
    fn draw(&self, rng: &mut impl Rng) -> f64 {
        let component = (uniform(rng) * (self.0.len() + 1) as f64) as usize;
        let Some(Gaussian { mean, deviation, .. }) = self.0.get(component) else { return uniform(rng) };
        // At least a third of each Gaussian lies within [0, 1], so 64 misses in a row do not happen.
        let mut inside = (0..64).map(|_| mean + deviation * normal(rng)).filter(|x| (0.0..=1.0).contains(x));
        inside.next().unwrap_or(*mean)
    }

    fn at(&self, x: f64) -> f64 {
        let gaussians = self.0.iter().map(|Gaussian { mean, deviation, mass }| {
            let z = (x - mean) / deviation;
            (-0.5 * z * z).exp() / (deviation * std::f64::consts::TAU.sqrt() * mass)
        });
        (1.0 + gaussians.sum::<f64>()) / (self.0.len() + 1) as f64
    }
}

/// A draw from the standard normal distribution (Box and Muller).
fn normal(rng: &mut impl Rng) -> f64 {
    let (radius, angle) = (1.0 - uniform(rng), uniform(rng));
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// The standard normal distribution's cumulative function, to 1e-7 (Abramowitz and Stegun 7.1.26).
fn cumulative(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.3275911 * x);
    let series = [0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429];
    let polynomial = series.iter().rev().fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    let erf = 1.0 - polynomial * (-x * x).exp();
    0.5 * (1.0 + erf.copysign(z))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::range::Scale;
    use toml::Value;

    fn ranges() -> [Range; 3] {
        let span = Range::Span { low: 0.0, high: 1.0, scale: Scale::Linear, points: None };
        [span.clone(), span, Range::Values(["a", "b", "c"].map(Value::from).to_vec())]
    }

    /// A test function: a narrow hill at (0.8, 0.3) on the plane "b".
    fn height(at: &[f64]) -> f64 {
        let off = ((at[0] - 0.8).powi(2) + (at[1] - 0.3).powi(2)).sqrt();
        -off - if at[2] == 1.0 { 0.0 } else { 0.3 }
    }

    /// The best height of 40 trials, the first `random` of which are drawn evenly.
    fn best_of(seed: u64, random: usize) -> f64 {
        let (ranges, mut rng) = (ranges(), proto::seed::rng(seed, &["hill"]));
        let ranges: Vec<&Range> = ranges.iter().collect();
        let mut history: Vec<Observation> = Vec::new();
        for trial in 0..40 {
            let at = if trial < random {
                ranges.iter().map(|range| range.coordinate(uniform(&mut rng))).collect()
            } else {
                propose(&ranges, &history, &mut rng)
            };
            assert!(at[..2].iter().all(|x| (0.0..=1.0).contains(x)) && [0.0, 1.0, 2.0].contains(&at[2]));
            // Some trials fail.
            let score = (trial % 7 != 3).then(|| height(&at));
            history.push(Observation { at, score });
        }
        history.iter().filter_map(|seen| seen.score).fold(f64::MIN, f64::max)
    }

    #[test]
    fn it_climbs_higher_than_random_draws_of_the_same_number() {
        let mean = |random| (0..20).map(|seed| best_of(seed, random)).sum::<f64>() / 20.0;
        let (tpe, random) = (mean(8), mean(40));
        assert!(tpe > 0.6 * random, "both are below 0, the top: {tpe} is no better than {random}");
    }

    #[test]
    fn densities_have_a_mass_of_one_and_draws_follow_them() {
        let density = Parzen::new(vec![0.02, 0.3, 0.35, 0.9]);
        let mass = (0..10_000).map(|i| density.at((f64::from(i) + 0.5) / 10_000.0)).sum::<f64>() / 10_000.0;
        assert!((mass - 1.0).abs() < 1e-5, "{mass}");
        let below = (0..3000).map(|i| density.at((f64::from(i) + 0.5) / 10_000.0)).sum::<f64>() / 10_000.0;
        let mut rng = proto::seed::rng(0, &["draws"]);
        let drawn = (0..20_000).filter(|_| density.draw(&mut rng) < 0.3).count() as f64 / 20_000.0;
        assert!((drawn - below).abs() < 0.01, "{drawn} {below}");
    }

    #[test]
    fn what_failed_is_never_good() {
        let seen = |score| Observation { at: vec![0.5], score };
        let history = [seen(None), seen(Some(0.1)), seen(None), seen(Some(0.9)), seen(None)];
        let (good, rest) = split(&history);
        assert_eq!(good, [&history[3], &history[1]]);
        assert_eq!(rest.len(), 3);
        assert!(split(&[seen(None)]).0.is_empty());
    }
}
