//! Threads that the system may refuse.

use super::limits;
use crate::host::number;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// The stack of a thread that is made only to test the limit. It is larger than the stack of a thread of Rust or of a C
/// library by the memory that such a thread may take besides.
const STACK: usize = 12 << 20;
/// The stack of a test thread that stands for a thread of another process, which takes none of this process's memory.
const SMALL: usize = 64 << 10;
/// The most threads that are made to test the limit.
const MOST: usize = 1000;
/// How long the system may take to forget threads that have ended.
const FORGET: Duration = Duration::from_secs(1);

/// Starts `work` on a thread of its own.
///
/// # Errors
/// The name of the thread, and the limit that forbids it, in one sentence.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, String> {
    let spawned = Builder::new().name(name.into()).spawn(work);
    spawned.map_err(|error| format!("cannot make the thread '{name}' {}", limits::behind(&error)))
}

/// Makes `count` threads at the same time, and `others` that stand for threads of other processes, and ends them again.
///
/// # Errors
/// The number of threads that the system made, and the limit that forbids more.
pub(super) fn probe(count: usize, others: usize) -> Result<(), (usize, String)> {
    let before = own();
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut made, mut refused) = (Vec::new(), Ok(()));
    for number in 0..(count + others).min(MOST) {
        let stack = if number < count { STACK } else { SMALL };
        let gate = gate.clone();
        let wait = move || drop(gate.lock());
        match Builder::new().stack_size(stack).spawn(wait) {
            Ok(thread) => made.push(thread),
            Err(error) => {
                refused = Err((made.len(), limits::behind(&error)));
                break;
            }
        }
    }
    drop(closed);
    for thread in made {
        let _ = thread.join();
    }
    // A thread that was joined still counts for a moment.
    let begun = Instant::now();
    while own() > before && begun.elapsed() < FORGET {
        std::thread::sleep(Duration::from_micros(100));
    }
    refused
}

/// The threads of this process, by the system's count.
fn own() -> Option<u64> {
    number(&std::fs::read_to_string("/proc/self/status").ok()?, "Threads:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_were_tried_are_gone_afterwards() {
        // Other tests make threads meanwhile, so that the count itself says nothing.
        assert!(probe(20, 20).is_ok());
        assert_eq!(spawn("sum", || 1 + 1).unwrap().join().unwrap(), 2);
    }
}
