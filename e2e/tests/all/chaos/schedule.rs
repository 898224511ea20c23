//! The schedule of harm: victims, kinds and moments, drawn before anything runs.

use std::time::{Duration, SystemTime};

/// The number of kills and the number of stops.
const KILLS: usize = 17;
const STOPS: usize = 3;

/// The harm to a process.
#[derive(Clone, Copy)]
pub enum Harm {
    /// The process is killed, and the test starts it again after a while unless the coordinator does.
    Kill {
        /// How long the process is away.
        away: Duration,
    },
    /// The process is stopped for longer than its neighbours wait for it.
    Stop,
}

/// One blow. Its moment is counted from the previous blow.
pub struct Blow {
    /// The number of steps before the blow.
    pub steps: usize,
    /// The time after which the blow falls if the steps take longer. The run may then be anywhere but at its end.
    pub within: Option<Duration>,
    /// The pause between that moment and the blow.
    pub pause: Duration,
    /// The victim's index.
    pub victim: usize,
    /// The harm to the victim.
    pub harm: Harm,
}

/// All blows to a run with so many `victims`.
pub fn schedule(random: &mut Random, victims: usize) -> Vec<Blow> {
    let mut stops = [vec![false; KILLS], vec![true; STOPS]].concat();
    for last in (1..stops.len()).rev() {
        stops.swap(last, random.below(last as u64 + 1) as usize);
    }
    let mut blow = |stop| {
        let (steps, within) = match random.below(4) {
            0 => (25, Some(random.milliseconds(2000))),
            _ => (1 + random.below(10) as usize, None),
        };
        let pause = random.milliseconds(50);
        let victim = random.below(victims as u64) as usize;
        let harm = if stop { Harm::Stop } else { Harm::Kill { away: random.milliseconds(500) } };
        Blow { steps, within, pause, victim, harm }
    };
    stops.into_iter().map(&mut blow).collect()
}

/// Knuth's linear congruential generator.
pub struct Random(u64);

impl Random {
    /// A generator with the seed `CHAOS_SEED`, or with a seed from the clock. The seed is printed, so that the
    /// schedule can be repeated.
    pub fn new(name: &str) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
        let seed = std::env::var("CHAOS_SEED").map_or(now.into(), |seed| seed.parse().unwrap());
        println!("{name}: CHAOS_SEED={seed}");
        Self(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }

    fn milliseconds(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }
}
