//! `cargo xtask bench step`: the stage of a node, driven as the worker drives it, and a plain loop of torch with autograd
//! on the same network, by turns, on one thread.
//!
//! `bench_step NETWORK STEPS ROUNDS` prints a line of JSON for each round, with the images per second of both.

mod networks;
mod plain;
mod stage;

use networks::Case;
use plain::Plain;
use stage::Node;
use std::time::Instant;

/// Steps of both before the first round: caches and the allocator are cold.
const WARM: u64 = 2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [network, steps, rounds] = &words[..] else {
        return Err("usage: bench_step NETWORK STEPS ROUNDS".into());
    };
    let case = Case::of(network).ok_or("NETWORK is resnet18 or fashion")?;
    let (steps, rounds): (u64, usize) = (steps.parse()?, rounds.parse()?);
    layer_node::torch::prepare(1)?;
    let mut node = Node::new(&case)?;
    let mut plain = Plain::new(&case, &mut node)?;
    node.train(WARM)?;
    plain.train(WARM);
    for round in 0..rounds {
        // Each round begins with the other one, because the second finds the machine warm.
        let (mut ours, mut reference) = (0.0, 0.0);
        for turn in 0..2 {
            match (round + turn) % 2 {
                0 => ours = rate(&case, steps, || node.train(steps))?,
                _ => reference = rate(&case, steps, || plain.train(steps))?,
            }
        }
        println!(r#"{{"ours":{ours:.3},"reference":{reference:.3}}}"#);
    }
    Ok(())
}

/// Images per second of `steps` steps, which `train` makes.
fn rate<T: Outcome>(case: &Case, steps: u64, train: impl FnOnce() -> T) -> Result<f64, stage::Error> {
    let start = Instant::now();
    train().done()?;
    Ok(steps as f64 * case.batch as f64 / start.elapsed().as_secs_f64())
}

/// The end of a training.
trait Outcome {
    fn done(self) -> Result<(), stage::Error>;
}

impl Outcome for () {
    fn done(self) -> Result<(), stage::Error> {
        Ok(())
    }
}

impl Outcome for Result<(), stage::Error> {
    fn done(self) -> Self {
        self
    }
}
