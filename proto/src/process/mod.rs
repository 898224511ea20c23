//! The process itself, for both programs: signals, threads, and the limits that the system sets.
//!
//! ```text
//! main ──▶ start: open files, threads ──▶ runtime ──▶ signals ──▶ …
//!            └─ a limit of the system, in one sentence
//! ```
//!
//! If the system refuses a thread or a descriptor in the middle of a run, the run is lost, and some libraries hang,
//! panic or exit. So both programs make as many threads and open as many files as they are going to need, before they
//! need them, and give them back.

pub mod limits;
pub mod room;
pub mod signals;
pub mod threads;

use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// The workers of [`runtime`].
const WORKERS: usize = 2;
/// The threads of [`runtime`]: its workers, and one thread for blocking work.
pub const RUNTIME_THREADS: usize = WORKERS + 1;
/// How long the thread for blocking work may take to begin.
const BEGIN: Duration = Duration::from_secs(10);
/// How long an idle thread for blocking work stays: for ever, since it may not be possible to make another one.
const STAY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The variable of the environment by which a controller says which attempt this process belongs to.
const ATTEMPT: &str = "NEUROPIL_ATTEMPT";

/// The sentence about the attempt that the environment names; `None` if it names none.
pub fn attempt() -> Option<String> {
    let attempt = std::env::var(ATTEMPT).ok().filter(|attempt| !attempt.is_empty())?;
    Some(format!("this process is attempt {attempt} of its controller ({ATTEMPT})"))
}

/// The runtime of both programs, all of whose threads exist.
///
/// # Errors
/// A limit of the system, in one sentence.
pub fn runtime() -> Result<Runtime, String> {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(WORKERS).thread_keep_alive(STAY).enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime {}", limits::behind(&error)))?;
    // While the runtime cannot make a thread for blocking work, it puts the work off silently. The resolver of host
    // names and the listing of snapshots are such work.
    let begun = runtime.block_on(async {
        let blocking = tokio::task::spawn_blocking(|| ());
        tokio::time::timeout(BEGIN, blocking).await
    });
    match begun {
        Ok(_) => Ok(runtime),
        Err(_) => {
            runtime.shutdown_background();
            Err(format!("cannot make a thread for blocking work {}", limits::behind_threads()))
        }
    }
}
