//! A check for room at the start: a program makes as many threads and opens as many files as it will need, before it
//! needs them.

use super::{RUNTIME_THREADS, limits, threads};
use std::fs::File;
use std::io;

/// The files and sockets of a layer node in a run, with some for other callers.
pub const FILES_OF_NODE: usize = 32;

/// The threads of a layer node that computes with `threads` threads, its main thread included.
pub fn threads_of_node(threads: u32) -> usize {
    // The main thread, those of the runtime, the worker, and the thread that reads standard input.
    1 + RUNTIME_THREADS + 2 + threads_of_torch(threads)
}

/// The threads that torch makes to compute with `threads` threads, where the caller's thread is one of them. OpenMP has
/// a pool, and torch has one of its own.
pub fn threads_of_torch(threads: u32) -> usize {
    2 * (threads.max(1) as usize - 1)
}

/// The threads and files that a program is going to need at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Needs<'a> {
    /// The program that needs them, as in "this node".
    pub what: &'a str,
    /// The number of threads of this process.
    pub threads: usize,
    /// The number of threads of the processes that it starts.
    pub others: usize,
    /// The number of open files and sockets of this process.
    pub files: usize,
    /// Another remedy than raising a limit, as in ", or lower --threads"; may be empty.
    pub otherwise: &'a str,
}

/// Checks that the system gives the threads and files that `needs` names.
///
/// # Errors
/// One sentence with the number that is needed, the number that the system gives, and the limit.
pub fn check(needs: Needs<'_>) -> Result<(), String> {
    let Needs { what, threads, others, files, otherwise } = needs;
    if let Err((opened, error)) = open(files) {
        let limit = limits::behind(&error);
        return Err(format!(
            "{what} needs {files} more open files and sockets, and the system opens only {opened} {limit}"
        ));
    }
    threads::probe(threads, others).map_err(|(made, limit)| {
        let threads = threads + others;
        format!("{what} needs {threads} more threads, and the system makes only {made} {limit}{otherwise}")
    })
}

/// Opens `count` files at once, and closes them again.
fn open(count: usize) -> Result<(), (usize, io::Error)> {
    let mut opened = Vec::with_capacity(count);
    for _ in 0..count {
        // Every process has a root folder that it can open.
        match File::open("/") {
            Ok(file) => opened.push(file),
            Err(error) => return Err((opened.len(), error)),
        }
    }
    Ok(())
}
